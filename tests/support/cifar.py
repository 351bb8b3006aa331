"""Small CIFAR-10 files in the published formats: records, pickles written by hand, archives."""

import gzip
import struct
import tarfile

import numpy as np

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def records(n, seed=0):
    """n records of the binary version, uint8 (n, 3073)."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (n, 3073)).astype(np.uint8)
    made[:, 0] %= 10
    return made


def short(text):
    """A string as Python 2 wrote it in protocol 2."""
    return b"U" + bytes([len(text)]) + text


def array(data, dtype=b"u1", state_data=None):
    """A NumPy array of bytes as Python 2 wrote it in protocol 2."""
    raw = data.tobytes() if state_data is None else state_data
    shape = b"".join(b"M" + struct.pack("<H", n) for n in data.shape)
    made = b"cnumpy.core.multiarray\n_reconstruct\nq\x08cnumpy\nndarray\nq\x09K\x00\x85U\x01b\x87Rq\x0a("
    made += b"K\x01" + shape + b"\x86" + b"cnumpy\ndtype\nq\x0b" + short(dtype) + b"K\x00K\x01\x87Rq\x0c"
    made += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    return made + b"T" + struct.pack("<i", len(raw)) + raw + b"tb"


def batch(made, *, data=None, labels=None):
    """A batch of the Python version with the images of ``records``, unless ``data`` or ``labels`` replace them."""
    numbers = b"".join(b"K" + bytes([label]) for label in made[:, 0])
    names = b"".join(short(f"image_s_{i:06}.png".encode()) for i in range(len(made)))
    return b"".join([
        b"\x80\x02}q\x01(", short(b"batch_label"), b"q\x02", short(b"training batch 1 of 5"), b"q\x03",
        short(b"labels"), b"q\x04", labels or b"]q\x05(" + numbers + b"e",
        short(b"data"), b"q\x06", data or array(made[:, 1:]),
        short(b"filenames"), b"q\x0d", b"]q\x0e(" + names + b"e", b"u.",
    ])  # fmt: skip


def files(version, n=2):
    """Names and contents of a whole archive's files; batch i is ``records(n, seed=i)``."""
    made = {name: records(n, seed=i) for i, name in enumerate(BATCHES, start=1)}
    if version == "binary":
        return {f"cifar-10-batches-bin/{name}.bin": values.tobytes() for name, values in made.items()}
    return {f"cifar-10-batches-py/{name}": batch(values) for name, values in made.items()}


def archive(contents, change=None):
    """A tar.gz of names and contents, with its folder and a readme; ``change(member)`` may damage a header."""
    folder = next(iter(contents)).partition("/")[0]
    place = tarfile.TarInfo(folder)
    place.type = tarfile.DIRTYPE
    parts = [place.tobuf(tarfile.GNU_FORMAT)]
    for name, content in {**contents, f"{folder}/readme.html": b"<html>"}.items():
        member = tarfile.TarInfo(name)
        member.size = len(content)
        if change is not None:
            change(member)
        parts += [member.tobuf(tarfile.GNU_FORMAT), content, bytes(-len(content) % 512)]
    return gzip.compress(b"".join([*parts, bytes(1024)]), 1, mtime=0)
