"""Networks from ONNX files, against what onnxruntime computed, and damaged ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from xpnet import data, no_grad, optim
from xpnet.gradcheck import gradcheck
from xpnet.interchange import OnnxError, from_onnx
from xpnet.interchange.onnx import messages
from xpnet.interchange.onnx.messages import attribute, to_tensor
from xpnet.interchange.onnx.protobuf import decode, encode
from xpnet.interchange.onnx.reader_ops import erf
from xpnet.tensor import apply


def recorded(name):
    """Per case: the file, its inputs in order, and its outputs."""
    with np.load(Path(__file__).parent.parent / "fixtures" / name, allow_pickle=False) as file:
        content, index = file["content"].tobytes(), json.loads(file["index"].tobytes())
    cases = {}
    for key, (start, dtype, shape) in index.items():
        name, _, what = key.rpartition("/")
        array = np.frombuffer(content, dtype, int(np.prod(shape)), start).reshape(shape)
        cases.setdefault(name, {})[what] = array
    return cases


CASES = recorded("onnx.npz")
NETWORKS = recorded("onnx_networks.npz")


@pytest.mark.parametrize("name", CASES)
def test_each_op_as_onnxruntime_computes_it(name, backend, tmp_path):
    case = CASES[name]
    (tmp_path / "m.onnx").write_bytes(case["model"].tobytes())
    model = from_onnx(tmp_path / "m.onnx", backend)
    found = model(*(backend.asarray(case[key]) for key in sorted(case) if key[0] == "x"))
    wanted = [case[key] for key in sorted(case) if key[0] == "y"]
    for y, expected in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True):
        y = y if isinstance(y, np.ndarray) else backend.to_numpy(y.data)
        assert y.dtype == expected.dtype
        assert y.shape == expected.shape
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_pytorch_exports_them(name, backend, tmp_path):
    """On another batch, and mostly another size, than they were exported with."""
    case = NETWORKS[name]
    (tmp_path / "m.onnx").write_bytes(case["model"].tobytes())
    found = from_onnx(tmp_path / "m.onnx", backend)(backend.asarray(case["x"]))
    wanted = [case[key] for key in sorted(case) if key[0] == "y"]
    for y, expected in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True):
        np.testing.assert_allclose(backend.to_numpy(y.data), expected, rtol=1e-5, atol=2e-6)


def test_networks_of_others_learn_through_every_layer(tmp_path):
    for name in ("unet_bicubic", "mobile", "encoder", "decoder", "lstm", "gru", "rnn"):
        (tmp_path / "m.onnx").write_bytes(NETWORKS[name]["model"].tobytes())
        model = from_onnx(tmp_path / "m.onnx")
        y = model(NETWORKS[name]["x"])
        y = y[0] if isinstance(y, tuple) else y
        (y * y).sum().backward()
        without = {key for key, p in model.named_parameters() if p.grad is None}
        assert not {key for key in without if "initial" not in key}, name
        assert all(np.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_erf_has_its_derivative():
    x = np.random.default_rng(0).standard_normal(5)
    assert gradcheck(lambda t: apply(erf, t), x) < 1e-6


OWN = np.random.default_rng(3)
GRADIENTS = {
    "prelu": ("PRelu", [OWN.standard_normal((3, 1))], {}),
    "tile": ("Tile", [np.array([2, 3])], {}),
    "prod": ("ReduceProd", [], {"axes": [0]}),
    "cum_sum": ("CumSum", [np.array(1)], {"reverse": 1}),
    "nearest": ("Resize", [None, None, np.array([5, 3])], {}),
    "linear": ("Resize", [None, None, np.array([5, 3])], {"mode": "linear"}),
    "cubic": ("Resize", [None, None, np.array([5, 3])], {"mode": "cubic"}),
    "shrink": ("Shrink", [], {"lambd": 0.1, "bias": 0.05}),
    "gather_elements": ("GatherElements", [np.array([[2, 0, 0, 1]])], {}),
    "trilu": ("Trilu", [], {}),
    "lp_norm": ("LpNormalization", [], {}),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_ops_made_of_others_have_their_derivative(name, tmp_path):
    op, rest, options = GRADIENTS[name]
    names = ["" if r is None else f"w{i}" for i, r in enumerate(rest)]
    weights = {n: r for n, r in zip(names, rest, strict=True) if n}
    write(tmp_path / "m", [node(op, ["x", *names], **options)], weights, inputs=[value("x", 3, 4, dtype=11)])
    assert gradcheck(from_onnx(tmp_path / "m"), OWN.standard_normal((3, 4))) < 1e-6


# -- files made here -------------------------------------------------------------------------------------------------


def node(op, inputs, outputs=("y",), name=None, domain=None, **options):
    attributes = [attribute(key, value) for key, value in options.items()]
    return messages.Node(
        inputs=list(inputs), outputs=list(outputs), name=name, op=op, domain=domain, attributes=attributes
    )


def value(name, *dims, dtype=1):
    shape = messages.Shape(dims=[messages.Dimension(value=d) if d else messages.Dimension(name="N") for d in dims])
    return messages.Value(name=name, type=messages.Type(tensor=messages.TensorType(dtype=dtype, shape=shape)))


def write(path, nodes, weights=None, inputs=None, outputs=("y",), version=17, **rest):
    graph = messages.Graph(
        nodes=nodes,
        weights=[w if isinstance(w, messages.Tensor) else to_tensor(w, name) for name, w in (weights or {}).items()],
        inputs=[value("x", 0, 3)] if inputs is None else inputs,
        outputs=[messages.Value(name=name) for name in outputs],
    )
    opsets = [messages.Opset(domain="", version=version)]
    path.write_bytes(encode(messages.Model(**{"ir_version": 8, "graph": graph, "opsets": opsets, **rest})))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.onnx"


W = np.arange(6, dtype="float32").reshape(3, 2)
X = np.array([[1.0, 2.0, 3.0]], "float32")


def test_weights_are_parameters_that_learn(path, backend):
    write(path, [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"])], {"w": W, "b": np.ones(2, "float32")})
    model = from_onnx(path, backend)
    assert not model.training
    assert {name: p.shape for name, p in model.named_parameters()} == {"w": (3, 2), "b": (2,)}
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x = backend.asarray(X)
    losses = []
    for _ in range(3):
        loss = (model(x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]


def test_features_compute_only_what_they_need(path):
    wide = [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["r"]), node("Reshape", ["r", "s"])]
    write(path, wide, {"w": W, "s": np.array([7, 7])})  # the reshape would fail
    model = from_onnx(path)
    assert model.value_names == ["h", "r", "y"]
    found = model.features(X, ["r", "x", "h"])
    assert list(found) == ["r", "x", "h"]
    np.testing.assert_array_equal(found["h"].numpy(), X @ W)
    with pytest.raises(OnnxError, match=r"nothing is called 'q'; names are 'h', 'r', 'y', \.\.\."):
        model.features(X, ["q"])
    with pytest.raises(OnnxError, match=r"node '2' \(Reshape\): "):
        model(X)


def test_several_outputs_and_inputs_and_remarks(path):
    nodes = [node("Add", ["x", "z"], ["a"]), node("Mul", ["x", "z"], ["m"])]
    remarks = [messages.Entry(key="classes", value="a b")]
    write(path, nodes, inputs=[value("x", 0, 3), value("z", 0, 3)], outputs=("a", "m"), metadata=remarks)
    model = from_onnx(path)
    a, m = model(X, X)
    np.testing.assert_array_equal(a.numpy(), X + X)
    np.testing.assert_array_equal(m.numpy(), X * X)
    assert model.metadata == {"classes": "a b"}
    with pytest.raises(OnnxError, match=r"takes 2 inputs \(x, z\), got 1"):
        model(X)
    assert repr(model) == "OnnxModel(x, z -> a, m, 2 ops)"


def test_shapes_computed_on_the_way(path, backend):
    """What exporters write for ``x.view(x.size(0), -1)``."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Constant", [], ["zero"], value=np.array(0)), node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "first"], ["n1"]), node("Constant", [], ["rest"], value=np.array([-1])),
        node("Concat", ["n1", "rest"], ["to"], axis=0), node("Reshape", ["x", "to"]),
    ]  # fmt: skip
    write(path, nodes, {"first": np.array([0])}, inputs=[value("x", 0, 3, 4)])
    x = np.arange(24, dtype="float32").reshape(2, 3, 4)
    y = from_onnx(path, backend)(backend.asarray(x))
    np.testing.assert_array_equal(backend.to_numpy(y.data), x.reshape(2, 12))


