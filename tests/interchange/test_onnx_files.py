"""ONNX files as other programs leave them: weights beside, nodes in any order, functions, scikit-learn's networks."""

import os

import numpy as np
import pytest

from xpnet.interchange import OnnxError, from_onnx
from xpnet.interchange.onnx import messages
from xpnet.interchange.onnx.messages import attribute, to_tensor
from xpnet.tensor import Tensor

from .test_onnx_reader import W, X, node, recorded, value, write

SKLEARN = recorded("onnx_sklearn.npz")


def on_host(y):
    return y.numpy() if isinstance(y, Tensor) else np.asarray(y)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "net").mkdir()
    return tmp_path / "net/m.onnx"


# -- scikit-learn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SKLEARN)
def test_networks_of_scikit_learn(name, backend, path):
    """As skl2onnx exports them and onnxruntime computes them: labels, and a column of probabilities for each class."""
    case = SKLEARN[name]
    path.write_bytes(case["model"].tobytes())
    found = from_onnx(path, backend)(backend.asarray(case["x"]))
    found = found if isinstance(found, tuple) else (found,)
    wanted = [case[key] for key in sorted(case) if key[0] == "y"]
    for y, expected in zip(found, wanted, strict=True):
        y = backend.to_numpy(y.data) if isinstance(y, Tensor) else y
        assert y.shape == expected.shape
        if expected.dtype.kind == "f":
            assert y.dtype == expected.dtype or "keys1" in case  # of ZipMap's dicts
            np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
        else:
            assert y.dtype.kind == expected.dtype.kind
            np.testing.assert_array_equal(y, expected)


def test_labels_that_are_text(path):
    path.write_bytes(SKLEARN["names"]["model"].tobytes())
    labels, _ = from_onnx(path)(SKLEARN["names"]["x"])
    assert set(labels.tolist()) <= {"low", "middle", "höher"}


ROWS = np.array([[0.0, -3.0, 4.0], [0.0, 0.0, 0.0]], "float32")


def floats(**options):
    return [messages.Attribute(name=k, floats=list(v), kind=6) for k, v in options.items()]


def ml(op, inputs=("x",), outputs=("y",), attributes=(), **options):
    made = node(op, inputs, outputs, domain="ai.onnx.ml", **options)
    made.attributes += list(attributes)
    return made


@pytest.mark.parametrize(("nodes", "expected"), [
    ([ml("ArrayFeatureExtractor", ["x", "i"])], [[4, 0], [0, 0]]),
    ([ml("Scaler", attributes=floats(offset=[1.0], scale=[2.0]))], [[-2, -8, 6], [-2, -2, -2]]),
    ([ml("Scaler", attributes=floats(offset=[1, 2, 3], scale=[2, 1, 1]))], [[-2, -5, 1], [-2, -2, -3]]),
    ([ml("Normalizer", norm="L2")], [[0, -0.6, 0.8], [0, 0, 0]]), ([ml("Normalizer", norm="L1")], [[0, -3 / 7, 4 / 7], [0] * 3]),
    ([ml("Normalizer")], [[0, -0.75, 1], [0, 0, 0]]), ([ml("Binarizer", threshold=-1.0)], [[1, 0, 1], [1, 1, 1]]),
    ([ml("Imputer", attributes=floats(imputed_value_floats=[9.0]), replaced_value_float=0.0)], [[9, -3, 4], [9, 9, 9]]),
    ([ml("FeatureVectorizer", ["x", "x"])], [[0, -3, 4] * 2, [0] * 6]),
    ([ml("ZipMap", classlabels_int64s=[0, 1, 2])], ROWS),
    ([node("ArgMax", ["x"], ["a"], axis=1), ml("LabelEncoder", ["a"], keys_int64s=[2, 0], values_int64s=[7, 8])], [[7], [8]]),
    ([node("ArgMax", ["x"], ["a"], axis=1), ml("LabelEncoder", ["a"], keys_int64s=[2], values_strings=["z"])],
     [["z"], ["_Unused"]]),
    ([node("ArgMax", ["x"], ["a"], axis=1), node("Cast", ["a"], to=8)], [["2"], ["0"]]),
])  # fmt: skip
def test_ops_of_scikit_learn(nodes, expected, path, backend):
    write(path, nodes, {"i": np.array([[2], [0]])})
    y = from_onnx(path, backend)(backend.asarray(ROWS))
    y = backend.to_numpy(y.data) if isinstance(y, Tensor) else y
    assert y.dtype.kind in "fiU"
    if y.dtype.kind == "U":
        np.testing.assert_array_equal(y, expected)
    else:
        np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize(("made", "weights", "message"), [
    (ml("ArrayFeatureExtractor", ["x", "i"]), {"i": np.array([3])}, r"of places \[3\] from an axis of 3"),
    (ml("ArrayFeatureExtractor", ["x", "i"]), {"i": np.array([-1])}, r"of places \[-1\] from"),
    (ml("ArrayFeatureExtractor", ["x", "i"]), {"i": np.array([0.5])}, "of places"),
    (ml("Scaler"), {}, "offset has 0 numbers for 3 columns"),
    (ml("Normalizer", norm="L3"), {}, "norm='L3', supported are MAX, L1 and L2"),
    (ml("LabelEncoder", keys_int64s=[1]), {}, "LabelEncoder of 1 keys and 0 values"),
])  # fmt: skip
def test_ops_of_scikit_learn_that_cannot_be_computed(made, weights, message, path):
    model = from_onnx(write(path, [made], weights))
    with pytest.raises(OnnxError, match=message):
        model(ROWS)


