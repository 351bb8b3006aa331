"""PyTorch's files, whole, damaged and malicious."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from xpnet import CheckpointError, nn
from xpnet.interchange import load_pth
from xpnet.interchange.unpickle import Machine, Name, UnpickleError

FILES = Path(__file__).parent.parent / "fixtures/pth"


def values():
    with np.load(FILES / "values.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.mark.parametrize("name", ["zip", "legacy", "protocol4"])
def test_a_state_dict(name, backend):
    found = load_pth(FILES / f"{name}.pth", backend)
    expected = {key: value for key, value in values().items() if not key.startswith("model.")}
    assert list(found) == list(expected)
    for key, value in expected.items():
        got = backend.to_numpy(found[key])
        assert got.dtype == value.dtype, key
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize(("name", "key"), [("model", None), ("checkpoint", "model")])
def test_into_a_model(name, key):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 2))
    model.load_state_dict(load_pth(FILES / f"{name}.pth", key=key))
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(array, values()[f"model.{path}"])


@pytest.mark.parametrize(("name", "options", "message"), [
    ("checkpoint", {}, r"is a checkpoint with 'model', 'epoch', 'lr', 'name', 'none': choose one, e.g. key='model'"),
    ("checkpoint", {"key": "epoch"}, "holds no state dict but a int"),
    ("checkpoint", {"key": "weights"}, "has nothing under key='weights': it has 'model', 'epoch'"),
    ("whole_model", {}, r"refuses to make an object of torch\.nn\.modules\.container\.Sequential"),
    ("complex", {}, r"a kind that is not supported: torch\.ComplexFloatStorage"),
    ("numpy_scalar", {}, r"refuses to call numpy\.dtype"),
])  # fmt: skip
def test_files_with_something_else(name, options, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        load_pth(FILES / f"{name}.pth", **options)
    assert f"{name}.pth" in str(caught.value)


# -- files that somebody planted -------------------------------------------------------------------------------------


def zipped(path, program, storages=None, byteorder=b"little", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", program)
        archive.writestr("a/byteorder", byteorder)
        for key, data in (storages or {}).items():
            archive.writestr(f"a/data/{key}", data)
    return path


def legacy(program, keys=b"\x80\x02].", data=b"", little=b"\x88"):
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    return (
        magic
        + b"\x80\x02M\xe9\x03."
        + b"\x80\x02}X\r\x00\x00\x00little_endian"
        + little
        + b"s."
        + program
        + keys
        + data
    )


GET = [
    ("cposix\nsystem\n(X\x08\x00\x00\x00touch XYtR.", r"refuses to call posix\.system"),
    ("c__builtin__\neval\n(X\x03\x00\x00\x001+1tR.", r"refuses to call __builtin__\.eval"),
    ("X\x08\x00\x00\x00builtinsX\x04\x00\x00\x00exec\x93(X\x01\x00\x00\x001tR.", r"refuses to call builtins\.exec"),
    ("(S'touch XY'\niposix\nsystem\n.", r"refuses to make an object of posix\.system"),
    ("(cposix\nsystem\nS'touch XY'\no.", r"refuses to make an object of posix\.system"),
    ("csubprocess\nPopen\n)\x81.", r"refuses to make an object of subprocess\.Popen"),
    ("csubprocess\nPopen\n)}\x92.", r"refuses to make an object of subprocess\.Popen"),
    ("ctorch._utils\n_rebuild_tensor_v2\n}b.", "refuses to set attributes of Name"),
    ("}}b.", "refuses to set attributes of dict"),
    ("ccollections\nOrderedDict\n(X\x01\x00\x00\x00atR.", r"collections\.OrderedDict is not understood"),
    ("ccollections\nOrderedDict.__init__\n)R.", r"refuses to call collections\.OrderedDict\.__init__"),
    ("X\x01\x00\x00\x00a)R.", "refuses to call str"),
    ("\x82\x01.", "refuses the pickle instruction EXT1"),
    ("P0\n.", "refuses the pickle instruction PERSID"),
    ("\x97.", "refuses the pickle instruction NEXT_BUFFER"),
    ("X\x06\x00\x00\x00moduleQ.", "refuses what it refers to: 'module'"),
    ("(X\x06\x00\x00\x00modulecposix\nsystem\ntQ.", "refuses what it refers to: 'module'"),
    ("}(]K\x01u.", "refuses a dict key of type list"),
    ("K\x01K\x02a.", "refuses to append to int"),
    ("h\x05.", "nothing is kept under 5"),
    ("t.", "a mark is missing"),
    ("R.", "the stack is empty"),
    ("", "damaged"),
    ("}", "damaged"),
]


@pytest.mark.parametrize(("program", "message"), GET)
def test_nothing_is_executed(tmp_path, monkeypatch, program, message):
    monkeypatch.chdir(tmp_path)
    for name, content in (("zip", None), ("legacy", legacy(program.encode("latin1")))):
        path = tmp_path / name
        zipped(path, program.encode("latin1")) if content is None else path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            load_pth(path)
    assert not (tmp_path / "XY").exists()


def tensor(shape, strides, offset=0, count=4, kind="Float", key="0"):
    """The program of ``{"w": tensor}``; small numbers only where the opcodes allow."""

    def number(n):
        return b"\x8a\x08" + struct.pack("<q", n)

    def tuple_of(numbers):
        return b"(" + b"".join(map(number, numbers)) + b"t"

    storage = b"(X\x07\x00\x00\x00storagectorch\n%sStorage\nX\x01\x00\x00\x00%sX\x03\x00\x00\x00cpu%stQ" % (
        kind.encode(), key.encode(), number(count)
    )  # fmt: skip
    parts = storage + number(offset) + tuple_of(shape) + tuple_of(strides)
    return b"}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"\x89}tRs."


def test_a_tensor_of_our_own(tmp_path):
    path = zipped(tmp_path / "a", tensor((2, 2), (1, 2)), {"0": np.arange(4, dtype="<f4").tobytes()})
    np.testing.assert_array_equal(load_pth(path)["w"], np.array([[0, 2], [1, 3]], "float32"))


@pytest.mark.parametrize(("program", "message"), [
    (tensor((5,), (1,)), "reaches beyond its storage of 4 elements"),
    (tensor((2,), (1,), offset=3), "reaches beyond its storage"),
    (tensor((2,), (1 << 61,)), "reaches beyond its storage"),
    (tensor((2, 2), (1,)), "shape, strides or offset are not understood"),
    (tensor((2,), (-1,), offset=3), "shape, strides or offset are not understood"),
    (tensor((1,), (1,), offset=-1), "shape, strides or offset are not understood"),
    (tensor((-1,), (1,)), "shape, strides or offset are not understood"),
    (tensor((1,) * 40, (1,) * 40), "shape, strides or offset are not understood"),
    (tensor((1 << 40,), (0,)), "claims 4398046511104 bytes of tensors in a file of"),
    (tensor((1 << 61, 1 << 61), (0, 0)), "bytes of tensors in a file of"),
    (tensor((0, 1 << 61), (1, 1)), "damaged"),
    (tensor((1 << 16,), (1,), count=1 << 16), "needs 65536 numbers, its storage has 4"),
    (tensor((1,), (1,), count=-1), "a storage without a key or a length"),
    (tensor((1,), (1,), key="7"), "data/7 is missing"),
    (tensor((1,), (1,), kind="Quint8"), r"a kind that is not supported: torch\.Quint8Storage"),
    (tensor((4,), (1,), kind="Double"), "needs 4 numbers, its storage has 2"),
])  # fmt: skip
def test_claims_are_held_against_the_file(tmp_path, program, message):
    path = zipped(tmp_path / "a", program, {"0": bytes(16)})
    with pytest.raises(CheckpointError, match=message):
        load_pth(path)


def test_one_storage_under_two_dtypes(tmp_path):
    both = tensor((2,), (1,), count=2)[:-1] + tensor((2,), (1,), count=2, kind="Int")[1:].replace(
        b"X\x01\0\0\0w", b"X\x01\0\0\0v"
    )
    with pytest.raises(CheckpointError, match="storage '0' has two dtypes"):
        load_pth(zipped(tmp_path / "a", both, {"0": bytes(8)}))


def test_big_endian_and_compressed_files(tmp_path):
    program = tensor((4,), (1,))
    with pytest.raises(CheckpointError, match="big-endian"):
        load_pth(zipped(tmp_path / "a", program, {"0": bytes(16)}, byteorder=b"big"))
    (tmp_path / "b").write_bytes(legacy(b"}.", little=b"\x89"))
    with pytest.raises(CheckpointError, match="big-endian"):
        load_pth(tmp_path / "b")
    with pytest.raises(CheckpointError, match="claims more than the"):
        load_pth(zipped(tmp_path / "c", program, {"0": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED))


def test_other_files(tmp_path):
    path = tmp_path / "a"
    for content in (b"", b"hello", b"\x80\x02K\x01.", b"\x80\x02}."):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"not a file of torch\.save"):
            load_pth(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(CheckpointError, match=r"has no data\.pkl"):
        load_pth(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"a/{name}", b"}.")
    with pytest.raises(CheckpointError, match="TorchScript program"):
        load_pth(path)
    with pytest.raises(FileNotFoundError):
        load_pth(tmp_path / "nowhere")


def test_a_legacy_storage_that_claims_more_than_the_file(tmp_path):
    keys = b"\x80\x02]X\x01\x00\x00\x000a."
    (tmp_path / "a").write_bytes(legacy(tensor((4,), (1,)), keys, struct.pack("<q", 1 << 50)))
    with pytest.raises(CheckpointError, match="storage '0' claims 1125899906842624 elements"):
        load_pth(tmp_path / "a")
    (tmp_path / "a").write_bytes(legacy(tensor((4,), (1,))))
    with pytest.raises(CheckpointError, match="storage '0' is missing"):
        load_pth(tmp_path / "a")


@pytest.mark.parametrize("name", ["zip", "legacy"])
def test_truncated_files(tmp_path, name):
    content = (FILES / f"{name}.pth").read_bytes()
    path = tmp_path / "a"
    for length in (1, 3, 4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            load_pth(path)


@pytest.mark.parametrize("name", ["zip", "legacy", "checkpoint"])
def test_edited_files_give_an_error_or_arrays_of_the_right_size(tmp_path, name):
    content = (FILES / f"{name}.pth").read_bytes()
    path = tmp_path / "a"
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(content)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(bytes(changed))
        try:
            found = load_pth(path, key="model" if name == "checkpoint" else None)
        except CheckpointError:
            refused += 1
            continue
        assert sum(a.nbytes for a in found.values()) <= 16 * len(content) + (1 << 20)
    assert refused > 50


# -- the interpreter -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("program", "value"), [
    (b"(K\x01K\x02l.", [1, 2]), (b"(K\x01K\x02d.", {1: 2}), (b"](K\x01K\x02e.", [1, 2]), (b"K\x01K\x02\x86.", (1, 2)),
    (b"K\x01K\x02K\x03\x87.", (1, 2, 3)), (b"K\x010K\x02.", 2), (b"(K\x011K\x02.", 2), (b"G?\xf0\0\0\0\0\0\0.", 1.0),
    (b"N.", None), (b"\x88\x89\x86.", (True, False)), (b"I7\n.", 7), (b"K\x05p0\n0g0\n.", 5), (b"K\x05\x940h\x00.", 5),
    (b"K\x05r\x00\x00\x00\x000j\x00\x00\x00\x00.", 5), (b"C\x02ab.", b"ab"), (b"cos\nsystem\n.", Name("os.system")),
])  # fmt: skip
def test_plain_data(program, value):
    assert Machine({}, lambda x: x).run(io.BytesIO(program)) == value


def test_a_program_without_end(monkeypatch):
    monkeypatch.setattr("xpnet.interchange.unpickle._MAX_STEPS", 100)
    with pytest.raises(UnpickleError, match="more than 100 instructions"):
        Machine({}, lambda x: x).run(io.BytesIO(b"N" * 1000 + b"."))