def test_a_file_for_one_batch_size_takes_others(path):
    nodes = [node("Reshape", ["x", "s"], ["r"]), node("MatMul", ["r", "w"])]
    for target in ([1, 6], [1, -1]):
        weights = {"s": np.array(target), "w": np.ones((6, 2), "float32")}
        write(path, nodes, weights, inputs=[value("x", 1, 2, 3)])
        model = from_onnx(path)
        for n in (1, 4):
            assert model(np.ones((n, 2, 3), "float32")).shape == (n, 2)


def test_names_that_a_module_has_already(path):
    write(path, [node("MatMul", ["x", "forward"], ["h"]), node("Add", ["h", "training"])], {
        "forward": W, "training": np.ones(2, "float32"),
    })  # fmt: skip
    model = from_onnx(path)
    np.testing.assert_array_equal(model(X).numpy(), X @ W + 1)
    assert sorted(model.state_dict()) == ["forward_", "training_"]


def test_statistics_are_no_parameters(path):
    ones = np.ones(3, "float32")
    write(path, [node("BatchNormalization", ["x", "w", "b", "m", "v"])], dict.fromkeys("wbmv", ones))
    model = from_onnx(path)
    assert [name for name, _ in model.named_parameters()] == ["w", "b"]
    assert sorted(model.state_dict()) == ["b", "m", "v", "w"]
    assert model(X).shape == (1, 3)