def test_text_that_is_damaged(path):
    for texts, message in (
        ([b"\xff"], "is not text"),
        ([b"a"], "has shape"),
        ([b"a" * (1 << 13)] * 3000, "3000 texts of up to"),
    ):
        write(
            path,
            [ml("ArrayFeatureExtractor", ["w", "i"])],
            {"w": messages.Tensor(name="w", dims=[2], dtype=8, texts=texts)},
        )
        with pytest.raises(OnnxError, match=message):
            from_onnx(path)


# -- weights in other files ------------------------------------------------------------------------------------------


def outside(array, location="w.bin", name="w", **place):
    entries = {"location": location, **{k: str(v) for k, v in place.items()}}
    made = to_tensor(array, name)
    made.raw, made.location = None, 1
    made.external = [messages.Entry(key=k, value=v) for k, v in entries.items()]
    return made


PRODUCT = [node("MatMul", ["x", "w"])]


@pytest.mark.parametrize(("location", "place"), [
    ("w.bin", {}), ("w.bin", {"offset": 0, "length": 24}), ("w.bin", {"offset": 8}), ("more/w.bin", {"offset": 64, "length": 24}),
    ("./w.bin", {"checksum": "ignored"}), ("w ü.bin", {}), ("..w.bin", {}),
])  # fmt: skip
def test_weights_beside_the_network(location, place, path, backend):
    file = path.parent / location
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(bytes(place.get("offset", 0)) + W.tobytes() + b"rest")
    write(path, PRODUCT, {"w": outside(W, location, **place)})
    model = from_onnx(path, backend)
    np.testing.assert_allclose(backend.to_numpy(model(backend.asarray(X)).data), X @ W)
    assert [name for name, _ in model.named_parameters()] == ["w"]
    file.unlink()  # nothing is read later
    np.testing.assert_allclose(backend.to_numpy(model(backend.asarray(X)).data), X @ W)


def test_the_folder_may_be_the_current_one_or_behind_a_link(path, monkeypatch):
    (path.parent / "w.bin").write_bytes(W.tobytes())
    write(path, PRODUCT, {"w": outside(W)})
    monkeypatch.chdir(path.parent)
    np.testing.assert_allclose(from_onnx("m.onnx")(X).numpy(), X @ W)
    (path.parent.parent / "link").symlink_to(path.parent)
    np.testing.assert_allclose(from_onnx(path.parent.parent / "link/m.onnx")(X).numpy(), X @ W)
    (path.parent / "inside").symlink_to("w.bin")
    write(path, PRODUCT, {"w": outside(W, "inside")})
    np.testing.assert_allclose(from_onnx(path)(X).numpy(), X @ W)


def test_constants_and_several_tensors_in_one_file(path):
    (path.parent / "w.bin").write_bytes(W.tobytes() + np.array([5.0, 6.0]).astype("float16").tobytes())
    constant = node("Constant", [], ["w"])
    constant.attributes = [messages.Attribute(name="value", t=outside(W, name=None), kind=4)]
    half = outside(np.zeros(2, "float16"), name="b", offset=24, length=4)
    nodes = [constant, node("MatMul", ["x", "w"], ["h"]), node("Cast", ["b"], ["c"], to=1), node("Add", ["h", "c"])]
    write(path, nodes, {"b": half})
    np.testing.assert_allclose(from_onnx(path)(X).numpy(), X @ W + [5, 6])


