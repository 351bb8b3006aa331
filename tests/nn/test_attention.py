"""Attention layers: equal to PyTorch's, right by finite differences, the same on every backend; and what they promise."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest

import xpnet
from tests.nn.attention import CASES
from tests.support.standin import no_traffic
from xpnet import nn, ops
from xpnet.nn import functional as F
from xpnet.nn.functional.attention import attention_and_weights
from xpnet_backends import get_backend

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/attention.npz", allow_pickle=False)
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape)


def make(case, backend, dtype="float64"):
    """The layer with the recorded parameters."""
    layer = case.build(nn)
    layer.to(backend=backend, dtype=dtype)
    layer.load_state_dict({key: case.fill(key, tuple(value.shape)) for key, value in layer.state_dict().items()})
    return layer


def place(x, backend, dtype):
    return backend.asarray(x.astype(dtype) if x.dtype.kind == "f" else x)


def arguments(case, backend, dtype="float64"):
    """Options of the call; an added mask asks for its gradient."""
    found = {}
    for key, value in case.arguments().items():
        found[key] = value if not isinstance(value, np.ndarray) else xpnet.Tensor(place(value, backend, dtype))
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            found[key].requires_grad = True
    return found


def tensors(case, backend, dtype="float64"):
    return [xpnet.Tensor(place(x, backend, dtype), requires_grad=True) for x in case.inputs()]


def backpropagate(case, outputs, backend, dtype="float64"):
    total = 0.0
    for i, part in enumerate(outputs):
        weights = case.generator(f"dy{i}").uniform(-1, 1, part.shape)
        total = total + (part * place(weights, backend, dtype)).sum()
    total.backward()


def parts(y):
    return [part for part in (y if isinstance(y, tuple) else (y,)) if part is not None]


def run(case, layer, backend, dtype="float64"):
    """Outputs, gradients of inputs, of added masks and of parameters, in the order in which they were recorded."""
    layer.zero_grad()
    inputs, options = tensors(case, backend, dtype), arguments(case, backend, dtype)
    outputs = parts(layer(*(inputs[i] for i in case.same), **options))
    backpropagate(case, outputs, backend, dtype)
    added = [v for k, v in options.items() if "mask" in k and v.requires_grad]
    names = [f"d{key}" for key, _ in layer.named_parameters()]
    gradients = [t.grad for t in (*inputs, *added, *layer.parameters())]
    names = [*(f"y{i}" for i in range(len(outputs))), *(f"dx{i}" for i in range(len(inputs) + len(added))), *names]
    return dict(zip(names, [*(part.data for part in outputs), *gradients], strict=True))


def compare(case, results, backend, **tolerance):
    expected, start = RECORDED[case.name], 0
    for name, value in results.items():
        array = backend.to_numpy(value)
        recorded = expected[start : start + array.size].reshape(array.shape)
        np.testing.assert_allclose(array, recorded, **tolerance, err_msg=name)
        start += array.size
    assert start == expected.size


# -- against PyTorch -------------------------------------------------------------------------------------------------


@by_name
def test_equal_to_pytorch(case, backend):
    layer = make(case, backend)
    assert " ".join(layer.state_dict()) == str(RECORDED[f"{case.name}/keys"])
    for mode in (True, False):
        compare(case, run(case, layer.train(mode), backend), backend, rtol=1e-10, atol=1e-12)


def test_all_that_is_recorded_is_compared():
    assert {key.removesuffix("/keys") for key in RECORDED.files if key != "torch"} == {case.name for case in CASES}


@by_name
def test_float32_stays_float32(case):
    numpy = get_backend("numpy")
    results = run(case, make(case, numpy, "float32"), numpy, "float32")
    assert {value.dtype for value in results.values()} == {np.dtype("float32")}
    compare(case, results, numpy, rtol=2e-4, atol=2e-5)


@by_name
def test_gradients(case):
    numpy = get_backend("numpy")
    layer = make(case, numpy)
    options = {k: v.data if isinstance(v, xpnet.Tensor) else v for k, v in arguments(case, numpy).items()}

    def function(*inputs):
        return tuple(parts(layer(*(inputs[i] for i in case.same), **options)))

    assert xpnet.gradcheck(function, *case.inputs(), parameters=list(layer.parameters()), directions=1) < 1e-6


@by_name
def test_a_step_on_a_device_makes_no_traffic(case):
    standin = get_backend("standin")
    layer = make(case, standin, "float32")
    inputs, options = tensors(case, standin, "float32"), arguments(case, standin, "float32")
    with no_traffic():
        y, *weights = parts(layer(*(inputs[i] for i in case.same), **options))
        total = y.sum()
        for w in weights:
            total = total + (w * w).sum()
        total.backward()


# -- the op ----------------------------------------------------------------------------------------------------------


def by_definition(q, k, v, mask, causal, scale):
    """Query by query, key by key."""
    y = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        seen = [j for j in range(len(k)) if (not causal or j <= i) and (mask is None or mask[i, j])]
        weights = [math.exp(scale * sum(q[i] * k[j])) for j in seen]
        for j, w in zip(seen, weights, strict=True):
            y[i] += w / sum(weights) * v[j]
    return y


@pytest.mark.parametrize("seed", range(8))
def test_attention_is_its_definition(seed, backend):
    rng = np.random.default_rng(seed)
    length, keys, features, out = rng.integers(1, 6, 4)
    q, k, v = (rng.standard_normal(s) for s in ((length, features), (keys, features), (keys, out)))
    mask = rng.random((length, keys)) < 0.6 if seed % 2 else None
    causal, scale = bool(rng.integers(2)), float(rng.uniform(0.1, 2))
    on = [backend.asarray(x) for x in (q, k, v)]
    y = F.scaled_dot_product_attention(
        *on, None if mask is None else backend.asarray(mask), is_causal=causal, scale=scale
    )
    np.testing.assert_allclose(y.numpy(), by_definition(q, k, v, mask, causal, scale), rtol=1e-12, atol=1e-14)


def test_the_weights_have_a_gradient_too():
    q, k, v, bias = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 2), normal(3, 5)
    keep = RNG.random((2, 3, 5)) < 0.7

    def both(*arrays):
        return xpnet.apply(ops.scaled_dot_product_attention, *arrays, keep, causal=True, p=0.3)

    assert xpnet.gradcheck(both, q, k, v, bias) < 1e-6
    assert xpnet.gradcheck(lambda *a: both(*a)[1], q, k, v, bias) < 1e-6


def test_every_piece_of_a_split_has_its_gradient():
    assert xpnet.gradcheck(lambda x: xpnet.apply(ops.split, x, sizes=(1, 3, 2)), normal(2, 6)) < 1e-6
    assert xpnet.gradcheck(lambda x: xpnet.apply(ops.split, x, sizes=(1, 3, 2))[1:], normal(2, 6)) < 1e-6


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_that_sees_nothing_gets_zeros(kind, backend):
    visible = np.array([[True, False, True], [False, False, False]])
    mask = visible if kind == "bool" else np.where(visible, 0.0, -np.inf)
    inputs = [xpnet.Tensor(backend.asarray(normal(*s)), requires_grad=True) for s in ((2, 4), (3, 4), (3, 2))]
    y, weights = attention_and_weights(*inputs, backend.asarray(mask))
    (y.sum() + (weights * weights).sum()).backward()
    assert (y.numpy()[1] == 0).all()
    assert (weights.numpy()[1] == 0).all()
    assert np.isfinite(y.numpy()).all()
    for t in inputs:
        assert np.isfinite(backend.to_numpy(t.grad)).all()
    assert (backend.to_numpy(inputs[0].grad)[1] == 0).all()


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_sequence_of_padding_alone_gives_no_nan(need_weights):
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True, dtype="float64"), normal(2, 3, 4)
    padding = np.array([[True, True, True], [False, False, True]])
    y, weights = layer(x, x, x, padding, need_weights)
    np.testing.assert_array_equal(y.numpy()[0], np.broadcast_to(layer.out_proj.bias.numpy(), (3, 4)))
    assert np.isfinite(y.numpy()).all()
    assert weights is None or (weights.numpy()[0] == 0).all()
    y.sum().backward()
    assert all(np.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_large_scores_do_not_overflow(dtype):
    q, v = np.full((1, 1), 100.0, dtype), np.array([[1.0], [2.0]], dtype)
    y = F.scaled_dot_product_attention(q, np.array([[100.0], [-100.0]], dtype), v)
    assert y.dtype == dtype
    assert y.tolist() == [[1.0]]


# -- what attention promises -----------------------------------------------------------------------------------------


def encoder(**options):
    layer = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True, dtype="float64", **options)
    return nn.TransformerEncoder(layer, 3)


@pytest.mark.parametrize("how", ["flag", "mask", "added mask"])
def test_the_future_does_not_change_the_past(how):
    model, x, changed = encoder(), normal(2, 6, 4), normal(2, 6, 4)
    later = np.triu(np.ones((6, 6), bool), 1)
    causal = {"flag": {"is_causal": True}, "mask": {"mask": later}, "added mask": {"mask": np.where(later, -np.inf, 0)}}
    for t in range(6):
        changed[:, :t] = x[:, :t]
        y, z = (model(a, **causal[how]).numpy() for a in (x, changed))
        np.testing.assert_array_equal(y[:, :t], z[:, :t])
        assert (y[:, t:] != z[:, t:]).all()
    leaf = xpnet.Tensor(x, requires_grad=True)
    (model(leaf, **causal[how])[:, 2] * normal(4)).sum().backward()
    assert (leaf.grad[:, 3:] == 0).all()
    assert (leaf.grad[:, :3] != 0).any()


def test_without_masks_and_positions_the_order_does_not_matter():
    model, x, order = encoder(norm_first=True), normal(2, 6, 4), RNG.permutation(6)
    np.testing.assert_allclose(model(x[:, order]).numpy(), model(x).numpy()[:, order], rtol=1e-12, atol=1e-14)
    placed = nn.Sequential(nn.SinusoidalPositionalEncoding(4, batch_first=True, dtype="float64"), model)
    assert np.abs(placed(x[:, order]).numpy() - placed(x).numpy()[:, order]).max() > 0.01


def test_padding_is_as_if_it_were_not_there():
    model, x = encoder(), normal(2, 6, 4)
    padding = np.zeros((2, 6), bool)
    padding[0, 4:] = True
    y = model(x, src_key_padding_mask=padding).numpy()
    np.testing.assert_allclose(y[0, :4], model(x[:1, :4]).numpy()[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(y[1], model(x[1:]).numpy()[0], rtol=1e-12, atol=1e-14)


def test_causal_needs_no_mask_and_adds_to_one():
    layer, x = nn.MultiheadAttention(4, 2, dtype="float64", add_zero_attn=True), normal(3, 2, 4)
    later = np.triu(np.ones((3, 3), bool), 1)
    y, weights = layer(x, x, x, is_causal=True)
    expected, same = layer(x, x, x, attn_mask=later)
    np.testing.assert_array_equal(y.numpy(), expected.numpy())
    np.testing.assert_array_equal(weights.numpy(), same.numpy())
    assert (weights.numpy()[:, 0, 3] > 0).all()  # the key of zeros stays visible


# -- dropout, copies, initial values -----------------------------------------------------------------------------------


def test_dropout_of_weights(backend):
    q, k = backend.asarray(np.zeros((50, 40), "f")), backend.asarray(np.zeros((60, 40), "f"))
    y, weights = attention_and_weights(q, k, backend.asarray(np.ones((60, 1), "f")), dropout_p=0.4)
    found = np.unique(weights.numpy())
    np.testing.assert_allclose(found, [0, 1 / 60 / 0.6], rtol=1e-6)
    assert (weights.numpy() == 0).mean() == pytest.approx(0.4, abs=0.03)
    np.testing.assert_allclose(y.numpy()[:, 0], weights.numpy().sum(1), rtol=1e-5)


def test_dropout_is_off_in_evaluation_and_drawn_anew_in_training():
    layer, x = nn.MultiheadAttention(4, 2, dropout=0.5, dtype="float64"), normal(5, 2, 4)
    first, second = layer(x, x, x)[0].numpy(), layer(x, x, x)[0].numpy()
    assert (first != second).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x, x, x)[0].numpy(), layer(x, x, x)[0].numpy())
    xpnet.manual_seed(0)
    np.testing.assert_array_equal(layer.train()(x, x, x)[0].numpy(), first)


def test_the_layers_of_an_encoder_drop_differently():
    layer = nn.TransformerEncoderLayer(4, 2, 8, 0.5, dtype="float64")
    model = nn.TransformerEncoder(layer, 2)
    x = normal(5, 2, 4)
    assert (model.layers[0](x).numpy() != model.layers[1](x).numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model.layers[0](x).numpy(), model.layers[1](x).numpy())


def test_an_encoder_is_made_of_copies():
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    model = nn.TransformerEncoder(layer, 3, nn.LayerNorm(4), enable_nested_tensor=False, mask_check=False)
    parameters = [list(each.parameters()) for each in (layer, *model.layers.children())]
    for copies in zip(*parameters, strict=True):
        assert len({id(p) for p in copies}) == 4
        for p in copies[1:]:
            np.testing.assert_array_equal(p.numpy(), copies[0].numpy())
            assert not np.shares_memory(p.data, copies[0].data)
    assert len(list(model.parameters())) == 3 * len(parameters[0]) + 2
    assert model.layers[2].self_attn._path == "layers.2.self_attn"
    model.layers[0].linear1.weight.data[...] = 0
    assert (model.layers[1].linear1.weight.numpy() != 0).all()
    assert (layer.linear1.weight.numpy() != 0).all()
    again = copy.deepcopy(model)
    np.testing.assert_array_equal(again.layers[1].linear1.weight.numpy(), layer.linear1.weight.numpy())


def test_initial_values():
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert 0.9 * bound < np.abs(layer.in_proj_weight.numpy()).max() <= bound
    assert np.abs(layer.out_proj.weight.numpy()).max() <= 1 / 8
    assert (layer.in_proj_bias.numpy() == 0).all()
    assert (layer.out_proj.bias.numpy() == 0).all()
    assert layer.bias_k.numpy().std() == pytest.approx(math.sqrt(2 / 128), rel=0.4)
    separate = nn.MultiheadAttention(64, 4, kdim=32)
    assert 0.9 < np.abs(separate.k_proj_weight.numpy()).max() / math.sqrt(6 / 96) <= 1


def test_an_encoder_learns():
    """Which of two symbols came first: without positions it could not be told."""
    xpnet.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 8), nn.LearnedPositionalEncoding(8, 4, batch_first=True),
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 1), nn.Flatten(),
        nn.Linear(32, 2),
    )  # fmt: skip
    places = np.array([(i, j) for i in range(4) for j in range(4) if i != j])
    x = np.zeros((len(places), 4, 2), "f")
    x[np.arange(len(places)), places[:, 0], 0] = 1
    x[np.arange(len(places)), places[:, 1], 1] = 1
    labels = (places[:, 0] < places[:, 1]).astype(int)
    optimizer = xpnet.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


# -- positions -------------------------------------------------------------------------------------------------------


def test_sinusoidal_positions(backend):
    layer = nn.SinusoidalPositionalEncoding(5, 7, dtype="float64")
    table = backend.to_numpy(layer.table)
    for t in range(7):
        for i in range(5):
            angle = t / 10000 ** (2 * (i // 2) / 5)
            assert table[t, i] == pytest.approx(math.sin(angle) if i % 2 == 0 else math.cos(angle), abs=1e-14)
    assert list(layer.state_dict()) == []
    x = normal(6, 2, 5)
    np.testing.assert_array_equal(layer(backend.asarray(x)).numpy(), x + table[:6, None])
    np.testing.assert_array_equal(layer(backend.asarray(x[:, 0])).numpy(), x[:, 0] + table[:6])
    layer.batch_first = True
    np.testing.assert_array_equal(layer(backend.asarray(x)).numpy(), x + table[:2])


def test_learned_positions(backend):
    layer, x = nn.LearnedPositionalEncoding(4, 6, batch_first=True, dtype="float64"), backend.asarray(normal(2, 3, 4))
    assert list(layer.state_dict()) == ["weight"]
    np.testing.assert_array_equal(
        layer(x).numpy(), backend.to_numpy(x) + backend.to_numpy(layer.state_dict()["weight"])[:3]
    )
    assert xpnet.gradcheck(layer, x, parameters=list(layer.parameters())) < 1e-6
    with no_traffic():
        layer(x).sum().backward()


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_is_a_turn_in_the_complex_plane(interleaved, backend):
    x = normal(2, 3, 5, 6)
    u, v = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :3], x[..., 3:])
    turned = (u + 1j * v) * np.exp(1j * np.arange(5)[:, None] * 100.0 ** (-np.arange(3) / 3))
    on = backend.asarray(x)
    with no_traffic():
        y = F.rotary_embedding(on, base=100.0, interleaved=interleaved)
    y = y.numpy()
    back = y[..., 0::2] + 1j * y[..., 1::2] if interleaved else y[..., :3] + 1j * y[..., 3:]
    np.testing.assert_allclose(back, turned, rtol=1e-12, atol=1e-13)
    assert F.rotary_embedding(x.astype("f"), interleaved=interleaved).dtype == "float32"
    assert xpnet.gradcheck(lambda a: F.rotary_embedding(a, interleaved=interleaved), x[0, 0]) < 1e-6


def test_rotary_products_depend_on_the_distance_alone():
    q, k = normal(4, 8), normal(4, 8)
    places = np.arange(4)

    def products(shift):
        a, b = F.rotary_embedding(q, places + shift), F.rotary_embedding(k, places + shift)
        return a.numpy() @ b.numpy().T

    np.testing.assert_allclose(products(100), products(0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose((F.rotary_embedding(q).numpy() ** 2).sum(1), (q**2).sum(1), rtol=1e-12)
    each = np.stack([F.rotary_embedding(q, np.array(p)).numpy() for p in ([0, 1, 2, 3], [5, 5, 0, 1])])
    np.testing.assert_array_equal(
        F.rotary_embedding(np.stack([q, q]), np.array([[0, 1, 2, 3], [5, 5, 0, 1]])).numpy(), each
    )


# -- errors ----------------------------------------------------------------------------------------------------------

X = np.zeros((3, 2, 4), "f")


def mha(**options):
    return nn.MultiheadAttention(4, 2, **options)


@pytest.mark.parametrize(("make_and_run", "match"), [
    (lambda: F.scaled_dot_product_attention(X[0, 0], X, X), r"expected \(..., L, E\), .* got query \(4,\)"),
    (lambda: F.scaled_dot_product_attention(X, X[..., :3], X), "same number of features, got .* key .3, 2, 3"),
    (lambda: F.scaled_dot_product_attention(X, X, X[:, :1]), "as many values as keys, got"),
    (lambda: F.scaled_dot_product_attention(X, X[:2], X[:2]), "leading axes do not broadcast"),
    (lambda: F.scaled_dot_product_attention(X, X, X, np.ones((3, 3), bool)), r"\(3, 3\) does not broadcast to .* = \(3, 2, 2\)"),
    (lambda: F.scaled_dot_product_attention(X[0], X[0], X[0], np.ones((3, 2, 2), bool)), "does not broadcast"),
    (lambda: F.scaled_dot_product_attention(X, X, X, dropout_p=1.5), "dropout_p must be a probability .* got 1.5"),
    (lambda: F.rotary_embedding(X[..., :3]), "even number of features, got"),
    (lambda: F.rotary_embedding(X, np.arange(3)), r"expected 2 positions, got shape \(3,\)"),
    (lambda: nn.MultiheadAttention(4, 3), "3 heads do not divide embed_dim=4"),
    (lambda: nn.MultiheadAttention(0, 1), "embed_dim must be a positive whole number, got 0"),
    (lambda: nn.MultiheadAttention(4, 2, kdim=-1), "kdim must be a positive whole number, got -1"),
    (lambda: mha(dropout=2), "dropout must be a probability between 0 and 1, got 2"),
    (lambda: mha()(X[..., :3], X, X), r"expected query of shape \(T, N, 4\) or \(T, 4\), .* got \(3, 2, 3\)"),
    (lambda: mha(kdim=5, batch_first=True)(X, X, X), r"expected key of shape \(N, T, 5\) or"),
    (lambda: mha()(X, X[0], X[0]), r"expected key of shape .* a batch or none, got \(2, 4\)"),
    (lambda: mha()(X, X, X[:2]), "as many values as keys, got key"),
    (lambda: mha()(X, X[:, :1], X[:, :1]), r"same batch size in \(T, N, E\)"),
    (lambda: mha()(X, X, X, attn_mask=np.ones((2, 3), bool)), r"attn_mask must have shape \(L, S\) = \(3, 3\) or \(N·heads, L, S\) = \(4, 3, 3\), got \(2, 3\)"),
    (lambda: mha()(X, X, X, np.ones((3, 2), bool)), r"key_padding_mask must have shape \(N, S\) = \(2, 3\), got \(3, 2\)"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "activation must be 'relu', 'gelu' or a function, got 'tanh'"),
    (lambda: nn.TransformerEncoder(nn.Linear(2, 2), 0), "num_layers must be a positive whole number, got 0"),
    (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2)(X[..., :3]), r"layer 'layers.0.self_attn' .*expected query"),
    (lambda: nn.SinusoidalPositionalEncoding(4, 0), "max_len must be a positive whole number, got 0"),
    (lambda: nn.SinusoidalPositionalEncoding(4, 2)(X), "a sequence of 3 steps is longer than max_len=2"),
    (lambda: nn.LearnedPositionalEncoding(3, 5, batch_first=True)(X), r"expected input of shape \(N, T, 3\) or \(T, 3\), got"),
])  # fmt: skip
def test_errors(make_and_run, match):
    with pytest.raises(ValueError, match=match):
        make_and_run()


@pytest.mark.parametrize(("make_and_run", "match"), [
    (lambda: F.scaled_dot_product_attention(X.astype(int), X, X), "attention: query: expected floating-point input, got int64"),
    (lambda: F.scaled_dot_product_attention(X, X, X, np.ones((2, 2), int)), "attn_mask must be boolean or floating-point, got int64"),
    (lambda: mha()(X, X, X, np.ones((2, 3), int)), "key_padding_mask must be boolean or floating-point, got int64"),
    (lambda: F.scaled_dot_product_attention(X, X, X, np.ones((2, 2))), "two floating dtypes"),
])  # fmt: skip
def test_type_errors(make_and_run, match):
    with pytest.raises(TypeError, match=match):
        make_and_run()