def test_another_dtype(path):
    nodes = [node("Cast", ["x"], ["c"], to=10), node("MatMul", ["c", "w"])]
    write(path, nodes, {"w": W.astype("float16")}, inputs=[value("x", 0, 3, dtype=10)])
    assert from_onnx(path)(X.astype("float16")).dtype == "float16"
    assert from_onnx(path, dtype="float32")(X).dtype == "float32"
    with pytest.raises(OnnxError, match=r"input 'x' must be float16, got float32: x\.astype\('float16'\)"):
        from_onnx(path)(X)


def test_dropout_drops_in_training_only(path):
    write(path, [node("Dropout", ["x"], ["y", "mask"])])
    model = from_onnx(path)
    x = np.ones((1, 1000), "float32")
    assert (model.eval()(x).numpy() == 1).all()
    assert 300 < (model.train()(x).numpy() == 0).sum() < 700


def test_inputs_that_do_not_fit(path):
    write(path, [node("Relu", ["x"])])
    model = from_onnx(path)
    with pytest.raises(OnnxError, match=r"input 'x' must have 2 axes as \(\?, 3\), got \(3,\)"):
        model(np.ones(3, "float32"))
    with pytest.raises(OnnxError, match="input 'x' must be float32, got int64"):
        model(np.ones((1, 3), "int64"))
    with pytest.raises(OnnxError, match="must be a tensor or an array, got list"):
        model([[1.0]])


def image(**options):
    return {"inputs": [value("x", 0, 3, 5, 5)], **options}


CONV = np.ones((2, 3, 3, 3), "float32")