@pytest.mark.parametrize(("location", "place", "message"), [
    ("../secret", {}, "not within the folder"), ("a/../../secret", {}, "not within the folder"), ("/etc/hostname", {}, "not within"),
    ("C:\\secret", {}, "not within the folder"), ("..\\secret", {}, "not within the folder"), ("\\\\host\\x", {}, "not within"),
    ("link", {}, "a link to .* outside the folder"), ("linked/secret", {}, "a link to .* outside the folder"),
    ("w\0.bin", {}, "not within the folder"), ("nowhere", {}, "is missing: it belongs beside"), (".", {}, "which is not a file"),
    ("pipe", {}, "which is not a file"), ("", {}, "in another file, which is not named"),
    ("w.bin", {"offset": 1}, r"lies at 1 to 25 of 'w\.bin', which has 24 bytes"), ("w.bin", {"offset": 1 << 50}, "which has 24"),
    ("w.bin", {"offset": -1}, "its offset '-1' in another file is not an integer"), ("w.bin", {"offset": "1e3"}, "not an integer"),
    ("w.bin", {"length": 20}, "has shape .*, 24 bytes, but lies in 20"), ("w.bin", {"length": 1 << 50}, "which has 24 bytes"),
    ("w.bin", {"length": "9" * 5000}, "its length '9999.* is not an integer"), ("empty", {}, "which has 0 bytes"),
])  # fmt: skip
def test_weights_that_are_not_followed(location, place, message, path):
    folder = path.parent
    (folder.parent / "secret").write_bytes(W.tobytes())
    (folder / "w.bin").write_bytes(W.tobytes())
    (folder / "empty").touch()
    (folder / "link").symlink_to("../secret")
    (folder / "linked").symlink_to("..")
    os.mkfifo(folder / "pipe")
    write(path, PRODUCT, {"w": outside(W, location, **place)})
    with pytest.raises(OnnxError, match=message):
        from_onnx(path)


def test_tensors_that_share_a_large_file(path):
    (path.parent / "w.bin").write_bytes(W.tobytes())
    write(path, PRODUCT, {f"w{i}": outside(W, name="w" if i == 0 else f"w{i}") for i in range(5)})
    with pytest.raises(OnnxError, match=r"the tensors claim 120 bytes, several times what 'w\.bin' has"):
        from_onnx(path)


# -- order, functions, idle nodes ------------------------------------------------------------------------------------

CHAIN = [
    node("MatMul", ["x", "w"], ["a"]),
    node("Relu", ["a"], ["b"]),
    node("Neg", ["b"], ["c"]),
    node("Add", ["c", "a"]),
]


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1), (0, 1, 2, 3)])
def test_nodes_in_any_order(order, path):
    write(path, [CHAIN[i] for i in order], {"w": W - 2})
    a = X @ (W - 2)
    np.testing.assert_allclose(from_onnx(path)(X).numpy(), a - np.maximum(a, 0))


def test_a_list_in_order_stays_as_it_is(path):
    write(path, [node("Neg", ["x"], ["b"]), node("Relu", ["x"], ["a"]), node("Add", ["a", "b"])])
    assert from_onnx(path).value_names == ["b", "a", "y"]
    write(path, [node("Add", ["a", "b"]), node("Neg", ["x"], ["b"]), node("Relu", ["x"], ["a"])])
    assert from_onnx(path).value_names == ["b", "a", "y"]


@pytest.mark.parametrize(("nodes", "message"), [
    ([node("Relu", ["y"], name="n")], r"its input 'y' is computed by no node before it: .* a cycle, 'n' -> 'n'"),
    ([node("Relu", ["x"], ["a"], "r"), node("Add", ["a", "c"], ["b"], "p"), node("Neg", ["b"], ["c"], "q"), node("Abs", ["c"])],
     r"node 'p' \(Add\): its input 'c' .* a cycle, 'p' -> 'q' -> 'p'"),
    ([node("Add", [f"v{(i + 1) % 50}", "x"], [f"v{i}"]) for i in range(50)] + [node("Neg", ["v0"])], "a cycle, .* -> "),
])  # fmt: skip
def test_cycles_are_named(nodes, message, path):
    write(path, nodes)
    with pytest.raises(OnnxError, match=message):
        from_onnx(path)


