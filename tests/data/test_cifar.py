"""CIFAR-10 in both of its versions: whole files are read, damaged ones are named, nothing is executed."""

import gzip
import hashlib
import os
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from tests.support import cifar
from tests.support.cifar import records
from tests.support.mirror import Mirror
from xpnet.data import (
    DataError,
    DataUnavailableError,
    load_cifar10,
    read_cifar_batch,
    read_cifar_records,
)
from xpnet.data.images import cifar as cifar_module
from xpnet.data.readers import plain_pickle


@pytest.fixture(autouse=True)
def _no_other_place(tmp_path, monkeypatch):
    """An empty cache, and no data folder."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XPNET_DATA", raising=False)


@pytest.mark.parametrize("sub", [".", "cifar-10-batches-bin", "cifar10"])
def test_batches_in_a_folder(tmp_path, sub):
    folder = tmp_path / sub
    folder.mkdir(exist_ok=True)
    for i in (2, 1):
        (folder / f"data_batch_{i}.bin").write_bytes(records(3, seed=i).tobytes())
    (folder / "test_batch.bin.gz").write_bytes(gzip.compress(records(2, seed=9).tobytes()))
    train, test = load_cifar10(tmp_path)
    assert train.inputs.shape == (6, 3, 32, 32)
    assert train.targets.tolist() == [*records(3, seed=1)[:, 0], *records(3, seed=2)[:, 0]]
    np.testing.assert_array_equal(train.inputs[0].ravel(), records(3, seed=1)[0, 1:])
    assert len(test) == 2
    assert train.classes[9] == "truck"


def test_damaged_files(tmp_path):
    path = tmp_path / "test_batch.bin"
    path.write_bytes(records(2).tobytes()[:-1])
    with pytest.raises(
        DataError, match=r"test_batch.bin is not a whole CIFAR-10 file: 6145 bytes are no multiple of 3073"
    ):
        read_cifar_records(path)
    wrong = records(3)
    wrong[1, 0] = 10
    path.write_bytes(wrong.tobytes())
    with pytest.raises(DataError, match=r"record 1 has label 10, out of range 0\.\.9"):
        read_cifar_records(path)
    path.write_bytes(gzip.compress(records(2).tobytes())[:-5])
    with pytest.raises(DataError, match="damaged gzip"):
        read_cifar_records(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_cifar_records(path)


def test_where_there_are_none(tmp_path, monkeypatch):
    with pytest.raises(
        DataUnavailableError, match=r"CIFAR-10 is not in .* expected data_batch_\*\.bin and test_batch\.bin"
    ):
        load_cifar10(tmp_path)
    with pytest.raises(DataUnavailableError, match="there is no file or folder"):
        load_cifar10(tmp_path / "nowhere")
    with pytest.raises(DataUnavailableError, match=r"could not be downloaded from any of 3 mirrors: .* --data-dir"):
        load_cifar10()
    with pytest.raises(DataUnavailableError, match="downloading was switched off"):
        load_cifar10(download=False)
    monkeypatch.setenv("XPNET_DATA", str(tmp_path))
    with pytest.raises(DataUnavailableError, match="downloading was switched off"):
        load_cifar10(download=False)


def same_as_published(train, test, n=2):
    """Whether these are the images of ``cifar.files``."""
    expected = np.concatenate([cifar.records(n, seed=i) for i in range(1, 7)])
    got = np.concatenate([train.inputs, test.inputs])
    np.testing.assert_array_equal(got.reshape(-1, 3072), expected[:, 1:])
    assert [*train.targets, *test.targets] == expected[:, 0].tolist()
    assert (len(train), len(test), train.targets.dtype) == (5 * n, n, np.int64)


# -- archives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("packed", [True, False])
def test_archives_are_read_as_they_are(tmp_path, version, packed):
    content = cifar.archive(cifar.files(version))
    path = tmp_path / f"cifar-10-{version}.tar{'.gz' if packed else ''}"
    path.write_bytes(content if packed else gzip.decompress(content))
    same_as_published(*load_cifar10(tmp_path))
    same_as_published(*load_cifar10(path))
    assert list(tmp_path.iterdir()) == [path], "nothing is extracted"


def test_the_version_is_told_by_the_content_not_by_the_name(tmp_path):
    path = tmp_path / "mine.tgz"
    path.write_bytes(cifar.archive(cifar.files("python")))
    same_as_published(*load_cifar10(path))


def spoiled(**changes):
    """A change of the header of the third batch."""

    def change(member):
        if "data_batch_3" in member.name:
            for name, value in changes.items():
                setattr(member, name, value)

    return change


@pytest.mark.parametrize(("change", "match"), [
    (spoiled(name="../../etc/cron.d/x"), r"refused: '../../etc/cron.d/x' leads out"),
    (spoiled(name="/etc/passwd"), r"refused: '/etc/passwd' leads out"),
    (spoiled(name="..\\x"), "leads out"),
    (spoiled(name="cifar-10-batches-bin/evil.sh"), r"holds 'cifar-10-batches-bin/evil.sh', but only data_batch_1.bin"),
    (spoiled(name="elsewhere/data_batch_3.bin"), "holds 'elsewhere/data_batch_3.bin', but only"),
    (spoiled(name="cifar-10-batches-bin/data_batch_2.bin"), "twice"),
    (spoiled(name="cifar-10-batches-bin/readme.html"), r"twice|lacks data_batch_3\.bin"),
    (spoiled(type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0), "is a link or a device"),
    (spoiled(type=tarfile.LNKTYPE, linkname="/etc/passwd", size=0), "is a link or a device"),
    (spoiled(type=tarfile.CHRTYPE, size=0), "is a link or a device"),
    (spoiled(size=1 << 26), r"size of .*data_batch_3.bin' is out of range, at most 33554432 bytes"),
    (spoiled(size=1 << 40), "is out of range"),
    (spoiled(size=6146 + 512), "checksum is wrong|multiple|truncated|expected"),
])  # fmt: skip
def test_archives_of_other_things_are_refused(tmp_path, change, match):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(cifar.archive(cifar.files("binary"), change))
    with pytest.raises(DataError, match=match):
        load_cifar10(path)
    assert list(tmp_path.iterdir()) == [path]


def test_archives_that_are_not_whole(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    contents = cifar.files("binary")
    whole = cifar.archive(contents)
    for content, match in [
        (whole[:-100], "truncated or damaged archive"),
        (gzip.compress(gzip.decompress(whole)[:20000]), "ends too early"),
        (gzip.compress(bytes(1024)), "is an empty archive"),
        (b"PK\x03\x04" + bytes(2000), "checksum is wrong"),
        (b"", "ends too early"),
        (cifar.archive({k: v for k, v in contents.items() if "_4" not in k}), r"lacks data_batch_4\.bin"),
        (cifar.archive({"other/x": b"1"}), "only cifar-10-batches-bin or cifar-10-batches-py are expected"),
        (cifar.archive({**contents, "cifar-10-batches-bin/test_batch.bin": b"1"}), r"test_batch\.bin is not a whole"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=match):
            load_cifar10(tmp_path)


def test_an_archive_that_unpacks_to_far_more_than_it_is_read_in_bounds(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    contents = {**cifar.files("binary"), "cifar-10-batches-bin/data_batch_1.bin": bytes((1 << 25) + 3073)}
    path.write_bytes(cifar.archive(contents))
    with pytest.raises(DataError, match="out of range"):
        load_cifar10(path)
    (tmp_path / "test_batch.bin").write_bytes(gzip.compress(bytes(3073 << 15), 1))
    with pytest.raises(DataError, match="unpacks to more than 67108864 bytes"):
        read_cifar_records(tmp_path / "test_batch.bin")


# -- the Python version ----------------------------------------------------------------------------------------------


def test_the_python_version_in_a_folder(tmp_path):
    for name, content in cifar.files("python").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "cifar-10-batches-py/batches.meta").write_bytes(b"not looked at")
    same_as_published(*load_cifar10(tmp_path))
    same_as_published(*load_cifar10(tmp_path / "cifar-10-batches-py"))


def test_other_spellings_of_the_same_data():
    made = cifar.records(2)
    data, labels = made[:, 1:], made[:, 0].tolist()
    values = plain_pickle.read_plain_pickle(cifar.batch(made), "a")
    assert list(values) == ["batch_label", "labels", "data", "filenames"]
    assert values["labels"] == labels
    np.testing.assert_array_equal(values["data"], data)
    fortran = cifar.array(data, state_data=data.tobytes("F")).replace(b"\x89T", b"\x88T")
    np.testing.assert_array_equal(plain_pickle.read_plain_pickle(cifar.batch(made, data=fortran), "a")["data"], data)
    text = b"(dp0\nS'labels'\np1\n(lp2\nI6\naI-9\naL12L\nasV\\u00e9\nF0.5\ns(I01\nNt"
    assert plain_pickle.read_plain_pickle(text + b"0.", "a") == {"labels": [6, -9, 12], "é": 0.5}
    newer = (
        b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01M\0\1J\xff\xff\xff\xff\x8a\x02\xff\x7fh\1eC\1xG"
    )
    newer += struct.pack(">d", 0.5) + b"u."
    assert plain_pickle.read_plain_pickle(newer, "a") == {"a": [1, 256, -1, 32767, "a"], b"x": 0.5}


PROOF = "xpnet-was-here"
GLOBAL = b"cposix\nsystem\n"
COMMAND = f"touch {PROOF}".encode()


@pytest.mark.parametrize(("content", "match"), [
    (GLOBAL + b"(S'" + COMMAND + b"'\ntR.", "asks for the name 'posix.system'"),
    (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x14" + COMMAND + b"\x85R.", "asks for the name 'posix.system'"),
    (b"cbuiltins\neval\n(S'open(\"" + PROOF.encode() + b"\",\"w\")'\ntR.", "asks for the name 'builtins.eval'"),
    (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
    (b"cnumpy\nload\n(S'x'\ntR.", "asks for the name 'numpy.load'"),
    (b"cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"),
    (b"cnumpy\ndtype.type\n.", "numpy.dtype.type"),
    (b"(S'" + COMMAND + b"'\niposix\nsystem\n.", "asks for the instruction INST .'posix system'"),
    (b"(" + b"cnumpy\nndarray\n" + b"o.", "asks for the instruction OBJ"),
    (b"cnumpy\nndarray\n)\x81.", "asks for the instruction NEWOBJ"),
    (b"\x80\x04cnumpy\nndarray\n)}\x92.", "asks for the instruction NEWOBJ_EX"),
    (b"Pevil\n.", "asks for the instruction PERSID .'evil'"),
    (b"N\x51.", "asks for the instruction BINPERSID"),
    (b"\x82\x01.", "asks for the instruction EXT1"),
    (b"\x80\x05\x97.", "asks for the instruction NEXT_BUFFER"),
    (b"\x80\x05\x96\1\0\0\0\0\0\0\0a.", "asks for the instruction BYTEARRAY8"),
    (b"\x80\x04\x8f.", "asks for the instruction EMPTY_SET"),
    (b"cnumpy\nndarray\n(K\x05tR.", "a call of ndarray in an unknown way"),
    (b"cnumpy\ndtype\n(U\x01OK\0K\1tR.", "an array of the dtype 'O'"),
    (b"cnumpy\ndtype\n(U\x02i8K\0K\1tR.", "an array of the dtype 'i8'"),
    (b"(S'a'\nS'b'\ntS'c'\nR.", "a call of tuple"),
    (b"}(]K\1u.", "a key that is a list"),
    (b"}(cnumpy\ndtype\nK\1u.", "a key that is a _Name"),
    (b"}K\1a.", "appending to a dict"),
    (b"]K\1K\1s.", "items of a list"),
    (b"}}b.", "the state of a dict"),
    (b"cnumpy\nndarray\n}b.", "the state of a name"),
    (b"NK\1\x93.", "a name that is no text"),
    (b"\x8a\x09" + b"\xff" * 8 + b"\x7f.", "a number of more than 64 bits"),
])  # fmt: skip
def test_a_pickle_that_wants_more_than_data_is_refused_and_nothing_is_executed(tmp_path, monkeypatch, content, match):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("executed"))
    for where in (content, cifar.batch(cifar.records(2), data=content[:-1])):
        path = tmp_path / "data_batch_1"
        path.write_bytes(where)
        with pytest.raises(
            DataError, match=rf"data_batch_1: refused: byte \d+ asks for .*{match.removeprefix('asks for ')}"
        ):
            read_cifar_batch(path)
    assert list(tmp_path.iterdir()) == [path], "no file was made"


def test_a_refusal_in_an_archive_names_the_file(tmp_path):
    contents = {**cifar.files("python"), "cifar-10-batches-py/data_batch_2": GLOBAL + b"(S'ls'\ntR."}
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(cifar.archive(contents))
    with pytest.raises(
        DataError, match=r"cifar-10-python.tar.gz: data_batch_2: refused: byte 0 asks for .*posix\.system"
    ):
        load_cifar10(tmp_path)


MADE = cifar.records(2)


@pytest.mark.parametrize(("content", "match"), [
    (b"", "is empty"),
    (b"hello", "is no pickle of plain data"),
    (b"\x80\x02}q\x01", "is no pickle of plain data"),
    (b".", "expected a dict, got a NoneType"),
    (b"0.", "is no pickle"),
    (b"t.", "is no pickle"),
    (b"h\x05.", "is no pickle"),
    (b"].", "expected a dict, got a list"),
    (b"T\xff\xff\xff\x7fabc.", "is no pickle"),
    (b"\x8e" + b"\xff" * 7 + b"\x7fabc.", "is no pickle"),
    (b"L" + b"9" * 5000 + b"L\n.", "is no pickle"),
    (b"S'\\q\xff'\n.", "is no pickle"),
    (b"(" * 100 + b"N" * 1_000_100 + b".", "more than 1000000 instructions"),
    (cifar.batch(MADE, labels=b"N"), "expected 'labels', 2 whole numbers, got NoneType"),
    (cifar.batch(MADE, labels=b"](K\1e"), "got 1 entries"),
    (cifar.batch(MADE, labels=b"](K\1\x88e"), "expected 'labels'"),
    (cifar.batch(MADE, labels=b"](K\1K\x0ae"), r"record 1 has label 10, out of range 0\.\.9"),
    (cifar.batch(MADE, labels=b"](J\xff\xff\xff\xffK\1e"), "record 0 has label -1, out of range"),
    (cifar.batch(MADE, data=b"]"), r"expected 'data' uint8 \(N, 3072\), got list"),
    (cifar.batch(MADE, data=cifar.array(MADE)), r"expected 'data' uint8 \(N, 3072\), got \(2, 3073\)"),
    (cifar.batch(MADE, data=cifar.array(MADE[:, 1:], state_data=bytes(99))), "another size than its 99 bytes"),
    (cifar.batch(MADE, data=cifar.array(MADE[:, 1:], state_data=b"")), "another size"),
    (cifar.batch(MADE, data=cifar.array(MADE[:, 1:]).partition(b"(K\1M")[0]), "got NoneType"),
])  # fmt: skip
def test_batches_that_are_none(tmp_path, content, match):
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_cifar_batch(path)


def test_arrays_that_share_their_bytes_cannot_take_more_memory_than_the_file(tmp_path):
    start = b"U\xff" + b"x" * 255 + b"q\x010("
    one = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\1(K\xfftcnumpy\ndtype\n(U\x02u1tR\x89h\1tb"
    path = tmp_path / "data_batch_1"
    path.write_bytes(start + one + b"t.")
    with pytest.raises(DataError, match="expected a dict, got a tuple"):
        read_cifar_batch(path)
    path.write_bytes(start + one * 100 + b"t.")
    with pytest.raises(DataError, match="arrays larger than the file"):
        read_cifar_batch(path)


# -- the network -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror on this machine with a small archive, after one that has none."""
    served = tmp_path / "served"
    served.mkdir()
    content = cifar.archive(cifar.files("binary"))
    (served / "cifar-10-binary.tar.gz").write_bytes(content)
    pair = Mirror(served), Mirror(served)
    pair[0].fault = "missing"
    check = {"cifar-10-binary.tar.gz": (len(content), hashlib.sha256(content).hexdigest())}
    source = replace(cifar_module.CIFAR10, mirrors=tuple(one.url for one in pair), files=check)
    monkeypatch.setattr(cifar_module, "CIFAR10", source)
    yield pair[1]
    for one in pair:
        one.server.shutdown()
        one.server.server_close()


def test_downloaded_once_then_from_the_cache(mirror, tmp_path):
    same_as_published(*load_cifar10())
    same_as_published(*load_cifar10(download=False))
    assert mirror.requests == 1
    [cached] = (tmp_path / "cache").rglob("*.gz")
    cached.write_bytes(cached.read_bytes()[:-1])
    with pytest.raises(DataError, match="delete it, and it is downloaded again"):
        load_cifar10()


def test_an_archive_that_is_another_one_is_not_taken(mirror):
    mirror.fault = "wrong"
    with pytest.raises(DataUnavailableError, match="is not the right file"):
        load_cifar10()


def test_the_real_part(data_dir):
    if not (data_dir / "cifar10-subset").is_dir():
        pytest.skip("XPNET_DATA has no cifar10-subset/")
    train, test = load_cifar10(data_dir)
    assert train.inputs.shape == (4000, 3, 32, 32)
    assert test.inputs.shape == (1000, 3, 32, 32)
