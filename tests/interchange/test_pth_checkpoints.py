"""Checkpoints as training scripts write them: what stands beside the state dict, wrappers, odd dtypes and layouts."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from xpnet import CheckpointError, models, no_grad
from xpnet.interchange import load_pth
from xpnet.interchange.unpickle import Machine, Opaque, UnpickleError

FILES = Path(__file__).parent.parent / "fixtures/pth/more"


@pytest.fixture(scope="module")
def values():
    with np.load(FILES / "values.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def check_model(found, values, keys=("weight", "bias")):
    assert sorted(found) == sorted(keys)
    for key in keys:
        np.testing.assert_array_equal(found[key], values[f"model.{key.removeprefix('0.')}"])


@pytest.mark.parametrize("name", ["beside", "beside4", "beside_legacy"])
@pytest.mark.parametrize("key", ["state_dict", "ema.model"])
def test_whatever_stands_beside_the_state_dict(name, key, values):
    check_model(load_pth(FILES / f"{name}.pth", key=key), values)


@pytest.mark.parametrize("name", ["beside", "beside4", "beside_legacy"])
def test_without_a_key_the_error_names_what_looks_like_a_state_dict(name):
    with pytest.raises(CheckpointError, match=r"choose one, e\.g\. key='state_dict', key='ema\.model'$"):
        load_pth(FILES / f"{name}.pth")
    with pytest.raises(CheckpointError, match=r"under key='ema' it is a checkpoint .* key='ema\.model'$"):
        load_pth(FILES / f"{name}.pth", key="ema")


@pytest.mark.parametrize(("key", "message"), [
    ("args", r"refuses to make an object of argparse\.Namespace"), ("path", r"refuses to call pathlib\.PosixPath"),
    ("device", r"refuses to call torch\.device"), ("best", r"refuses to call numpy\.dtype"),
    ("matrix", "refuses to call _codecs.encode"), ("seen", "refuses to call __builtin__.set"), ("dtype", "a name"),
    ("time", "refuses to call _codecs.encode"), ("own", r"refuses to make an object of __main__\.Settings"),
    ("sparse", "refuses to call torch"), ("meta", "refuses to call torch._utils._rebuild_meta"),
    ("quantised", "refuses to call torch._utils._rebuild_qtensor"), ("complex_tensor", "no state dict but a tensor"),
    ("optimizer", "'state' is not a tensor but a dict"), ("log", "'loss' is not a tensor but a list"),
    ("args.lr", "has nothing under key='args.lr'"), ("ema.nothing", r"has nothing under key='ema\.nothing'"),
    ("", "has nothing under key=''"),
])  # fmt: skip
def test_a_key_of_something_else(key, message):
    with pytest.raises(CheckpointError, match=message):
        load_pth(FILES / "beside.pth", key=key)


@pytest.mark.parametrize(("name", "key"), [
    ("parallel", None), ("compiled", None), ("averaged", None), ("lightning", "state_dict"), ("extra_state", None),
    ("own_dict", "state_dict"), ("defaultdict", "state_dict"),
])  # fmt: skip
def test_what_wrappers_put_before_the_keys(name, key, values):
    check_model(load_pth(FILES / f"{name}.pth", key=key), values)


def test_a_part_that_was_compiled():
    assert sorted(load_pth(FILES / "part_compiled.pth")) == ["0.bias", "0.weight", "1.bias", "1.weight"]


def test_a_prefix_by_name(values):
    path = FILES / "model_prefix.pth"
    check_model(load_pth(path, prefix="model."), values)
    assert sorted(load_pth(path)) == ["model.bias", "model.weight"]  # may be an attribute of the network
    assert sorted(load_pth(FILES / "parallel.pth", prefix="")) == ["module.bias", "module.weight"]
    with pytest.raises(CheckpointError, match=r"'model\.weight' does not begin with prefix='net\.'; its keys are"):
        load_pth(path, prefix="net.")


def test_a_torchscript_archive_is_called_that():
    with pytest.raises(CheckpointError, match=r"it is a TorchScript program.*torch\.jit\.load\(FILE\)\.state_dict\(\)"):
        load_pth(FILES / "script.pt")


def test_dtypes_and_layouts(values):
    found = load_pth(FILES / "kinds.pth")
    expected = {key.removeprefix("kinds."): value for key, value in values.items() if key.startswith("kinds.")}
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        assert found[key].shape == value.shape, key
        np.testing.assert_array_equal(found[key], value, err_msg=key)
        assert found[key].flags.c_contiguous


def test_the_resnet_of_the_paper_loads_the_files_that_are_shared(values, backend):
    model = models.resnet20(shortcut="A", width=4, backend=backend).eval()
    model.load_state_dict(load_pth(FILES / "resnet20_narrow.th", backend, key="state_dict"))
    with no_grad():
        y = model(backend.asarray(values["resnet.x"]))
    np.testing.assert_allclose(backend.to_numpy(y.data), values["resnet.y"], rtol=1e-5, atol=1e-5)


# -- nothing is executed, nothing grows ------------------------------------------------------------------------------


def archive(path, program):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", program)
    return path


@pytest.mark.parametrize("kind", ["call", "evaluated", "with_state"])
@pytest.mark.parametrize("protocol", range(6))
def test_traps_beside_a_state_dict_stay_shut(tmp_path, monkeypatch, kind, protocol):
    """The recording script says what they would do."""
    monkeypatch.chdir(tmp_path)
    path = FILES / f"traps{protocol}.pth"
    assert load_pth(path, key="model") == {}
    with pytest.raises(CheckpointError, match="holds no state dict, and refuses to"):
        load_pth(path, key=kind)
    assert not list(tmp_path.iterdir())


def nest(depth, width=2):
    """A tuple of tuples of tuples ..., each of which occurs twice: short to write, too long to print or to hash."""
    return b"K\x01" + b"".join(b"q\x00" + b"h\x00" * (width - 1) + b"\x86" for _ in range(depth))


@pytest.mark.parametrize("program", [
    b"}" + nest(200) + b"K\x01s.",  # a dict key
    nest(200) + b"Q.",  # a reference to a storage
    b"(" + nest(200) + b"K\x01tQ.",
    b"cx\ny\n" + nest(200) + b"R.",  # arguments of a call
    b"cx\ny\n)R" + nest(200) + b"b.",  # state
    b"ctorch._utils\n_rebuild_tensor_v2\n" + nest(200) + b"R.",
    b"}X\x01\x00\x00\x00a" + nest(200) + b"s.",
    nest(200) + b".",
    b"K\x01" + b"\x85" * 200_000 + b".",
    b"}" + b"K\x01" + b"\x85" * 200_000 + b"K\x02s.",
])  # fmt: skip
def test_nests_take_no_time(tmp_path, program):
    with pytest.raises(CheckpointError):
        load_pth(archive(tmp_path / "a", program))


def test_a_nest_as_the_key_of_a_plain_file(tmp_path):
    start = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\x02M\xe9\x03."
    start += b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s." + b"}."
    (tmp_path / "a").write_bytes(start + b"]" + nest(200) + b"a.")
    with pytest.raises(CheckpointError, match="of a key that is not text is not used"):
        load_pth(tmp_path / "a")


def test_an_ordered_dict_of_the_older_protocols():
    program = b"ccollections\nOrderedDict\n((X\x01\x00\x00\x00aK\x01ltR."
    with pytest.raises(UnpickleError, match="its items are not pairs"):
        Machine({"collections.OrderedDict": _ordered()}, lambda x: x).run(io.BytesIO(program))
    program = b"ccollections\nOrderedDict\n(((X\x01\x00\x00\x00aK\x01lltR."
    assert Machine({"collections.OrderedDict": _ordered()}, lambda x: x).run(io.BytesIO(program)) == {"a": 1}


def _ordered():
    from xpnet.interchange.pth import _STAND_INS

    return _STAND_INS["collections.OrderedDict"]


def test_placeholders_are_equal_to_themselves_only():
    a, b = Opaque("x"), Opaque("x")
    assert {a: 1}[a] == 1
    assert a != b
    assert len({a, b}) == 2


@pytest.mark.parametrize(("content", "message"), [
    (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"), (b"<!DOCTYPE html>", "a web page"),
    (b"\n<html>", "a web page"), (b"\x1f\x8b\x08aaaa", "compressed by gzip"), (b"\x89HDF\r\n", "an HDF5 file"),
    (struct.pack("<q", 2) + b"{}", r"\.safetensors by xpnet\.load"),
    (b"a" * 257 + b"ustar" + b"\0" * 300, "a tar archive, as PyTorch wrote before 2017"),
])  # fmt: skip
def test_what_else_people_have_under_that_name(tmp_path, content, message):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"not a file of torch\.save .*{message}"):
        load_pth(tmp_path / "a.pth")


def test_an_npz_under_that_name(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.zeros(2))
    with pytest.raises(CheckpointError, match=r"read a \.npz by load_npz"):
        load_pth(tmp_path / "a.npz")