@pytest.mark.parametrize(("nodes", "options", "message"), [
    ([node("Conv", ["x", "w"], name="c1", strides=[0, 1])], {"w": CONV}, r"node 'c1' \(Conv\): strides=\[0, 1\]"),
    ([node("Conv", ["x", "w"], strides=[1])], {"w": CONV}, r"strides=\[1\] should be 2 integers"),
    ([node("Conv", ["x", "w"], strides=3)], {"w": CONV}, "strides=3 should be of type list"),
    ([node("Conv", ["x", "w"], pads=[1 << 40] * 4)], {"w": CONV}, r"should be 4 integers in 0\.\.65536"),
    ([node("Conv", ["x", "w"], pads=[-1, 0, 0, 0])], {"w": CONV}, "should be 4 integers"),
    ([node("Conv", ["x", "w"], dilations=[3, 3])], {"w": CONV}, "a window of 7 does not fit into an axis of 5"),
    ([node("Conv", ["x", "w"], group=2)], {"w": CONV}, r"weight \(2, 3, 3, 3\) with group=2 does not fit"),
    ([node("Conv", ["x", "w"], auto_pad="SAME")], {"w": CONV}, "auto_pad='SAME' is not supported"),
    ([node("MaxPool", ["x"])], {}, "kernel_shape is missing"),
    ([node("AveragePool", ["x"], kernel_shape=[2, 2], dilations=[2, 2])], {}, "dilations is not supported"),
    ([node("Softmax", ["x"], axis=9)], {}, "axis 9 does not exist in a tensor of 4 axes"),
    ([node("Transpose", ["x"], perm=[0, 1])], {}, r"perm=\[0, 1\] is not an order of 4 axes"),
    ([node("Reshape", ["x", "w"])], {"w": np.array([7])}, r"\(Reshape\)"),
    ([node("Reshape", ["x", "w"])], {"w": np.array([0, 0, 0, 0, 0])}, "keeps a length"),
    ([node("Squeeze", ["x", "w"])], {"w": np.array([1])}, r"Squeeze of axes \[1\]"),
    ([node("Unsqueeze", ["x"])], {}, "Unsqueeze without axes"),
    ([node("Slice", ["x"])], {}, "Slice without starts and ends"),
    ([node("Slice", ["x", "w", "w", "w", "z"])], {"w": np.array([1]), "z": np.array([0])}, "Slice with starts"),
    ([node("Pad", ["x", "w"])], {"w": np.array([1])}, r"pads=\[1\] should be 8 integers"),
    ([node("Pad", ["x", "w"], mode="wrap")], {"w": np.zeros(8, "int64")}, "Pad with mode='wrap' is not supported"),
    ([node("Pad", ["x", "w"], mode="reflect")], {"w": np.array([0, 0, 9, 0] * 2)}, "needs longer axes"),
    ([node("Gather", ["x", "w"])], {"w": np.array([99])}, "Gather of indices up to 99 from an axis of 2"),
    ([node("Cast", ["x"], to=16)], {}, "Cast to dtype 16 is not supported"),
    ([node("MatMul", ["x", "w"])], {"w": np.ones((9, 9), "float32")}, "inner lengths differ"),
    ([node("BatchNormalization", ["x", *"wwww"], training_mode=1)], {"w": np.ones(3, "float32")}, "in training mode"),
    ([node("Resize", ["x"])], {}, "needs either scales or sizes"),
    ([node("Resize", ["x", "", "w"])], {"w": np.array([1e9] * 4, "float32")}, "Resize of shape .*: it must have at most"),
    ([node("Resize", ["x", "", "w"])], {"w": np.array([2.0, 2.0], "float32")}, r"Resize by \[2.0, 2.0\] of 4 axes"),
    ([node("Resize", ["x", "", "w"])], {"w": np.array([0.1] * 4, "float32")}, r"Resize from \[2, 3, 5, 5\] to \[0, 0, 0, 0\]"),
    ([node("Resize", ["x", "", "", "w"], mode="sinc")], {"w": np.array([2, 3, 9, 9])}, "mode='sinc', supported are"),
    ([node("Resize", ["x", "", "", "w"], antialias=1)], {"w": np.array([2, 3, 9, 9])}, "with antialias"),
    ([node("Resize", ["x", "", "", "w"], nearest_mode="up")], {"w": np.array([2, 3, 9, 9])}, "nearest_mode='up'"),
    ([node("Resize", ["x", "", "", "w"], coordinate_transformation_mode="a")], {"w": np.array([2, 3, 9, 9])}, "mode='a'"),
    ([node("Resize", ["x", "", "", "w"], keep_aspect_ratio_policy="not_larger")], {"w": np.array([2, 3, 9, 9])}, "policy"),
    ([node("Split", ["x", "w"], ["y", "z"], axis=1)], {"w": np.array([1, 1])}, r"Split of an axis of 3 into \[1, 1\]"),
    ([node("Tile", ["x", "w"])], {"w": np.array([1, 1])}, r"Tile by \[1, 1\] of a tensor of 4 axes"),
    ([node("Tile", ["x", "w"])], {"w": np.array([1 << 20] * 4)}, "Tile of shape"),
    ([node("ConstantOfShape", ["w"])], {"w": np.array([1 << 40])}, "ConstantOfShape of shape"),
    ([node("ConstantOfShape", ["w"])], {"w": np.array([-1])}, "ConstantOfShape of shape"),
    ([node("ConstantOfShape", ["w"], value=np.ones(2))], {"w": np.array([1])}, "value should be one number"),
    ([node("Range", ["a", "b", "a"])], {"a": np.array(0), "b": np.array(5)}, "Range from 0 to 5 by 0"),
    ([node("Range", ["a", "b", "c"])], {"a": np.array(0), "b": np.array(1 << 40), "c": np.array(1)}, "Range of shape"),
    ([node("OneHot", ["w", "d", "v"])], {"w": np.array([1]), "d": np.array(1 << 40), "v": np.ones(2, "float32")}, "OneHot of"),
    ([node("Mod", ["w", "z"])], {"w": np.array([1]), "z": np.array([0])}, "the remainder of a division by zero"),
    ([node("DepthToSpace", ["x"], blocksize=2)], {}, "DepthToSpace with blocksize=2"),
    ([node("SpaceToDepth", ["x"], blocksize=2)], {}, "SpaceToDepth with blocksize=2"),
    ([node("LRN", ["x"])], {}, "LRN with size=0"),
    ([node("LpNormalization", ["x"], p=3)], {}, "LpNormalization with p=3"),
    ([node("GroupNormalization", ["x", "w", "w"], num_groups=2)], {"w": np.ones(2, "float32")}, "num_groups=2 does not"),
    ([node("ArgMax", ["x"], select_last_index=1)], {}, "select_last_index is not supported"),
    ([node("GatherElements", ["x", "w"])], {"w": np.array([0])}, "by indices of 1 axes from a tensor of 4"),
    ([node("Div", ["w", "z"], ["q"]), node("Reshape", ["x", "q"])], {"w": np.array([1]), "z": np.array([0])}, "by zero"),
])  # fmt: skip
def test_nodes_that_cannot_be_computed(path, nodes, options, message):
    write(path, nodes, options, inputs=[value("x", 0, 3, 5, 5)])
    model = from_onnx(path)
    with pytest.raises(OnnxError, match=message) as caught:
        model(np.ones((2, 3, 5, 5), "float32"))
    assert str(caught.value).startswith("OnnxModel: node ")


