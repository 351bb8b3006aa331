"""Networks to ONNX files: read back here, and where onnxruntime is installed computed by it."""

import numpy as np
import pytest

import xpnet
import xpnet.data
from xpnet import models, nn, no_grad, ops
from xpnet.interchange import OnnxError, from_onnx, load_npz, to_onnx
from xpnet.nn import functional as F

MODELS = {
    "mlp": (lambda **kw: models.MLP(20, [16], 10, dropout=0.5, **kw), (4, 5)),
    "lenet": (lambda **kw: models.LeNet5(dropout=0.5, **kw), (1, 28, 28)),
    "alexnet_small": (lambda **kw: models.SmallAlexNet(**kw), (3, 32, 32)),
    "vgg11": (lambda **kw: models.VGG(11, 10, batch_norm=True, small=True, **kw), (3, 32, 32)),
    "resnet20": (lambda **kw: models.resnet20(**kw), (3, 16, 16)),
    "resnet20_a": (lambda **kw: models.resnet20(shortcut="A", width=4, **kw), (3, 15, 12)),
    "resnet18": (lambda **kw: models.resnet18(10, width=8, **kw), (3, 64, 64)),
    "resnet50": (lambda **kw: models.resnet50(10, width=8, **kw), (3, 64, 64)),
}
RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((2, 4, 6, 5)).astype("float32")
ROWS = RNG.standard_normal((2, 4)).astype("float32")
SERIES = RNG.standard_normal((2, 4, 9)).astype("float32")
WORDS = RNG.integers(0, 7, (2, 5))
WIDE = 6 * ROWS


class Function(nn.Module):
    """A network that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(xpnet.as_tensor(x))


class Outputs(nn.Module):
    """All outputs of a layer as one."""

    def __init__(self, layer, *inputs):
        super().__init__()
        self.layer, self.inputs = layer, inputs

    def forward(self, x):
        return F.concatenate([t.reshape(-1) for t in leaves(self.layer(x, *self.inputs))])


def leaves(value):
    return [t for part in value for t in leaves(part)] if isinstance(value, tuple) else [value]


class States(nn.Module):
    """Initial states that are computed."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTM(9, 3, 2, batch_first=True), nn.GRU(3, 2, batch_first=True)

    def forward(self, x):
        x = xpnet.as_tensor(x)
        first = x[:, :2, :3].transpose(1, 0, 2)
        y, (h, _) = self.lstm(x, (first, first * 2))
        return self.gru(y, h[:1, :, 1:])[0]


class Lengths(nn.Module):
    """Ragged sequences, in both directions."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            layer(9, 3, batch_first=True, bidirectional=True) for layer in (nn.LSTM, nn.GRU, nn.RNN)
        )

    def forward(self, x):
        x = xpnet.as_tensor(x)
        lengths = (x[:, 0, 0] > 0).astype("int64") + 2
        found = [layer(x, lengths=lengths) for layer in self.layers.children()]
        return F.concatenate([t.reshape(-1) for t in leaves(tuple(found))])


class SelfAttention(nn.Module):
    """Output and weights side by side."""

    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.options = layer, options

    def forward(self, x):
        y, weights = self.layer(x, x, x, **self.options)
        return F.concatenate([y.reshape(-1), weights.reshape(-1)])


class Cross(nn.Module):
    """Keys and values that are not the queries, of another size."""

    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(9, 3, kdim=5, vdim=4, batch_first=True)

    def forward(self, x):
        x = xpnet.as_tensor(x)
        return self.layer(x, x[:, 1:, :5], x[:, 1:, 5:], need_weights=False)[0]


class Bag(nn.Module):
    """A bag whose rows are weighted."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(7, 4, mode="sum")

    def forward(self, x):
        return self.bag(x, per_sample_weights=xpnet.as_tensor(x).astype("float32") * 0.1)


