"""Weights as .npz."""

import io
import zipfile

import numpy as np
import pytest

from xpnet import CheckpointError, nn
from xpnet.interchange import load_npz, save_npz


def arrays():
    rng = np.random.default_rng(0)
    return {
        "weight": rng.standard_normal((3, 4)).astype("float32"), "turned": rng.standard_normal((4, 3)).T,
        "half": rng.standard_normal(3).astype("float16"), "count": np.array(7), "empty": np.zeros((0, 2)),
        "flags": np.array([True, False]), "file": np.arange(3), "a.b/c": np.ones(2),
    }  # fmt: skip


def same(found, expected):
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


def test_round_trip(tmp_path, backend):
    path = tmp_path / "a.npz"
    save_npz({key: backend.asarray(value) for key, value in arrays().items()}, path)
    same({key: backend.to_numpy(value) for key, value in load_npz(path, backend).items()}, arrays())
    with np.load(path, allow_pickle=False) as file:
        same({key: file[key] for key in file.files}, arrays())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes(tmp_path, save):
    expected = {key: value for key, value in arrays().items() if key != "file"}
    save(tmp_path / "a.npz", big=np.arange(3, dtype=">i4"), **expected)
    same(load_npz(tmp_path / "a.npz"), {"big": np.arange(3, dtype="int32"), **expected})


def test_models(tmp_path):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_npz(model.state_dict(), tmp_path / "m")
    other.load_state_dict(load_npz(tmp_path / "m"))
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())
    save_npz(dict(model.named_parameters()), tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save_npz\(\): 'name' is not an array of numbers but str"):
        save_npz({"name": "x"}, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def npy(header):
    text = repr(header).encode() + b" " * 20 + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


HEADER = {"descr": "<f8", "fortran_order": False, "shape": (2,)}


@pytest.mark.parametrize(("content", "message"), [
    (npy({**HEADER, "descr": "|O"}) + b"cos\nsystem\n(S'false'\ntR.", "holds object, not numbers"),
    (npy({**HEADER, "descr": "<U4"}) + bytes(32), "holds <U4, not numbers"),
    (npy({**HEADER, "descr": [("a", "<f8")]}) + bytes(16), "not numbers"),
    (npy({**HEADER, "shape": (1 << 50, 1 << 50)}) + bytes(16), "claims shape"),
    (npy({**HEADER, "shape": (-2, -1)}) + bytes(16), "claims shape"),
    (npy({**HEADER, "shape": (3,)}) + bytes(16), "claims shape"),
    (npy({**HEADER, "descr": "nonsense"}) + bytes(16), "not a valid dtype"),
    (npy({"shape": 3}), "correct keys"),
    (b"\x93NUMPY\x07\x00" + bytes(20), "unknown version"),
    (b"no array", "magic string"),
])  # fmt: skip
def test_entries_that_are_no_numbers(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("w.npy", content)
    with pytest.raises(CheckpointError, match=message):
        load_npz(tmp_path / "a.npz")


def test_truncated_files_and_others(tmp_path):
    path = tmp_path / "a.npz"
    save_npz(arrays(), path)
    content = path.read_bytes()
    for length in (0, 1, 30, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=rf"not a whole .npz of numbers \({length} bytes"):
            load_npz(path)
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "nowhere")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", npy({**HEADER, "shape": (1000,)}) + bytes(8000))
    content = bytearray(packed.getvalue())
    for place in (content.find(b"PK\x03\x04") + 22, content.find(b"PK\x01\x02") + 24):
        content[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError, match="claims 4294967280 bytes"):
        load_npz(tmp_path / "a")


def test_edited_files_give_an_error_or_arrays_of_the_right_size(tmp_path):
    path = tmp_path / "a"
    save_npz(arrays(), path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(content)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(bytes(changed))
        try:
            found = load_npz(path)
        except CheckpointError:
            refused += 1
            continue
        assert sum(a.nbytes for a in found.values()) <= len(content)
    assert refused > 100
