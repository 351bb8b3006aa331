"""IDX files: whole ones are read, damaged ones are named."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xpnet.data import DataError, read_idx, write_idx

ARRAYS = hnp.arrays(
    st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).map(np.dtype),
    hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
)


@given(array=ARRAYS, packed=st.booleans(), turned=st.booleans())
def test_round_trip(tmp_path_factory, array, packed, turned):
    array = array.T if turned else array
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    write_idx(path, array)
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_the_format_itself(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0xFF, 0xFE]))
    assert read_idx(path).tolist() == [[256, -2]]


def idx(*, magic=b"\0\0\x08\x01", lengths=b"\0\0\0\x04", values=b"abcd"):
    return magic + lengths + values


@pytest.mark.parametrize(("content", "match"), [
    (b"", "is empty"),
    (b"\n<!DOCTYPE html><html>sorry</html>", "is a web page, not data: delete it and download it again"),
    (b"<html>", "is a web page"),
    (b"PK\x03\x04", "is no IDX file: it starts with"),
    (b"\0\0", "is no IDX file"),
    (idx(magic=b"\0\0\x07\x01"), "unknown IDX dtype code 0x07"),
    (idx(lengths=b"\0\0"), "is truncated|ends within its header"),
    (b"\0\0\x08\x03\0\0\0\1", "ends within its header"),
    (idx(values=b"abc"), r"is truncated: shape \(4,\) needs 4 bytes of values, there are 3"),
    (idx(values=b"abcde"), "is too long"),
    (idx(lengths=b"\xff\xff\xff\xff"), "needs 4294967295 bytes"),
    (b"\0\0\x0e\x04" + b"\xff" * 16 + b"12345678", "is truncated: shape"),
    (gzip.compress(idx(), mtime=0)[:-3], "is a damaged gzip file"),
    (gzip.compress(idx(), mtime=0)[:-8] + b"12345678", "is a damaged gzip file"),
])  # fmt: skip
def test_damaged_files_are_named(tmp_path, content, match):
    path = tmp_path / "images-idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match) as caught:
        read_idx(path)
    assert "images-idx" in str(caught.value)


def test_what_cannot_be_read_or_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a folder"):
        read_idx(tmp_path)
    with pytest.raises(TypeError, match="IDX cannot hold complex128"):
        write_idx(tmp_path / "a", np.zeros(2, complex))


@pytest.mark.parametrize("shape", [[1] * 70, [0] + [2**32 - 1] * 5, [1] * 255])
def test_shapes_that_no_array_can_have(tmp_path, shape):
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + b"a" * (0 not in shape))
    with pytest.raises(DataError, match=r"no array can have the shape \("):
        read_idx(path)


def test_mutations_give_an_error_or_an_array(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    write_idx(path, rng.integers(0, 256, (3, 5, 5)).astype(np.uint8))
    raw = path.read_bytes()
    for content in (raw, gzip.compress(raw, mtime=0)):
        for _ in range(300):
            changed = bytearray(content)
            for place in rng.integers(0, min(len(changed), 40), rng.integers(1, 4)):
                changed[place] = rng.integers(0, 256)
            path.write_bytes(bytes(changed[: rng.integers(1, len(changed) + 1)]))
            try:
                array = read_idx(path)
            except DataError:
                continue
            assert array.nbytes <= len(raw)