WEIGHT, SQUARE, WIDE = (np.ones((1, n, k), "float32") for n, k in ((8, 3), (8, 2), (6, 3)))


@pytest.mark.parametrize(("nodes", "weights", "message"), [
    ([node("LSTM", ["x", "w", "r"])], {"w": WEIGHT[:, :4], "r": SQUARE}, r"LSTM: W should be \(1, 8, 3\) for .* got \(1, 4, 3\)"),
    ([node("LSTM", ["x", "w", "r", "b"])], {"w": WEIGHT, "r": SQUARE, "b": np.ones((1, 8), "float32")}, r"B should be \(1, 16\)"),
    ([node("LSTM", ["x", "w", "r", "", "", "h"])], {"w": WEIGHT, "r": SQUARE, "h": np.ones((1, 9, 2), "float32")}, "initial state"),
    ([node("LSTM", ["x", "w", "r", "", "", "", "", "p"])], {"w": WEIGHT, "r": SQUARE, "p": SQUARE}, "with peepholes"),
    ([node("LSTM", ["x", "w", "r"], direction="up")], {"w": WEIGHT, "r": SQUARE}, "direction='up'"),
    ([node("LSTM", ["x", "w", "r"], clip=1.0)], {"w": WEIGHT, "r": SQUARE}, "with clip"),
    ([node("LSTM", ["x", "w", "r"], activations=["Relu"] * 3)], {"w": WEIGHT, "r": SQUARE}, r"activations=\['relu'"),
    ([node("GRU", ["x", "w", "r"])], {"w": WIDE, "r": SQUARE[:, :6]}, "linear_before_reset=0 is not supported"),
    ([node("RNN", ["x", "w", "r"], activations=["Affine"])], {"w": WEIGHT[:, :2], "r": SQUARE[:, :2]}, r"RNN with activations"),
    ([node("RNN", ["x", "w", "r", "", "n"])], {"w": WEIGHT[:, :2], "r": SQUARE[:, :2], "n": np.array([9, 1])}, "lengths must lie"),
])  # fmt: skip
def test_recurrent_layers_that_cannot_be_computed(path, nodes, weights, message):
    model = from_onnx(write(path, nodes, weights, inputs=[value("x", 5, 0, 3)]))
    with pytest.raises(OnnxError, match=message):
        model(np.ones((5, 2, 3), "float32"))