def test_a_long_list_backwards_takes_no_time(path):
    count = 20_000
    nodes = [node("Neg", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(count)]
    write(path, nodes[::-1], outputs=(f"v{count}",))
    assert len(from_onnx(path).value_names) == count


def test_idle_nodes_of_unknown_ops_are_left_out(path):
    nodes = [node("Foo", ["x"], ["a"]), node("Relu", ["a"], ["b"]), node("Neg", ["x"], ["idle"]), node("Relu", ["x"])]
    model = from_onnx(write(path, nodes))
    assert model.value_names == ["idle", "y"]
    np.testing.assert_array_equal(model(-X).numpy(), 0 * X)


def function(name, inputs, outputs, nodes, **rest):
    options = {"domain": "mine", "opsets": [messages.Opset(domain="", version=17)], **rest}
    return messages.Function(name=name, inputs=list(inputs), outputs=list(outputs), nodes=nodes, **options)


def call(name, inputs, outputs=("y",), **options):
    return node(name, inputs, outputs, domain="mine", **options)


def reference(name, to, kind=1):
    return messages.Attribute(name=name, reference=to, kind=kind)


def test_functions_of_the_file(path):
    leaky = node("LeakyRelu", ["s"], ["t"])
    leaky.attributes = [reference("alpha", "slope")]
    dense = function(
        "dense", ["s0", "m", "b"], ["r"], [node("MatMul", ["s0", "m"], ["h"]), node("Add", ["h", "b"], ["r"])]
    )
    bent = function("bent", ["s"], ["t", "s"], [leaky], defaults=[attribute("slope", 0.5)])
    both = function(
        "both",
        ["s", "m", "b"],
        ["o"],
        [call("dense", ["s", "m", "b"], ["h"]), call("bent", ["h"], ["o", ""], slope=0.25)],
    )
    nodes = [call("both", ["x", "w", "b"], ["h"]), call("bent", ["h"], ["i", "same"]), node("Add", ["i", "same"])]
    b = np.array([-9.0, -20.0], "float32")
    write(path, nodes, {"w": W, "b": b}, functions=[both, bent, dense])
    h = X @ W + b
    h = np.where(h > 0, h, 0.25 * h)
    np.testing.assert_allclose(from_onnx(path)(X).numpy(), np.where(h > 0, h, 0.5 * h) + h, rtol=1e-6)


@pytest.mark.parametrize(("functions", "message"), [
    ([function("f", ["a"], ["b"], [call("f", ["a"], ["b"])])], "its function 'mine.f' calls itself"),
    ([function("f", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets=[messages.Opset(domain="", version=12)])], "of version 12"),
    ([function("f", [], ["b"], [node("Relu", ["a"], ["b"])])], "more inputs or outputs than its function has"),
    ([function("f", ["a"], ["b"], [node("Foo", ["a"], ["b"])])], "needs ops that are not supported: Foo"),
    ([function("f", ["a"], ["b"], [call("g", ["a"], [f"b{i}"]) for i in range(600)]),
      function("g", ["a"], ["b"], [call("h", ["a"], [f"b{i}"]) for i in range(600)]), function("h", ["a"], ["b"], [])],
     "has functions of more than 200000 nodes"),
])  # fmt: skip
def test_functions_that_cannot_be_called(functions, message, path):
    write(path, [call("f", ["x"])], functions=functions)
    with pytest.raises(OnnxError, match=message):
        from_onnx(path)


def test_weights_kept_in_half_precision(path):
    """Compressed weights, cast on the way: the input has the dtype that the file says."""
    nodes = [node("Cast", ["w"], ["wide"], to=1), node("MatMul", ["x", "wide"])]
    model = from_onnx(write(path, nodes, {"w": W.astype("float16")}))
    y = model(X)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), X @ W)
    assert from_onnx(write(path, PRODUCT, {"w": W})).to(dtype="float64")(X.astype("float64")).dtype == np.float64


def test_duplicate_names(path):
    write(path, PRODUCT, {"w": to_tensor(W, "w"), "v": to_tensor(W + 1, "w")})
    with pytest.raises(OnnxError, match="two of its weights are called 'w'"):
        from_onnx(path)
    write(path, [node("Relu", ["x"])], inputs=[value("x", 0, 3), value("x", 0, 3)])
    with pytest.raises(OnnxError, match="two of its inputs are called 'x'"):
        from_onnx(path)


def test_weights_that_are_inputs_too_and_outputs_that_are_neither(path):
    write(path, PRODUCT, {"w": W}, inputs=[value("w", 3, 2), value("x", 0, 3)], outputs=("y", "x", "w", "y"))
    model = from_onnx(path)
    assert [i.name for i in model.inputs] == ["x"]
    found = [on_host(y) for y in model(X)]
    for y, expected in zip(found, (X @ W, X, W, X @ W), strict=True):
        np.testing.assert_allclose(y, expected)


def test_one_version_named_twice_and_sparse_weights(path):
    both = [messages.Opset(domain="", version=17), messages.Opset(domain="ai.onnx", version=17)]
    np.testing.assert_allclose(from_onnx(write(path, PRODUCT, {"w": W}, opsets=both))(X).numpy(), X @ W)
    graph = messages.Graph(
        nodes=PRODUCT, inputs=[value("x", 0, 3)], outputs=[messages.Value(name="y")], sparse=[messages.Sparse()]
    )
    write(path, [], graph=graph)
    with pytest.raises(OnnxError, match="has sparse weights"):
        from_onnx(path)
