"""The wire format."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpnet.interchange.onnx import messages
from xpnet.interchange.onnx.messages import OnnxError, attribute, to_array, to_tensor
from xpnet.interchange.onnx.protobuf import WireError, decode, encode, many, one

# ruff: noqa: RUF009  one() and many() make fields


@dataclass
class Leaf:
    number: int | None = one(1, "int")
    text: str | None = one(2, "text")


@dataclass
class Tree:
    number: int | None = one(1, "int")
    numbers: list[int] = many(2, "int")
    floats: list[float] = many(3, "float")
    double: float | None = one(4, "double")
    content: bytes | None = one(5, "bytes")
    leaf: Leaf | None = one(6, Leaf)
    leaves: list[Leaf] = many(16, Leaf)
    x: float | None = one(17, "float")


def test_known_bytes():
    """The examples of protobuf.dev/programming-guides/encoding."""
    assert decode(Tree, b"\x08\x96\x01").number == 150
    assert decode(Leaf, b"\x12\x07testing").text == "testing"
    assert decode(Tree, b"\x32\x03\x08\x96\x01").leaf == Leaf(number=150)
    assert decode(Tree, b"\x12\x06\x03\x8e\x02\x9e\xa7\x05").numbers == [3, 270, 86942]
    assert decode(Tree, b"\x10\x03\x10\x8e\x02").numbers == [3, 270]
    assert decode(Tree, b"\x08" + b"\xff" * 9 + b"\x01").number == -1
    assert encode(Tree(number=-2)) == b"\x08\xfe" + b"\xff" * 8 + b"\x01"
    assert encode(Tree(numbers=[3, 270, 86942])) == b"\x12\x06\x03\x8e\x02\x9e\xa7\x05"


@given(
    st.builds(
        Tree,
        number=st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
        numbers=st.lists(st.integers(-(1 << 63), (1 << 63) - 1)),
        floats=st.lists(st.floats(width=32, allow_nan=False)),
        double=st.none() | st.floats(allow_nan=False),
        content=st.none() | st.binary(),
        leaf=st.none() | st.builds(Leaf, number=st.none() | st.integers(0, 300), text=st.none() | st.text()),
        leaves=st.lists(st.builds(Leaf, number=st.integers(0, 3), text=st.text(max_size=3)), max_size=3),
        x=st.none() | st.floats(width=32, allow_nan=False),
    )
)
def test_there_and_back(tree):
    assert decode(Tree, encode(tree)) == tree


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_an_error(content):
    try:
        found = decode(Tree, content)
    except WireError:
        return
    assert decode(Tree, encode(found)) == found or np.isnan([found.x or 0, found.double or 0, *found.floats]).any()


@pytest.mark.parametrize(("content", "message"), [
    (b"\x08", "ends within a number"),
    (b"\x08" + b"\xff" * 11, "more than ten bytes"),
    (b"\x12\x05abc", "a field of 5 bytes where 3 are left"),
    (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7fabc", "where 3 are left"),
    (b"\x0b", "unknown wire type 3"),
    (b"\x00\x01", "a field without a number"),
    (b"\x02\x01a", "a field without a number"),
    (b"\x30\x01", "Tree.leaf is not a message"),
    (b"\x1a\x03abc", "Tree.floats is not a list of numbers"),
    (b"\x0d\x01\x02\x03\x04", "Tree.number is not an integer"),
    (b"\x28\x01", "Tree.content is not a byte string"),
    (b"\x32\x03\x12\x01\xff", "Leaf.text is not text"),
])  # fmt: skip
def test_damaged_messages(content, message):
    with pytest.raises(WireError, match=message):
        decode(Tree, content)


def test_unknown_fields_are_skipped():
    skipped = b"\x58\x01" + b"\x59" + bytes(8) + b"\x5a\x02ab" + b"\x5d" + bytes(4)
    assert decode(Tree, skipped + b"\x08\x07") == Tree(number=7)


def test_many_empty_messages_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr("xpnet.interchange.onnx.protobuf._MAX_MESSAGES", 1000)
    tracemalloc.start()
    with pytest.raises(WireError, match="too many messages"):
        decode(Tree, b"\x82\x01\x00" * 100_000)
    assert tracemalloc.get_traced_memory()[1] < 3 << 20
    tracemalloc.stop()


# -- tensors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", sorted(messages.DTYPE_CODES))
def test_arrays_there_and_back(dtype):
    for array in (np.arange(6).reshape(2, 3).astype(dtype), np.ones((), dtype), np.zeros((0, 2), dtype)):
        found = to_array(decode(messages.Tensor, encode(to_tensor(array, "w"))))
        assert found.dtype == array.dtype
        assert found.flags.writeable
        np.testing.assert_array_equal(found, array)
    turned = np.arange(6).reshape(2, 3).astype(dtype).T
    np.testing.assert_array_equal(to_array(to_tensor(turned)), turned)


@pytest.mark.parametrize(("tensor", "expected"), [
    ({"dtype": 1, "floats": [1.0, 2.5]}, np.array([1, 2.5], "float32")),
    ({"dtype": 11, "doubles": [1.0, 2.5]}, np.array([1, 2.5])),
    ({"dtype": 7, "int64s": [-1, 2]}, np.array([-1, 2])),
    ({"dtype": 6, "int32s": [-1, 2]}, np.array([-1, 2], "int32")),
    ({"dtype": 9, "int32s": [0, 1]}, np.array([False, True])),
    ({"dtype": 10, "int32s": [0x3C00, 0xC000]}, np.array([1, -2], "float16")),
    ({"dtype": 13, "uint64s": [1, 2]}, np.array([1, 2], "uint64")),
    ({"dtype": 2, "int32s": [1, 255]}, np.array([1, 255], "uint8")),
])  # fmt: skip
def test_numbers_in_lists(tensor, expected):
    found = to_array(messages.Tensor(dims=[2], **tensor))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_tensor_of_too_many_axes():
    with pytest.raises(OnnxError, match="'w' has shape"):
        to_array(messages.Tensor(name="w", dims=[1] * 40, dtype=1, raw=bytes(4)))


@pytest.mark.parametrize(("value", "kind", "field"), [
    (3, 2, "i"), (True, 2, "i"), (0.5, 1, "f"), ("SAME", 3, "s"), ([1, 2], 7, "ints"), (np.ones(2), 4, "t"),
])  # fmt: skip
def test_attributes(value, kind, field):
    found = attribute("a", value)
    assert found.kind == kind
    assert getattr(found, field) is not None