def test_recurrent_layers_with_the_batch_first(path):
    case = CASES["LSTM_bidirectional_states"]
    weights = {f"x{i}": case[f"x{i}"] for i in (1, 2, 3)}
    swapped = {f"x{i}": case[f"x{i}"].swapaxes(0, 1) for i in (0, 5, 6)}
    lstm = node("LSTM", ["x0", "x1", "x2", "x3", "", "x5", "x6"], ("y", "h", "c"), direction="bidirectional", layout=1)
    weights |= {name: swapped[name] for name in ("x5", "x6")}
    write(path, [lstm], weights, inputs=[value("x0", 0, 5, 3)], outputs=("y", "h", "c"), version=14)
    y, h, c = from_onnx(path)(swapped["x0"])
    np.testing.assert_allclose(y.numpy(), case["y0"].transpose(2, 0, 1, 3), rtol=1e-5, atol=1e-6)
    for state, key in ((h, "y1"), (c, "y2")):
        np.testing.assert_allclose(state.numpy(), case[key].swapaxes(0, 1), rtol=1e-5, atol=1e-6)


def test_only_the_last_state_is_asked_for(path):
    case = CASES["GRU_forward"]
    gru = node("GRU", ["x0", "x1", "x2", "x3"], ("", "h"), linear_before_reset=1)
    weights = {f"x{i}": case[f"x{i}"] for i in (1, 2, 3)}
    write(path, [gru], weights, inputs=[value("x0", 5, 0, 3)], outputs=("h",))
    model = from_onnx(path)
    assert model.value_names == ["h"]
    np.testing.assert_allclose(model(case["x0"]).numpy(), case["y1"], rtol=1e-5, atol=1e-6)


def test_resize_in_a_file_for_one_batch_size_takes_others(path):
    write(path, [node("Resize", ["x", "", "", "s"])], {"s": np.array([1, 2, 6])}, inputs=[value("x", 1, 2, 3)])
    assert from_onnx(path)(np.ones((4, 2, 3), "float32")).shape == (4, 2, 6)