class Words(nn.Module):
    """A small transformer that does not look at padding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 8, padding_idx=0)
        self.positions = nn.LearnedPositionalEncoding(8, 10, batch_first=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = xpnet.as_tensor(x)
        y = self.encoder(self.positions(self.embedding(x)), src_key_padding_mask=x == 0)
        kept = (x != 0).astype("float32").unsqueeze(-1)
        return self.head((y * kept).sum(axis=1) / xpnet.maximum(kept.sum(axis=1), 1.0))


LAYERS = {
    "conv_same": (lambda: nn.Conv2d(4, 6, 3, padding="same", groups=2, bias=False), IMAGE),
    "conv_reflect": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", stride=2), IMAGE),
    "conv_replicate": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="replicate", dilation=2), IMAGE),
    "conv1d": (lambda: nn.Conv1d(4, 3, 3, padding=1), SERIES),
    "conv_transpose": (lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "max_ceil": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "max_dilation": (lambda: nn.MaxPool2d(2, 1, dilation=2), IMAGE),
    "max1d": (lambda: nn.MaxPool1d(2), SERIES),
    "avg": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "avg_ceil": (lambda: nn.AvgPool2d(2, 2, ceil_mode=True), IMAGE),
    "avg_exclude": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    "adaptive_unequal": (lambda: nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    "adaptive_equal": (lambda: nn.AdaptiveAvgPool2d((3, 5)), IMAGE),
    "adaptive_one": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "adaptive_max": (lambda: nn.AdaptiveMaxPool2d((2, 5)), IMAGE),
    "adaptive_max_one": (lambda: nn.AdaptiveMaxPool2d(1), IMAGE),
    "batch_norm_1d": (lambda: nn.BatchNorm1d(4), ROWS),
    "batch_norm_plain": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "group_norm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "instance_norm": (lambda: nn.InstanceNorm2d(4), IMAGE),
    "layer_norm": (lambda: nn.LayerNorm((6, 5)), IMAGE),
    "layer_norm_plain": (lambda: nn.LayerNorm(5, elementwise_affine=False), IMAGE),
    "rms_norm": (lambda: nn.RMSNorm(5), IMAGE),
    "linear_3d": (lambda: nn.Linear(5, 3), IMAGE),
    "elu": (lambda: nn.ELU(0.5), ROWS),
    "gelu": (lambda: nn.GELU(), ROWS),
    "gelu_tanh": (lambda: nn.GELU("tanh"), ROWS),
    "leaky": (lambda: nn.LeakyReLU(0.2), ROWS),
    "softmax": (lambda: nn.Softmax(1), IMAGE),
    "log_softmax": (lambda: nn.LogSoftmax(), ROWS),
    "upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "pad": (lambda: nn.ConstantPad2d((1, 2, 0, 3), 0.5), IMAGE),
    "flatten": (lambda: nn.Flatten(), IMAGE),
    "arithmetic": (lambda: Function(lambda x: (abs(x) + 1.5) ** 0.5 / 2 - x * x + (-x).exp().log().sin().cos()), ROWS),
    "functions": (lambda: Function(lambda x: x.sigmoid() + x.tanh() + abs(x).sqrt() + x.clip(-1, 0.5) + x.clip(high=0.0)), ROWS),
    "extremes": (lambda: Function(lambda x: xpnet.maximum(x, 0.25) + xpnet.minimum(x, x * x)), ROWS),
    "reductions": (lambda: Function(lambda x: x.sum(axis=1) + x.mean(axis=-3) + x.max(axis=1) - x.min(axis=1)), IMAGE),
    "keepdims": (lambda: Function(lambda x: x - x.mean(axis=(1, 2), keepdims=True)), IMAGE),
    "split_heads": (lambda: Function(lambda x: x.reshape(x.shape[0], 2, 2, 9).transpose(0, 2, 1, 3)), SERIES),
    "merge_batch": (lambda: Function(lambda x: x.reshape(-1, 9).reshape(x.shape[0], 4, 9)), SERIES),
    "attention": (lambda: Function(lambda x: F.softmax(x @ x.transpose(0, 2, 1)) @ x), SERIES),
    "index": (lambda: Function(lambda x: x[:, 1:, None, -1, ::2] + x[..., 0, 4:1:-1].unsqueeze(-2)[:, :-1]), IMAGE),
    "concat": (lambda: Function(lambda x: xpnet.concatenate([x, x * 2], axis=1)), IMAGE),
    "stack": (lambda: Function(lambda x: xpnet.stack([x, x * 2], axis=-1)), ROWS),
    "expand": (lambda: Function(lambda x: x.unsqueeze(1).expand(x.shape[0], 3, 4)), ROWS),
    "cast": (lambda: Function(lambda x: x.astype("float64") * 2.0), ROWS),
    "whole": (lambda: Function(lambda x: x), ROWS),
    "celu": (lambda: nn.CELU(0.7), WIDE),
    "sigmoid_tanh": (lambda: nn.Sequential(nn.Sigmoid(), nn.Tanh()), WIDE),
    "selu": (lambda: nn.SELU(), WIDE),
    "silu": (lambda: nn.SiLU(), WIDE),
    "mish": (lambda: nn.Mish(), WIDE),
    "softplus": (lambda: nn.Softplus(), WIDE),
    "softplus_options": (lambda: nn.Softplus(beta=2.0, threshold=1.0), WIDE),
    "softsign": (lambda: nn.Softsign(), WIDE),
    "softmin": (lambda: nn.Softmin(), ROWS),
    "log_sigmoid": (lambda: nn.LogSigmoid(), WIDE),
    "tanhshrink": (lambda: nn.Tanhshrink(), WIDE),
    "glu": (lambda: nn.GLU(1), IMAGE),
    "hardtanh": (lambda: nn.Hardtanh(-0.5, 2.0), WIDE),
    "relu6": (lambda: nn.ReLU6(), 3 * WIDE),
    "hardsigmoid": (lambda: nn.Hardsigmoid(), WIDE),
    "hardswish": (lambda: nn.Hardswish(), WIDE),
    "hardshrink": (lambda: nn.Hardshrink(0.8), WIDE),
    "softshrink": (lambda: nn.Softshrink(0.8), WIDE),
    "threshold": (lambda: nn.Threshold(0.3, -2.0), WIDE),
    "prelu": (lambda: nn.PReLU(), IMAGE),
    "prelu_channels": (lambda: nn.PReLU(4, 0.1), IMAGE),
    "dropout": (lambda: nn.Sequential(nn.Dropout(), nn.Dropout1d(), nn.ReLU()), SERIES),
    "logsumexp": (lambda: Function(lambda x: xpnet.apply(ops.logsumexp, x, axis=1)), IMAGE),
    "where": (lambda: Function(lambda x: xpnet.where(x > 0, x, -0.5) + xpnet.where(x <= 0.2, 1.0, x)), ROWS),
    "comparisons": (lambda: Function(lambda x: (
        (x < 0.1).astype("float32") + (x >= x * x).astype("float32") + (x != 0.5).astype("float32") * (x == x).astype("float32")
    )), ROWS),
    "argmax": (lambda: Function(lambda x: x.argmax(axis=2).astype("float32")), IMAGE),
    "circular": (lambda: nn.CircularPad2d((1, 2, 0, 3)), IMAGE),
    "conv_circular": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGE),
    "adaptive_max_unequal": (lambda: nn.AdaptiveMaxPool2d((4, 3)), IMAGE),
    "adaptive_max_1d": (lambda: nn.AdaptiveMaxPool1d(4), SERIES),
    "avg_ceil_counted": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGE[..., :4, :4]),
    "avg_divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), IMAGE),
    "avg_divisor_border": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=2), IMAGE[..., :4, :4]),
    "sequence": (lambda: nn.Sequential(nn.AvgPool1d(2), nn.InstanceNorm1d(4), nn.AdaptiveAvgPool1d(3)), SERIES),
    "zero_pad": (lambda: nn.ZeroPad2d((1, 0, 2, 0)), IMAGE),
    "upsample_nearest": (lambda: nn.Upsample(size=(9, 4)), IMAGE),
    "interpolate_corners": (lambda: nn.Upsample(size=(9, 4), mode="bilinear", align_corners=True), IMAGE),
    "grow_by_batch": (lambda: Function(lambda x: x.unsqueeze(0).expand(x.shape[0], x.shape[0], 4)), ROWS),
    "index_by_batch": (lambda: Function(lambda x: (x @ x.T)[:, : x.shape[0]] / len(x)), ROWS),
    "pick": (lambda: Function(lambda x: x[:, [2, 0, 2]] + x[:, np.array([1, 1, 0])]), IMAGE),
    "split": (lambda: Function(lambda x: (lambda a, b: a.sum(axis=1) * b.max(axis=1))(*xpnet.apply(ops.split, x, sizes=(1, 3), axis=1))), IMAGE),
    "embedding": (lambda: nn.Embedding(7, 4), WORDS),
    "embedding_padding": (lambda: nn.Embedding(7, 4, padding_idx=2), WORDS.astype("int32")),
    "bag_mean": (lambda: nn.EmbeddingBag(7, 4), WORDS),
    "bag_sum": (lambda: nn.EmbeddingBag(7, 4, mode="sum"), WORDS),
    "bag_max": (lambda: nn.EmbeddingBag(7, 4, mode="max"), WORDS),
    "bag_mean_padding": (lambda: nn.EmbeddingBag(7, 4, padding_idx=2), WORDS % 3),
    "bag_sum_padding": (lambda: nn.EmbeddingBag(7, 4, mode="sum", padding_idx=2), WORDS % 3),
    "bag_max_padding": (lambda: nn.EmbeddingBag(7, 4, mode="max", padding_idx=2), WORDS[:, :1] % 2 + 1),
    "bag_weights": (lambda: Bag(), WORDS),
    "rnn": (lambda: Outputs(nn.RNN(9, 3, batch_first=True)), SERIES),
    "rnn_relu": (lambda: Outputs(nn.RNN(9, 3, 2, "relu", bias=False, batch_first=True)), SERIES),
    "rnn_reverse": (lambda: Outputs(nn.RNN(9, 3, batch_first=True, bidirectional=True)), SERIES),
    "lstm": (lambda: Outputs(nn.LSTM(9, 3, batch_first=True)), SERIES),
    "lstm_deep": (lambda: Outputs(nn.LSTM(9, 3, 2, batch_first=True, bidirectional=True, dropout=0.5)), SERIES),
    "lstm_plain": (lambda: Outputs(nn.LSTM(9, 3, bias=False, batch_first=True)), SERIES),
    "gru": (lambda: Outputs(nn.GRU(9, 3, batch_first=True)), SERIES),
    "gru_deep": (lambda: Outputs(nn.GRU(9, 3, 2, batch_first=True, bidirectional=True)), SERIES),
    "gru_plain": (lambda: Outputs(nn.GRU(9, 3, bias=False, batch_first=True)), SERIES),
    "rnn_cell": (lambda: nn.RNNCell(4, 3), ROWS),
    "lstm_cell": (lambda: Outputs(nn.LSTMCell(4, 3)), ROWS),
    "gru_cell": (lambda: nn.GRUCell(4, 3), ROWS),
    "states": (lambda: States(), SERIES),
    "lengths": (lambda: Lengths(), SERIES),
    "dot_product": (lambda: Function(lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1)), SERIES),
    "dot_product_causal": (lambda: Function(
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.5)
    ), IMAGE),
    "dot_product_mask": (lambda: Function(
        lambda x: F.scaled_dot_product_attention(x, x, x, np.array([[True, False] * 2, [False] * 4, [True] * 4, [True] * 4]))
    ), SERIES),
    "dot_product_added": (lambda: Function(
        lambda x: F.scaled_dot_product_attention(x, x, x, np.linspace(-1, 1, 16, dtype="float32").reshape(4, 4))
    ), SERIES),
    "dot_product_own_mask": (lambda: Function(
        lambda x: F.scaled_dot_product_attention(x, x, x, x[:, None, :, 0] > 0)
    ), SERIES),
    "multihead": (lambda: SelfAttention(nn.MultiheadAttention(9, 3, batch_first=True)), SERIES),
    "multihead_heads": (lambda: SelfAttention(
        nn.MultiheadAttention(9, 3, batch_first=True, bias=False), average_attn_weights=False
    ), SERIES),
    "multihead_extra": (lambda: SelfAttention(
        nn.MultiheadAttention(9, 3, batch_first=True, add_bias_kv=True, add_zero_attn=True)
    ), SERIES),
    "multihead_causal": (lambda: SelfAttention(nn.MultiheadAttention(9, 3, batch_first=True), is_causal=True), SERIES),
    "multihead_mixed": (lambda: SelfAttention(
        nn.MultiheadAttention(9, 3, batch_first=True), is_causal=True, attn_mask=np.eye(4, k=1, dtype="float32")
    ), SERIES),
    "multihead_other_keys": (lambda: Cross(), SERIES),
    "transformer_layer": (lambda: nn.TransformerEncoderLayer(9, 3, 8, batch_first=True), SERIES),
    "transformer": (lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(9, 3, 8, activation="gelu", batch_first=True, norm_first=True), 2, nn.LayerNorm(9)
    ), SERIES),
    "sinusoidal": (lambda: nn.SinusoidalPositionalEncoding(9, 12, batch_first=True), SERIES),
    "learned_positions": (lambda: nn.LearnedPositionalEncoding(9, 12, batch_first=True), SERIES),
    "rotary": (lambda: Function(lambda x: F.rotary_embedding(x)), np.ascontiguousarray(SERIES[..., :8])),
    "rotary_halves": (lambda: Function(lambda x: F.rotary_embedding(x, interleaved=False)), IMAGE.swapaxes(2, 3)),
    "words": (lambda: Words(), WORDS % 3),
}  # fmt: skip


def other_batch(x):
    return np.concatenate([x, x[::-1] * 2 if x.dtype.kind == "f" else x[::-1], x[:1]])


def prepared(make, backend=None):
    """A network with statistics and scales that are not those of the start."""
    xpnet.manual_seed(1)
    model = make() if backend is None else make(backend=backend)
    rng = np.random.default_rng(2)
    state = {key: value for key, value in model.state_dict().items() if value.dtype.kind == "f" and value.ndim == 1}
    noise = {key: 1 + 0.2 * rng.random(value.shape).astype("float32") for key, value in state.items()}
    model.load_state_dict(noise, strict=False)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_every_model_there_and_back(name, tmp_path, backend):
    make, shape = MODELS[name]
    model = prepared(make, backend)
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype("float32")
    to_onnx(model, backend.asarray(x[:1]), tmp_path / "m.onnx")
    assert model.training
    read = from_onnx(tmp_path / "m.onnx", backend)
    with no_grad():
        expected, found = (backend.to_numpy(m.eval()(backend.asarray(x)).data) for m in (model, read))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert read.inputs[0].shape == (None, *shape)
    assert {k for k in model.state_dict() if not k.endswith("num_batches_tracked")} == set(read.state_dict())


@pytest.mark.slow
def test_alexnet_there_and_back(tmp_path):
    model = models.AlexNet(10).eval()
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype("float32")
    to_onnx(model, x[:1], tmp_path / "m.onnx")
    np.testing.assert_allclose(from_onnx(tmp_path / "m.onnx")(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_there_and_back(name, tmp_path):
    make, x = LAYERS[name]
    model = prepared(make).eval()
    to_onnx(model, x, tmp_path / "m.onnx")
    larger = other_batch(x)
    expected, found = model(larger), from_onnx(tmp_path / "m.onnx")(larger)
    expected = expected if isinstance(expected, np.ndarray) else expected.numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm_deep", "states", "multihead_extra", "bag_max_padding", "embedding", "prelu"])
def test_layers_of_another_backend(name, tmp_path, backend):
    make, x = LAYERS[name]
    model = prepared(make).eval().to(backend=backend)
    to_onnx(model, backend.asarray(x), tmp_path / "m.onnx")
    x = backend.asarray(other_batch(x))
    found, expected = (backend.to_numpy(m(x).data) for m in (from_onnx(tmp_path / "m.onnx", backend), model))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_several_outputs_names_and_remarks(tmp_path):
    two = Function(lambda x: (x + 1, x.mean(axis=1)))
    to_onnx(two, ROWS, tmp_path / "m", input_name="rows", output_name="out", metadata={"classes": "a b"})
    read = from_onnx(tmp_path / "m")
    assert (read.inputs[0].name, read.output_names, read.metadata) == ("rows", ["out", "out_1"], {"classes": "a b"})
    np.testing.assert_array_equal(read(ROWS)[0].numpy(), ROWS + 1)


class Translator(nn.Module):
    """Three inputs, two of them one pair: the states go in and come out."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3)

    def forward(self, x, states):
        return self.lstm(x, states)


