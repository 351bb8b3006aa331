"""10,000 spoiled files: each gives an error that its reader documents, or a right result.

Never another exception, a crash, a hang, much memory, or anything executed.
"""

import gzip
import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import guard, mutate
from tests.support import cifar
from xpnet import nn
from xpnet.cli.datasets import as_inputs
from xpnet.cli.settings import Settings, build_model, build_optimizer, build_schedule, read_settings
from xpnet.data import (
    DataError,
    read_cifar_archive,
    read_cifar_batch,
    read_cifar_records,
    read_digit_csv,
    read_idx,
    read_image,
    write_idx,
)
from xpnet.nn import functional as F
from xpnet.optim import Adam
from xpnet.optim.lr_scheduler import StepLR
from xpnet.serialization import CheckpointError
from xpnet.train import NonFiniteLossError, Trainer
from xpnet_backends import get_backend

EACH = 500  # mutations of each seed file
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (12, 10, 3)).astype(np.uint8)


# -- the files -------------------------------------------------------------------------------------------------------


def idx(tmp_path, array):
    write_idx(tmp_path / "a", array)
    return (tmp_path / "a").read_bytes()


def digits():
    rows = ["label," + ",".join(f"pixel{i}" for i in range(16))]
    rows += [",".join(map(str, [i % 10, *RNG.integers(0, 256, 16)])) for i in range(6)]
    return "\n".join(rows).encode()


def picture(kind, **options):
    image = pytest.importorskip("PIL.Image")
    image.init()
    stream = io.BytesIO()
    image.fromarray(IMAGE).save(stream, kind, **options)
    return stream.getvalue()


def small_archive(version):
    return cifar.archive(cifar.files(version, n=1))


def trainer(folder):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.2), nn.Linear(3, 2))
    optimizer = Adam(model.parameters())
    return Trainer(model, F.cross_entropy, optimizer, scheduler=StepLR(optimizer, 2), folder=folder)


X, Y = RNG.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 2


def checkpoint(tmp_path, name):
    """``best``, ``last``, or ``begun``: one in the middle of an epoch."""
    begun = trainer(tmp_path)
    begun.fit((X, Y), epochs=2, batch_size=4)
    if name == "begun":
        again = trainer(tmp_path)
        again.fit((X, Y), epochs=1, batch_size=4)
        again._save_last({"loss": np.array([0.5, 0.25], np.float32)}, [4, 4])
    return (tmp_path / f"{'best' if name == 'best' else 'last'}.safetensors").read_bytes()


def metadata_of(content):
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def without_checksum(content, seed, change):
    """A checkpoint of another program that notes no checksum, with its JSON changed."""
    header, values = metadata_of(content)
    header["__metadata__"].pop("crc32", None)
    header["__metadata__"]["checkpoint"] = change(header["__metadata__"]["checkpoint"], seed)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


# -- readers, and what their results must be -------------------------------------------------------------------------


def read_array(path):
    array = read_idx(path)
    assert isinstance(array, np.ndarray)
    assert array.nbytes <= max(1 << 26, 100 * path.stat().st_size)


def read_csv(path):
    data = read_digit_csv(path)
    assert data.inputs.dtype == np.uint8
    assert data.inputs.shape[1] == data.inputs.shape[2]
    assert data.targets is None or set(data.targets.tolist()) <= set(range(10))


def check_images(images, labels):
    assert images.dtype == np.uint8
    assert images.shape == (len(labels), 3, 32, 32)
    assert set(labels.tolist()) <= set(range(10))


def read_records(path):
    check_images(*read_cifar_records(path))


def read_batch(path):
    check_images(*read_cifar_batch(path))


def read_archive(path):
    for part in read_cifar_archive(path):
        check_images(*part)


def read_picture(path):
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2 or pixels.shape[2:] == (3,)


def resume(path):
    one = trainer(path.parent)
    one.resume(path)
    check_resumed(one)


def resume_and_train(path):
    """What was accepted must also train on, or say why not."""
    one = trainer(None)
    one.resume(path)
    check_resumed(one)
    if one.epoch < 1000:
        try:
            one.fit((X, Y), epochs=one.epoch + 1, batch_size=4)
        except NonFiniteLossError:
            return
        except ValueError as error:
            if "same batch size" not in str(error):
                raise AssertionError("training on") from error


def check_resumed(one):
    assert type(one.epoch) is int
    assert one.epoch >= 0
    assert all(p.data.dtype == np.float32 for p in one.model.parameters())
    assert all(isinstance(row, dict) for row in one.history.rows)


def load_best(path):
    one = trainer(path.parent)
    one.load_best()
    assert all(p.data.dtype == np.float32 for p in one.model.parameters())


EVIL = b"cposix\nsystem\n(S'touch xpnet-was-here'\ntR."
ONE = cifar.records(1)