@pytest.mark.parametrize(("mode", "expected"), [
    ("linear", [[np.nan, np.nan, 1, 2, 3], [1, 2, 3, np.inf, np.inf]]),
    ("cubic", [[np.nan, np.nan, 1, np.nan, 3], [1, np.inf, 3, np.inf, np.inf]]),
])  # fmt: skip
def test_resize_keeps_nan_and_infinity_where_they_have_a_weight(path, mode, expected):
    corners = node("Resize", ["x", "", "", "s"], mode=mode, coordinate_transformation_mode="align_corners", axes=[1])
    write(path, [corners], {"s": np.array([5])}, inputs=[value("x", 0, 3)], version=18)
    with np.errstate(invalid="ignore"):
        y = from_onnx(path)(np.float32([[np.nan, 1, 3], [1, 3, np.inf]])).numpy()
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isnan(y[0]), np.isnan(expected[0]))
    np.testing.assert_array_equal(np.isfinite(y), finite)
    np.testing.assert_allclose(y[finite], np.array(expected)[finite], rtol=1e-6)


BIG = messages.Tensor(name="w", dims=[1 << 40, 1 << 40], dtype=1, raw=b"")


@pytest.mark.parametrize(("nodes", "options", "message"), [
    ([node("Foo", ["x"], ["a"]), node("Bar", ["a"], domain="com.example")], {}, r"not supported: Foo, com\.example\.Bar"),
    ([node("If", ["x"])], {}, "ops that are not supported: If"),
    ([node("Relu", ["x"])], {"version": 6}, "needs version 6 of ONNX's ops, supported are 7 to 23"),
    ([node("Relu", ["x"])], {"opsets": []}, "needs version unknown"),
    ([node("Relu", ["q"])], {}, r"node '0' \(Relu\): its input 'q' is computed by no node before it"),
    ([node("Relu", ["y"])], {}, "its input 'y' is computed by no node"),
    ([node("Relu", ["x"], ["a"])], {}, "its output 'y' is computed by no node"),
    ([node("Relu", ["x"]), node("Relu", ["x"])], {}, "are missing or computed twice"),
    ([node("Relu", ["x"], [])], {}, "are missing or computed twice"),
    ([node("Split", ["x"], ["y", "y"])], {}, "are missing or computed twice"),
    ([node("Split", ["x"], ["", ""])], {}, "are missing or computed twice"),
    ([node("MaxPool", ["x"], ["a", "places"]), node("Relu", ["places"])], {}, "its input 'places' is computed by no"),
    ([node("Relu", ["x", "x"])], {}, "2 inputs, it takes 1"),
    ([node("Conv", ["x"])], {}, "1 inputs, it takes 2 to 3"),
    ([node("Add", ["", "x"])], {}, "2 inputs, it takes 2"),
    ([node("Constant", [])], {}, "holds no numbers"),
    ([node("Relu", ["x"])], {"weights": {"w": BIG}}, r"has shape \(1099511627776, 1099511627776\) but 0 numbers"),
    ([node("Relu", ["x"])], {"weights": {"w": messages.Tensor(name="w", dims=[-1, -1], dtype=1, raw=bytes(4))}}, "has shape"),
    ([node("Relu", ["x"])], {"weights": {"w": messages.Tensor(name="w", dims=[1], dtype=1, raw=b"abc")}}, "not a multiple of the size"),
    ([node("Relu", ["x"])], {"weights": {"w": messages.Tensor(name="w", dims=[], dtype=8)}}, "has dtype 8, which is not"),
    ([node("Relu", ["x"])], {"weights": {"w": messages.Tensor(name="w", dtype=1, location=1)}}, "is in another file"),
    ([node("Relu", ["x"])], {"inputs": [messages.Value(name="x")]}, "its input 'x' is not a tensor"),
    ([node("Relu", ["x"])], {"outputs": ()}, "holds no network"),
    ([node("Relu", ["x"])], {"graph": None}, "holds no network"),
])  # fmt: skip
def test_files_that_cannot_be_read(path, nodes, options, message):
    write(path, nodes, **options)
    with pytest.raises(OnnxError, match=message) as caught:
        from_onnx(path)
    assert str(caught.value).startswith(f"{path} (")