def test_several_inputs_and_a_batch_that_is_not_in_front(tmp_path):
    model = Translator().eval()
    x, h, c = (RNG.standard_normal(shape).astype("float32") for shape in ((5, 7, 4), (1, 7, 3), (1, 7, 3)))
    names = ["x", "h", "c"]
    to_onnx(model, (x[:, :2], (h[:, :2], c[:, :2])), tmp_path / "m", input_name=names, batch_axis=1)
    read = from_onnx(tmp_path / "m")
    assert [(i.name, i.shape) for i in read.inputs] == [("x", (5, None, 4)), ("h", (1, None, 3)), ("c", (1, None, 3))]
    assert read.output_names == ["output", "output_1", "output_2"]
    assert set(read.state_dict()) == set(model.state_dict())
    y, states = model(x, (h, c))
    for found, expected in zip(read(x, h, c), (y, *states), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


STEPS = {
    "lstm": lambda: nn.LSTM(8, 3, 2, bidirectional=True),
    "gru": lambda: nn.GRU(8, 3),
    "positions": lambda: nn.LearnedPositionalEncoding(8, 12),
    "transformer": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 6), 2),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_steps_may_vary_instead_of_the_batch(name, tmp_path):
    model, x = STEPS[name]().eval(), RNG.standard_normal((9, 2, 8)).astype("float32")
    to_onnx(model, x[:3], tmp_path / "m", batch_axis=0)
    read = from_onnx(tmp_path / "m")
    assert read.inputs[0].shape == (None, 2, 8)
    expected, found = model(x), read(x)
    for one, other in zip(*(leaves(y) if isinstance(y, tuple) else [y] for y in (found, expected)), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_causal_attention_needs_its_number_of_steps(tmp_path):
    own = Function(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True))
    with pytest.raises(OnnxError, match="is_causal and a number of steps that is the batch axis"):
        to_onnx(own, SERIES, tmp_path / "m", batch_axis=1)


