"""Weights in files: a file is either complete or absent."""

import json
import os

import numpy as np
import pytest

import xpnet
from xpnet import CheckpointError, interchange, nn
from xpnet._files import write_atomically
from xpnet.serialization import load_with_metadata


def arrays():
    rng = np.random.default_rng(0)
    return {
        "weight": rng.standard_normal((3, 4)).astype("float32"), "turned": rng.standard_normal((4, 3)).T,
        "half": rng.standard_normal(3).astype("float16"), "count": np.array(7), "empty": np.zeros((0, 2)),
        "flags": np.array([True, False]),
    }  # fmt: skip


def test_round_trip(tmp_path, backend):
    path = tmp_path / "a.safetensors"
    xpnet.save({key: backend.asarray(value) for key, value in arrays().items()}, path, {"b": "2", "a": "1"})
    found, metadata = load_with_metadata(path, backend)
    assert metadata == {"a": "1", "b": "2"}
    for key, value in arrays().items():
        got = backend.to_numpy(found[key])
        assert got.dtype == value.dtype
        np.testing.assert_array_equal(got, value)


def test_models_and_tensors(tmp_path):
    model = nn.Linear(3, 2)
    xpnet.save(model.state_dict(), tmp_path / "m.safetensors")
    other = nn.Linear(3, 2)
    other.load_state_dict(xpnet.load(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())
    xpnet.save(dict(model.named_parameters()), tmp_path / "p.safetensors")
    np.testing.assert_array_equal(xpnet.load(tmp_path / "p.safetensors")["bias"], model.bias.numpy())


def test_equal_states_give_equal_files_that_anybody_can_read(tmp_path):
    for name in ("a", "b"):
        xpnet.save(arrays(), tmp_path / name, {"z": "1", "y": "2", "x": "3"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    from safetensors import safe_open

    with safe_open(str(tmp_path / "a"), framework="np") as file:
        assert dict(file.metadata().items() - {("crc32", file.metadata()["crc32"])}) == {"x": "3", "y": "2", "z": "1"}
        np.testing.assert_array_equal(file.get_tensor("weight"), arrays()["weight"])


def file_of(path, kind, shape, data):
    header = json.dumps({"w": {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def test_bfloat16_becomes_float32(tmp_path, backend):
    path = file_of(tmp_path / "a", "BF16", [1, 2], b"\x80\x3f\x00\xc0")
    found = backend.to_numpy(xpnet.load(path, backend)["w"])
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, [[1.0, -2.0]])


def test_numbers_of_another_kind(tmp_path):
    with pytest.raises(CheckpointError, match="'w' holds F8_E4M3, which is not supported"):
        xpnet.load(file_of(tmp_path / "a", "F8_E4M3", [2], b"\x00\x00"))


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save\(\): 'name' is not an array of numbers but str"):
        xpnet.save({"name": "x"}, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def whole_file(tmp_path):
    path = tmp_path / "a.safetensors"
    xpnet.save({"w": np.arange(12.0).reshape(3, 4)}, path, {"k": "v"})
    return path, path.read_bytes()


def test_truncated_files(tmp_path):
    path, content = whole_file(tmp_path)
    for length in (0, 1, 7, 8, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="not a whole safetensors file") as caught:
            xpnet.load(path)
        assert f"({length} bytes" in str(caught.value)
    path.write_bytes(content + b"x")
    with pytest.raises(CheckpointError):
        xpnet.load(path)
    with pytest.raises(FileNotFoundError):
        xpnet.load(tmp_path / "nowhere")


def test_an_edited_file_is_never_taken_for_the_whole_one(tmp_path):
    path, content = whole_file(tmp_path)
    rng = np.random.default_rng(0)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(bytes(changed))
        try:
            found = xpnet.load(path)
        except CheckpointError:
            continue
        np.testing.assert_array_equal(found["w"], np.arange(12.0).reshape(3, 4))


def test_files_of_other_programs_need_no_checksum(tmp_path):
    from safetensors.numpy import save_file

    save_file(arrays(), str(tmp_path / "a"), {"k": "v"})
    found, metadata = load_with_metadata(tmp_path / "a", "numpy")
    assert metadata == {"k": "v"}
    np.testing.assert_array_equal(found["weight"], arrays()["weight"])


def test_a_header_that_claims_a_huge_size(tmp_path):
    path = tmp_path / "a"
    path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError):
        xpnet.load(path)
    text = json.dumps({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError):
        xpnet.load(path)


# -- files -----------------------------------------------------------------------------------------------------------


def test_a_write_replaces_the_whole_file(tmp_path):
    path = tmp_path / "f"
    write_atomically(path, "first, and longer")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("existed", [True, False])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, call, existed):
    path = tmp_path / "f"
    if existed:
        path.write_text("old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path)
    assert ("the file that was there before is unchanged" in str(caught.value)) == existed
    monkeypatch.undo()
    assert [p.read_text() for p in tmp_path.iterdir()] == (["old"] if existed else [])


def test_a_write_that_is_interrupted_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "f", "new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="choose another folder"):
        write_atomically(tmp_path / "no/f", "x")


def test_tensors_parameters_and_lists_of_every_backend(tmp_path, backend):
    layer = nn.Linear(2, 1, backend=backend)
    state = {"parameter": layer.weight, "tensor": xpnet.tensor([[1.0, 2.0]], backend=backend), **layer.state_dict()}
    xpnet.save(state, tmp_path / "a.safetensors")
    interchange.save_npz({**state, "list": [3, 4]}, tmp_path / "a.npz")
    weights, arrays = xpnet.load(tmp_path / "a.safetensors"), interchange.load_npz(tmp_path / "a.npz")
    assert backend.to_numpy(arrays["list"]).tolist() == [3, 4]
    for found in (weights, arrays):
        assert backend.to_numpy(found["tensor"]).tolist() == [[1.0, 2.0]]
        for name in ("parameter", "weight"):
            np.testing.assert_array_equal(backend.to_numpy(found[name]), layer.weight.numpy())
    xpnet.save({**state, "list": [3, 4]}, tmp_path / "b.safetensors")
    mixed = xpnet.load(tmp_path / "b.safetensors")  # with a list in it, a checkpoint: every type as it was
    assert mixed["list"] == [3, 4]
    assert isinstance(mixed["parameter"], nn.Parameter)
    np.testing.assert_array_equal(mixed["parameter"].numpy(), layer.weight.numpy())


def test_the_memory_of_an_array_is_no_array(tmp_path, backend):
    if backend.name == "numpy":
        pytest.skip("the memory of a NumPy array is a buffer of bytes")
    memory = backend.asarray(np.ones(2)).data
    with pytest.raises(TypeError, match=r"save\(\): state\['w'\] is a MemoryPointer, which cannot be saved"):
        xpnet.save({"w": memory}, tmp_path / "a.safetensors")