def test_truncated_files_and_others(path):
    content = write(path, [node("MatMul", ["x", "w"])], {"w": W}).read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(OnnxError, match=rf"m\.onnx \({length} bytes\): "):
            from_onnx(path)
    path.write_bytes(b"not a network at all")
    with pytest.raises(OnnxError):
        from_onnx(path)
    with pytest.raises(FileNotFoundError):
        from_onnx(path.with_name("nowhere"))


@pytest.mark.parametrize("name", ["conv_bias_pads", "gemm_options", "slice", "batch_norm", "AveragePool_ceil", "pad"])
def test_edited_files_give_an_error_or_a_network(name, path):
    case = CASES[name]
    content = case["model"].tobytes()
    inputs = [case[key] for key in sorted(case) if key[0] == "x"]
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        changed = bytearray(content)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(bytes(changed))
        try:
            with np.errstate(all="ignore"):
                from_onnx(path)(*inputs)
        except OnnxError:
            refused += 1
    assert 50 < refused < 200


def test_the_messages_read_back_what_they_wrote(path):
    write(path, [node("Conv", ["x", "w"], strides=[1, 2], auto_pad="VALID", alpha=0.5)], {"w": CONV})
    content = path.read_bytes()
    assert encode(decode(messages.Model, content)) == content


# -- networks of others ----------------------------------------------------------------------------------------------


def pretrained(data_dir, name):
    path = data_dir / "pretrained" / name
    if not path.exists():
        pytest.skip(f"XPNET_DATA has no pretrained/{name}")
    return path


def test_mnist_8_scores_what_it_scored_elsewhere(data_dir):
    model = from_onnx(pretrained(data_dir, "mnist-8.onnx"))
    _, test = data.load_mnist(data_dir)
    pixels = test.inputs[:, None].astype("float32")  # it takes 0..255
    with no_grad():
        logits = [model(pixels[i : i + 250]).numpy() for i in range(0, len(pixels), 250)]
    assert (np.concatenate(logits).argmax(axis=1) == test.targets).mean() == pytest.approx(0.9891, abs=1e-9)


def test_squeezenet_on_either_backend(data_dir, backend):
    model = from_onnx(pretrained(data_dir, "squeezenet_fp16.onnx"), backend, dtype="float32")
    assert len(list(model.parameters())) == 52
    x = np.random.default_rng(0).standard_normal((1, 3, 96, 96)).astype("float32") * 50
    y = backend.to_numpy(model(backend.asarray(x)).data)
    assert y.shape == (1, 1000, 1, 1)
    assert y.sum() == pytest.approx(1.0, abs=1e-5)
    loss = (model.features(backend.asarray(x), ["fire3/concat_1"])["fire3/concat_1"] ** 2).mean()
    loss.backward()
    gradients = {name for name, p in model.named_parameters() if p.grad is not None}
    assert gradients == {f"{layer}_{kind}_0" for kind in "wb" for layer in (
        "conv1", *(f"fire{i}/{part}" for i in (2, 3) for part in ("squeeze1x1", "expand1x1", "expand3x3"))
    )}  # fmt: skip


def test_squeezenet_in_float16(data_dir):
    path = pretrained(data_dir, "squeezenet_fp16.onnx")
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype("float16") * 50
    half, single = from_onnx(path)(x), from_onnx(path, dtype="float32")(x.astype("float32"))
    assert half.dtype == "float16"
    np.testing.assert_allclose(half.numpy(), single.numpy(), atol=5e-3)