# Name: the reader, its errors, the file, and how a file is made of the mutated content (None: it is that).
FILES = {
    "idx": (read_array, DataError, lambda tmp: idx(tmp, IMAGE[:, :, 0]), None),
    "idx float": (read_array, DataError, lambda tmp: idx(tmp, RNG.normal(size=(2, 3, 4))), None),
    "idx.gz": (read_array, DataError, lambda tmp: gzip.compress(idx(tmp, IMAGE), mtime=0), None),
    "idx in gz": (read_array, DataError, lambda tmp: idx(tmp, IMAGE), lambda c: gzip.compress(c, 1)),
    "csv": (read_csv, DataError, lambda tmp: digits(), None),
    "csv.gz": (read_csv, DataError, lambda tmp: gzip.compress(digits()), None),
    "records": (read_records, DataError, lambda tmp: cifar.records(2).tobytes(), None),
    "records.gz": (read_records, DataError, lambda tmp: gzip.compress(cifar.records(2).tobytes()), None),
    "batch": (read_batch, DataError, lambda tmp: cifar.batch(ONE), None),
    "evil batch": (read_batch, DataError, lambda tmp: cifar.batch(ONE, data=EVIL[:-1]), None),
    "evil": (read_batch, DataError, lambda tmp: EVIL, None),
    "tar.gz": (read_archive, DataError, lambda tmp: small_archive("binary"), None),
    "tar": (read_archive, DataError, lambda tmp: gzip.decompress(small_archive("binary")), mutate.tar_again),
    "python tar": (read_archive, DataError, lambda tmp: gzip.decompress(small_archive("python")), mutate.tar_again),
    "png": (read_picture, DataError, lambda tmp: picture("PNG"), None),
    "png again": (read_picture, DataError, lambda tmp: picture("PNG"), mutate.png_again),
    "jpeg": (read_picture, DataError, lambda tmp: picture("JPEG"), None),
    "last": (resume, CheckpointError, lambda tmp: checkpoint(tmp, "last"), None),
    "begun": (resume, CheckpointError, lambda tmp: checkpoint(tmp, "begun"), None),
    "best": (load_best, CheckpointError, lambda tmp: checkpoint(tmp, "best"), None),
}  # fmt: skip


def survive(path, read, errors):
    """Read a file: None for a right result, "refused" for an error that says why, else what went wrong."""
    try:
        with guard.in_time(), guard.nothing_is_executed():
            read(path)
    except KeyboardInterrupt:
        raise
    except errors as error:
        return "refused" if str(error) else f"{type(error).__name__} without a word"
    except BaseException as error:
        return f"{type(error).__name__}: {error!s:.300}"
    return None


def survive_all(path, contents, read, errors):
    """Read many spoiled files; fails with all that went wrong, by the numbers of the mutations."""
    ends = []
    with guard.in_bounds():
        for content in contents:
            path.write_bytes(content)
            ends.append(survive(path, read, errors))
    wrong = {number: end for number, end in enumerate(ends) if end not in (None, "refused")}
    assert not wrong, "\n".join(f"mutation {number}: {end}" for number, end in wrong.items())
    assert ends.count("refused") > len(ends) / 20, "the mutations do not bite"


@pytest.mark.parametrize("name", FILES)
def test_spoiled_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read, errors, make, finish = FILES[name]
    content = make(tmp_path)
    path = tmp_path / "best.safetensors"  # where a trainer looks for it
    finish = finish or bytes
    path.write_bytes(finish(content))
    assert survive(path, read, errors) == ("refused" if "evil" in name else None), "the file as it was"
    seed = list(FILES).index(name)
    survive_all(path, (finish(mutate.mutated(content, [seed, i])) for i in range(EACH)), read, errors)


@pytest.mark.parametrize("name", ["last", "begun"])
def test_edited_checkpoints(name, tmp_path):
    content = checkpoint(tmp_path, name)
    path = tmp_path / "file"
    path.write_bytes(without_checksum(content, 0, lambda text, seed: text))
    assert survive(path, resume_and_train, CheckpointError) is None, "the file as it was"
    changed = (without_checksum(content, [99, i], mutate.other_leaf) for i in range(EACH))
    survive_all(path, changed, resume_and_train, CheckpointError)


def use_settings(path):
    settings = read_settings(path.parent)
    model = build_model(settings, get_backend(settings.backend))
    build_schedule(settings, build_optimizer(settings, model))
    assert as_inputs(np.zeros((1, 8, 8), np.uint8), settings).dtype == np.float32


def test_edited_settings(tmp_path):
    state = {"input_shape": [8, 8], "classes": list("0123456789"), "normalize": {"mean": 0.5, "std": 0.2}}
    text = Settings("digits", hidden=[8], **state).to_json()
    path = tmp_path / "config.json"
    path.write_text(text)
    assert survive(path, use_settings, ValueError) is None
    changed = [mutate.other_leaf(text, [98, i]).encode() for i in range(EACH)]
    changed += [mutate.mutated(text.encode(), [97, i]) for i in range(EACH)] + [b"[" * 200_000]
    survive_all(path, changed, use_settings, (ValueError, MemoryError))


def test_there_are_ten_thousand():
    assert len(FILES) * EACH >= 10_000


# -- the guards bite -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [
    lambda: os.system("true"), lambda: Path("x").write_text("x"), lambda: exec("1"), lambda: __import__("subprocess").run(["true"]),
    lambda: os.remove("x"),
])  # fmt: skip
def test_the_guard_against_execution(act, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(guard.Executed), guard.nothing_is_executed():
        act()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory so")
def test_the_guard_against_huge_allocations():
    with pytest.raises(MemoryError), guard.in_bounds():
        np.ones(1 << 28)


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="this system has no alarms")
def test_the_guard_against_hangs(monkeypatch):
    monkeypatch.setattr(guard, "SECONDS", 0.05)
    with pytest.raises(guard.Hang), guard.in_time():
        time.sleep(5)


def test_an_error_of_another_kind_is_a_failure(tmp_path):
    def wrong(path):
        raise KeyError("x")

    with pytest.raises(AssertionError, match="mutation 1: KeyError"):
        survive_all(
            tmp_path / "x", [b"a", b"b"], lambda path: wrong(path) if path.read_bytes() == b"b" else None, DataError
        )
