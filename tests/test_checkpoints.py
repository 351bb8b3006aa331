"""Nested checkpoints in one file: everything comes back equal, and of its own type."""

import json
import math
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet import CheckpointError, nn, optim
from xpnet.optim import lr_scheduler
from xpnet.serialization import load_with_metadata


def goes_round(state, path, backend=None):
    xpnet.save(state, path)
    return xpnet.load(path, backend)


def check(found, expected, backend):
    assert type(found) is type(expected), (found, expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        assert [type(k) for k in found] == [type(k) for k in expected]
        for key, value in expected.items():
            check(found[key], value, backend)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            check(a, b, backend)
    elif isinstance(expected, xpnet.Tensor):
        assert found.requires_grad == expected.requires_grad
        check(found.data, expected.data, backend)
    elif type(expected) is backend.array_type:
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(backend.to_numpy(found), backend.to_numpy(expected))
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(found)
    else:
        assert found == expected
        assert math.copysign(1, found) == math.copysign(1, expected) if isinstance(expected, float) else True


def everything(backend):
    array = lambda *values: backend.asarray(np.array(values, "float32"))  # noqa: E731
    return {
        "none": None, "yes": True, "no": False, "text": "ü \"quoted\"\n\0\ud800", "empty": "", "int": -3,
        "huge": 10**30, "float": 0.1, "minus nothing": -0.0, "inf": math.inf, "-inf": -math.inf, "nan": math.nan,
        "list": [1, 2.0, None, [True, []]], "tuple": (1, (2, [3]), ()), "dict": {}, "deep": {"a": {"b": {"c": (array(1),)}}},
        "array": array(1, 2), "zero-d": backend.asarray(np.array(3)), "no elements": backend.asarray(np.zeros((0, 2))),
        "flags": backend.asarray(np.array([True, False])), "half": backend.asarray(np.array([1.5], "float16")),
        "number": np.float32(0.1), "count": np.int64(7), "truth": np.bool_(True), "byte": np.uint8(255),
        "not a number": np.float64(math.inf), "tensor": xpnet.tensor([1.0], backend=backend),
        "learned": xpnet.tensor([1.0], requires_grad=True, backend=backend),
        "parameter": nn.Parameter(array(1, 2), requires_grad=False), "arrays": [array(1), (array(2), {"x": array(3)})],
        "keys": {0: array(1), "0": array(2), 1.5: 3, None: 4, True: 5, (1, "a"): array(6)},
        "ordered": OrderedDict([("b", 1), ("a", array(2))]), "a.b": array(1), "a": {"b": array(2)}, "": array(3),
        "__metadata__": array(4), "xpnet.tree": "text",
    }  # fmt: skip


def test_everything_comes_back_as_it_was(tmp_path, backend):
    state = everything(backend)
    del state["not a number"]
    check(goes_round(state, tmp_path / "a", backend), state, backend)
    for key, value in state.items():
        if not isinstance(value, (str, xpnet.Tensor)):  # alone they are arrays, or no checkpoint
            check(goes_round({key: value}, tmp_path / "b", backend)[key], value, backend)


def test_a_number_that_is_not_finite(tmp_path):
    found = goes_round({"x": np.float64(math.inf), "y": np.float32(math.nan)}, tmp_path / "a")
    assert (type(found["x"]), found["x"]) == (np.float64, math.inf)
    assert type(found["y"]) is np.float32
    assert math.isnan(found["y"])


def test_a_training_is_taken_up_from_its_checkpoint(tmp_path, backend):
    def parts():
        xpnet.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4, backend=backend), nn.BatchNorm1d(4, backend=backend))
        optimizer = optim.AdamW(model.parameters(), amsgrad=True)
        return model, optimizer, lr_scheduler.CosineAnnealingLR(optimizer, 9)

    def train(model, optimizer, schedule, epochs):
        for t in epochs:
            x = backend.asarray(np.random.default_rng(t).standard_normal((5, 3)).astype("float32"))
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
            schedule.step()

    model, optimizer, schedule = parts()
    train(model, optimizer, schedule, range(3))
    checkpoint = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "epoch": 3,
        "best": 0.9, "history": [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": None}], "name": "a run",
    }  # fmt: skip
    found = goes_round(checkpoint, tmp_path / "a", backend)
    check(found, checkpoint, backend)
    assert found["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    train(model, optimizer, schedule, range(3, 6))
    again = parts()
    for part, key in zip(again, ("model", "optimizer", "schedule"), strict=True):
        part.load_state_dict(found[key])
    train(*again, range(found["epoch"], 6))
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(backend.to_numpy(again[0].state_dict()[key]), backend.to_numpy(value))


def test_arrays_alone_are_a_file_as_before(tmp_path):
    xpnet.save({"b": np.ones(2), "a": xpnet.tensor([1.0])}, tmp_path / "a")
    xpnet.save({"b": np.ones(2), "a": np.ones(1, "float32")}, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"xpnet.tree" not in (tmp_path / "a").read_bytes()
    assert type(xpnet.load(tmp_path / "a")["a"]) is np.ndarray
    assert goes_round({}, tmp_path / "c") == {}


def test_other_programs_find_the_arrays_under_their_places(tmp_path):
    from safetensors.numpy import load_file

    state = {"model": {"0.weight": np.ones((2, 2)), "0": {"weight": np.zeros(1)}}, "epoch": 3, "lr": np.float32(0.5)}
    xpnet.save(state, tmp_path / "a", {"note": "mine"})
    arrays = load_file(tmp_path / "a")
    assert set(arrays) == {"model.0.weight", "model.0.weight#2", "lr"}
    np.testing.assert_array_equal(arrays["model.0.weight"], np.ones((2, 2)))
    found, metadata = load_with_metadata(tmp_path / "a")
    assert metadata == {"note": "mine"}
    np.testing.assert_array_equal(found["model"]["0"]["weight"], [0.0])


def itself():
    state = {"epoch": 1, "more": []}
    state["more"].append(state)
    return state


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(("state", "error", "match"), [
    ({"e": 1, "tags": {"a"}}, TypeError, r"state\['tags'\] is a set, which cannot be saved: make a list of it"),
    ({"e": 1, "x": [0, {"y": object()}]}, TypeError, r"state\['x'\]\[1\]\['y'\] is a object, .*the numbers and the text"),
    ({"e": 1, "path": Path("a")}, TypeError, r"state\['path'\] is a PosixPath, .*: save str\(path\)"),
    ({"e": 1, "z": 1j}, TypeError, r"state\['z'\] is a complex, .*: save its parts"),
    ({"e": 1, "f": len}, TypeError, r"state\['f'\] is a builtin_function_or_method, .*: save its name"),
    ({"e": 1, "b": b"x"}, TypeError, r"state\['b'\] is a bytes"),
    ({"e": 1, "p": Pair(1, 2)}, TypeError, r"state\['p'\] is a Pair, .*: make a tuple or a dict of it"),
    ({"model": nn.Linear(1, 1)}, TypeError, r"state\['model'\] is a Linear, .*: save its state_dict\(\)"),
    ({"e": 1, "o": optim.SGD([nn.Parameter(np.ones(1))])}, TypeError, r"state\['o'\] is a SGD, .*state_dict\(\)"),
    ({"e": 1, "t": np.array(["a"])}, TypeError, r"state\['t'\] is not an array of numbers but an array of <U1"),
    ({"t": np.array([None])}, TypeError, r"state\['t'\] is not an array of numbers but an array of object"),
    ({"e": 1, "d": np.datetime64("2020")}, TypeError, r"state\['d'\] is a datetime64"),
    ({"e": {frozenset(): 1}}, TypeError, r"state\['e'\] has the key frozenset\(\), a frozenset: keys are text, numbers"),
    ({math.nan: 1}, TypeError, "state has the key nan, a float"),
    (itself(), ValueError, r"state\['more'\]\[0\] holds itself"),
    (nn.Linear(1, 1), TypeError, r"a Linear is saved as its state: xpnet.save\(x.state_dict\(\), path\)"),
    (optim.SGD([nn.Parameter(np.ones(1))]), TypeError, "a SGD is saved as its state"),
    (np.ones(2), TypeError, r"takes a dict of arrays by name, got ndarray: xpnet.save\({'x': x}, path\)"),
    ([np.ones(2)], TypeError, "takes a dict of arrays by name, got list"),
])  # fmt: skip
def test_what_cannot_be_saved_is_named_with_its_place(state, error, match, tmp_path):
    with pytest.raises(error, match=match):
        xpnet.save(state, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_the_same_part_twice_is_no_circle(tmp_path):
    part = [1, {"x": np.ones(1)}]
    found = goes_round({"a": part, "b": (part, part)}, tmp_path / "a")
    assert found["b"][1][1]["x"] == [1.0]


def test_text_that_no_reader_would_take(tmp_path, monkeypatch):
    monkeypatch.setattr(xpnet.serialization, "_LONGEST_HEADER", 10_000)
    with pytest.raises(ValueError, match="do not fit into a safetensors header: convert long lists"):
        xpnet.save({"history": list(range(10_000))}, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_an_edited_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a"
    xpnet.save({"epoch": 3, "w": np.arange(3.0)}, path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"epoch", b"epocs"))
    with pytest.raises(CheckpointError, match="its checksum does not match"):
        xpnet.load(path)
    path.write_bytes(content[:-1])
    with pytest.raises(CheckpointError):
        xpnet.load(path)


@pytest.mark.parametrize("tree", [
    "[]", "3", "{", '{"dict": 3}', '{"dict": [["a", {"array": "nowhere"}]]}', '{"unknown": 1}', '{"a": 1, "b": 2}',
    '{"dict": [["a", {"tensor": "w"}]]}', '{"dict": [["a", {"number": ["nonsense", "w"]}]]}', '{"dict": [[[], 1]]}',
])  # fmt: skip
def test_a_tree_that_nobody_wrote_is_refused(tree, tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(1)}, str(tmp_path / "a"), {"xpnet.tree": tree})
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        xpnet.load(tmp_path / "a")


def test_the_text_in_the_file_is_json(tmp_path):
    xpnet.save({"epoch": 3, "best": math.inf}, tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["xpnet.tree"]) == {"dict": [["epoch", 3], ["best", {"float": "inf"}]]}