def test_offsets_cannot_be_written(tmp_path):
    class Offsets(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(7, 4)

        def forward(self, x):
            return self.bag(xpnet.as_tensor(x).reshape(-1), np.array([0, 3, 4]))

    with pytest.raises(OnnxError, match=r"embedding_bag with offsets: bags of unequal length need input \(N, L\)"):
        to_onnx(Offsets(), WORDS, tmp_path / "m")


class Masked(nn.Module):
    """Attention with a mask and a padding that are inputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 6, batch_first=True)

    def forward(self, x, mask, padding):
        return self.layer(x, src_mask=mask, src_key_padding_mask=padding)


def masks(n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 5, 8)).astype("float32")
    return x, np.tri(5, dtype=bool).T & ~np.eye(5, dtype=bool), rng.random((n, 5)) > 0.7


def test_masks_as_inputs(tmp_path):
    model = Masked().eval()
    to_onnx(model, masks(2), tmp_path / "m", batch_axis=(0, None, 0))
    read = from_onnx(tmp_path / "m")
    assert [i.shape for i in read.inputs] == [(None, 5, 8), (5, 5), (None, 5)]
    np.testing.assert_allclose(read(*masks(4)).numpy(), model(*masks(4)).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("example", "options", "message"), [
    ((ROWS, ROWS), {"input_name": ["a", "a"]}, r"needs 2 different input names, got \['a', 'a'\]"),
    ((ROWS, ROWS), {"input_name": ["a"]}, "needs 2 different input names"),
    ((ROWS, ROWS), {"batch_axis": [0]}, r"needs a batch axis for each of 2 inputs, at least one not None: \[0\]"),
    ((ROWS, ROWS), {"batch_axis": [None, None]}, "at least one not None"),
    (ROWS, {"batch_axis": 2}, r"needs an example with a batch axis at 2, got shape \(2, 4\)"),
])  # fmt: skip
def test_inputs_that_do_not_fit(example, options, message, tmp_path):
    with pytest.raises(OnnxError, match=message):
        to_onnx(nn.Identity(), example, tmp_path / "m", **options)


def test_what_is_computed_of_constants_alone_is_a_constant(tmp_path):
    table = xpnet.tensor(np.arange(4.0, dtype="float32"))
    to_onnx(Function(lambda x: x * (table * 2 + 1).sqrt()), ROWS, tmp_path / "m")
    assert [step.title.split("(")[1] for step in from_onnx(tmp_path / "m")._steps] == ["Mul)", "Identity)"]


def test_nothing_is_written_that_no_output_needs(tmp_path):
    class Wasteful(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.wasted = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            self.wasted(x)
            return self.used(x)

    to_onnx(Wasteful(), ROWS, tmp_path / "m")
    read = from_onnx(tmp_path / "m")
    assert sorted(read.state_dict()) == ["used.bias", "used.weight"]
    assert len(read.value_names) == 2


def test_an_example_of_one_number_hides_what_depends_on_it(tmp_path):
    masked = Function(lambda x: x.astype("float32") * (x.data != 0))
    for x, message in (
        (0 * WORDS, "holds only one integer: give one with several"),
        (WORDS % 3, "depends on the input"),
    ):
        with pytest.raises(OnnxError, match=message):
            to_onnx(masked, x, tmp_path / "m")


def test_a_mask_beside_the_ops_is_noticed_in_an_example_without_negatives(tmp_path):
    with pytest.raises(OnnxError, match="depends on the input, but was not computed by an op"):
        to_onnx(Function(lambda x: x * (x.data > 0).astype("float32")), abs(ROWS), tmp_path / "m")


def test_celu_of_another_dtype(tmp_path):
    x = WIDE.astype("float16")
    to_onnx(nn.CELU(0.7), x, tmp_path / "m")
    np.testing.assert_allclose(from_onnx(tmp_path / "m")(x).numpy(), nn.CELU(0.7)(x).numpy(), rtol=2e-3)


def test_float64_is_written_as_float32(tmp_path, caplog):
    model = nn.Sequential(nn.Linear(4, 3), nn.CELU(0.7)).to(dtype="float64")
    x = WIDE.astype("float64")
    to_onnx(model, x, tmp_path / "m")
    assert "m: float32, of a network in float64 (keep_float64=True" in caplog.text
    found = from_onnx(tmp_path / "m")
    assert found.metadata["dtype"].startswith("float32, of a network in float64")
    assert {str(p.dtype) for p in [*found.parameters(), *model.parameters()]} == {"float32", "float64"}  # stays itself
    y = found(x.astype("float32"))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)


def test_float64_is_kept_where_asked(tmp_path, caplog):
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh()).to(dtype="float64")
    x = WIDE.astype("float64")
    to_onnx(model, x, tmp_path / "m", keep_float64=True)
    np.testing.assert_allclose(from_onnx(tmp_path / "m")(x).numpy(), model(x).numpy(), rtol=1e-12)
    to_onnx(nn.Tanh(), WIDE, tmp_path / "m", keep_float64=True)  # float32 stays
    assert from_onnx(tmp_path / "m")(WIDE).dtype == np.float32
    assert not caplog.text


@pytest.mark.parametrize("layer", [
    nn.ELU(), nn.GELU(), nn.SELU(), nn.Softplus(), nn.Mish(), nn.Softsign(), nn.CELU(), nn.Hardswish(), nn.Hardsigmoid(),
])  # fmt: skip
def test_float64_is_refused_where_no_runtime_has_it(layer, tmp_path):
    with pytest.raises(OnnxError, match=r"onnxruntime has no kernel of float64 for .* leave keep_float64 out"):
        to_onnx(layer, WIDE.astype("float64"), tmp_path / "m", keep_float64=True)
    assert not (tmp_path / "m").exists()


def test_a_cast_to_float64_on_the_way(tmp_path):
    """Asked for by the network itself: it stays, where a runtime can compute it."""
    to_onnx(Function(lambda x: x.astype("float64").tanh()), WIDE, tmp_path / "m")
    assert from_onnx(tmp_path / "m")(WIDE).dtype == np.float64
    with pytest.raises(OnnxError, match=r"no kernel of float64 for Erf on a CPU: compute them in float32"):
        to_onnx(Function(lambda x: F.gelu(x.astype("float64"))), WIDE, tmp_path / "m")
    to_onnx(Function(lambda x: F.gelu(x).astype("float64")), WIDE, tmp_path / "m")


def test_numbers_beyond_float32(tmp_path):
    model = nn.Linear(4, 1, dtype="float64")
    model.bias.data[:] = 1e300
    with pytest.raises(OnnxError, match="weight 'bias' has numbers beyond float32"):
        to_onnx(model, ROWS.astype("float64"), tmp_path / "m")
    low = float(np.finfo("float64").min)
    to_onnx(Function(lambda x: xpnet.maximum(x, low) - low), ROWS.astype("float64"), tmp_path / "m")
    assert np.isfinite(from_onnx(tmp_path / "m")(ROWS).numpy()).all()


def test_every_layer_is_in_the_table():
    """A new layer needs a case above, or has no place in a file."""
    seen = set()
    for make in [make for make, _ in LAYERS.values()] + [make for make, _ in MODELS.values()]:
        seen |= {type(module).__name__ for module in make().modules()}
    layers = {
        name for name in nn.__all__ if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    losses = {name for name in layers if name.endswith("Loss")}
    containers = {"Module", "ModuleDict", "ModuleList", "Sequential", "Identity", "Penalty"}
    alike = {  # one op with a layer above
        "ConstantPad1d", "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d", "CircularPad1d",
        "Dropout2d",
    }  # fmt: skip
    assert layers - seen - losses - containers == alike


def test_weights_used_twice_are_written_once(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.b = nn.Linear(4, 4)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    to_onnx(Tied(), ROWS, tmp_path / "m")
    assert sorted(from_onnx(tmp_path / "m").state_dict()) == ["a.bias", "a.weight", "b.bias"]


def test_training_goes_on_as_before(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.5)))
    model[2].eval()
    before = model.state_dict()
    to_onnx(model, ROWS, tmp_path / "m")
    assert (model.training, model[1].training, model[2].training) == (True, True, False)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


class Own(nn.Module):
    """A module with an op that is known nowhere else."""

    def forward(self, x):
        return xpnet.apply(strange, x)


def strange(xp, x):
    return x + 1, lambda dy, needs=(True,): (dy,)


@pytest.mark.parametrize(("make", "x", "message"), [
    (lambda: nn.BatchNorm2d(4, track_running_stats=False), IMAGE, "the statistics of a batch"),
    (lambda: Function(lambda x: x * (x.data > 0).astype("float32")), ROWS, "multiply: argument 1 .* depends on the input"),
    (lambda: Function(lambda x: x + 1 if len(x) == 2 else x * 2), ROWS, "computes different ops for another batch"),
    (lambda: Function(lambda x: F.cross_entropy(x, np.zeros(len(x), "int64"))), ROWS, "'cross_entropy': it computes a loss"),
    (lambda: Own(), ROWS, "does not know how to write 'strange'"),
    (lambda: Function(lambda x: F.dropout(x, 0.5)), ROWS, "'dropout': it drops units in evaluation mode, too"),
    (lambda: Function(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)), SERIES, "attention with dropout"),
    (lambda: Function(lambda x: x[x > 0]), ROWS, "a mask as index"),
    (lambda: Function(lambda x: x[[0, 1], [1, 0]]), ROWS, "an index of several arrays"),
    (lambda: Function(lambda x: x[:, np.asarray(x.data[0] > 0).astype(int)]), ROWS, "its index of shape .* depends on the input"),
    (lambda: Function(lambda x: x.reshape(-1)[: x.shape[0] ** 2]), ROWS, "a length that is 4 for 2 samples and 25 for 5"),
    (lambda: Function(lambda x: x.clip(0.0, len(x))), ROWS, "clip: its options depend on the batch"),
    (lambda: Function(lambda x: F.interpolate(x, size=(len(x), 3))), IMAGE, "its options depend on the batch"),
])  # fmt: skip
def test_what_cannot_be_written_says_where(make, x, message, tmp_path):
    model = nn.Sequential(nn.Identity(), nn.Sequential(make()))
    with pytest.raises(OnnxError, match=message) as caught:
        to_onnx(model, x, tmp_path / "m")
    assert str(caught.value).startswith("layer '1.0' (")
    assert not list(tmp_path.iterdir())
    assert model.training


def test_other_errors(tmp_path):
    with pytest.raises(OnnxError, match="needs an example with a batch axis in front"):
        to_onnx(nn.Identity(), np.float32(1) * np.ones(()), tmp_path / "m")
    with pytest.raises(OnnxError, match="an output of type dict was not computed"):
        to_onnx(Function(lambda x: {"a": x}), ROWS, tmp_path / "m")
    with pytest.raises(ValueError, match=r"layer '0' \(Linear\): expected input of shape \(\.\.\., 7\)"):
        to_onnx(nn.Sequential(nn.Linear(7, 2)), ROWS, tmp_path / "m")


# -- computed by onnxruntime -----------------------------------------------------------------------------------------


@pytest.fixture
def compute():
    """What onnxruntime makes of a file."""
    runtime = pytest.importorskip("onnxruntime", reason="compares with onnxruntime: pip install onnxruntime onnx")
    checker = pytest.importorskip("onnx.checker", reason="compares with onnxruntime: pip install onnxruntime onnx")

    def run(path, *inputs):
        checker.check_model(str(path), full_check=True)
        names = ["input" if i == 0 else f"input_{i}" for i in range(len(inputs))]
        return runtime.InferenceSession(str(path)).run(None, dict(zip(names, inputs, strict=True)))

    return run


def test_several_inputs_in_onnxruntime(tmp_path, compute):
    model = Translator().eval()
    x, h, c = (RNG.standard_normal(shape).astype("float32") for shape in ((5, 7, 4), (1, 7, 3), (1, 7, 3)))
    to_onnx(model, (x[:, :2], (h[:, :2], c[:, :2])), tmp_path / "m", batch_axis=1)
    y, states = model(x, (h, c))
    found = compute(tmp_path / "m", x, h, c)
    for one, expected in zip(found, (y, *states), strict=True):
        np.testing.assert_allclose(one, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_masks_in_onnxruntime(tmp_path, compute):
    model = Masked().eval()
    to_onnx(model, masks(2), tmp_path / "m", batch_axis=(0, None, 0))
    np.testing.assert_allclose(compute(tmp_path / "m", *masks(4))[0], model(*masks(4)).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_in_onnxruntime(name, tmp_path, compute):
    make, shape = MODELS[name]
    model = prepared(make).eval()
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype("float32")
    to_onnx(model, x[:1], tmp_path / "m.onnx")
    found = compute(tmp_path / "m.onnx", x)[0]
    np.testing.assert_allclose(found, model(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_in_onnxruntime(name, tmp_path, compute):
    make, x = LAYERS[name]
    model = prepared(make).eval()
    to_onnx(model, x, tmp_path / "m.onnx")
    larger = other_batch(x)
    found, expected = compute(tmp_path / "m.onnx", larger)[0], xpnet.as_tensor(model(larger)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def in_float64(x):
    return x.astype("float64") if x.dtype.kind == "f" else x


@pytest.mark.parametrize(
    "name", [n for n in LAYERS if n not in ("bag_weights", "dot_product_added", "multihead_mixed", "words")]
)
def test_every_layer_of_float64_in_onnxruntime(name, tmp_path, compute):
    """All of them load; those that are left out bring float32 with them."""
    make, x = LAYERS[name]
    model = prepared(make).eval().to(dtype="float64")
    larger = other_batch(x)
    expected = xpnet.as_tensor(model(in_float64(larger))).numpy()
    to_onnx(model, in_float64(x), tmp_path / "m.onnx")
    np.testing.assert_allclose(compute(tmp_path / "m.onnx", larger)[0], expected, rtol=2e-5, atol=2e-5)
    try:
        to_onnx(model, in_float64(x), tmp_path / "d.onnx", keep_float64=True)
    except OnnxError as error:
        assert "has no kernel of float64" in str(error)  # noqa: PT017
        return
    np.testing.assert_allclose(compute(tmp_path / "d.onnx", in_float64(larger))[0], expected, rtol=1e-6, atol=1e-6)


def test_an_estimator_of_float64_in_onnxruntime(tmp_path, compute):
    pytest.importorskip("sklearn", reason="needs scikit-learn: pip install xpnet[sklearn]")
    from xpnet.sklearn import XPClassifier

    X = np.random.default_rng(0).standard_normal((40, 3))
    estimator = XPClassifier((4,), activation="elu", epochs=2).fit(X, X[:, 0] > 0)
    to_onnx(estimator.model_, X[:1], tmp_path / "m.onnx")
    found = compute(tmp_path / "m.onnx", X.astype("float32"))[0]
    np.testing.assert_allclose(found, estimator.model_.eval()(X).numpy(), rtol=1e-4, atol=1e-5)


def test_the_trained_lenet_gives_the_same_logits_in_onnxruntime(data_dir, tmp_path, compute):
    path = data_dir / "pretrained/lenet5_mnist.npz"
    if not path.exists():
        pytest.skip("XPNET_DATA has no pretrained/lenet5_mnist.npz")
    names = {"c1": "conv1", "c3": "conv2", "c5": "conv3", "f6": "fc1", "f7": "fc2"}
    keys = {key: key.split(".") for key in load_npz(path)}
    model = models.LeNet5().eval()
    model.load_state_dict({f"{names[k[1]]}.{k[2]}": load_npz(path)[key] for key, k in keys.items()})
    x = xpnet.data.to_float(xpnet.data.load_mnist(data_dir)[1].inputs[:500])[:, None]
    to_onnx(model, x[:1], tmp_path / "m.onnx")
    found = compute(tmp_path / "m.onnx", x)[0]
    assert np.abs(found - model(x).numpy()).max() < 1e-5
