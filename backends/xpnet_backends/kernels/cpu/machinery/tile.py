"""One tile of a matrix product, held in registers.  All compiled convolutions use it.

A processor executes several vector multiply-adds per cycle, but loads few numbers from memory in that time.  So a
product is fast only if every loaded number is used several times.  A tile keeps 8 rows and one or two vectors of the
result in registers.  Each step loads one or two vectors of B and multiplies them by 8 numbers of A::

    C[m, :] += A[m, k] · B[k, :]        m = 0 ... 7,  for all k

A and B are given by addresses and strides, and k runs over ``segments`` segments of ``length`` steps.  This is enough
to express a convolution as a product without copying windows, because the rows of A may overlap.  The code emits LLVM
vector instructions, because numba does not reliably vectorise such loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiler import LONG, compiled

ROWS = 8
LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8  # numbers in a vector
INTEGER, FLOAT, INDEX = ir.IntType(64), ir.FloatType(), ir.IntType(32)
VECTOR, MASK = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(1), LANES)
NOUGHT, NONE = ir.Constant(VECTOR, [0.0] * LANES), ir.Constant(MASK, [0] * LANES)


def _tile(vectors: int) -> Any:
    """A tile of ``ROWS`` rows and ``vectors`` vectors."""

    @intrinsic
    def tile(
        _: Any, a: Any, a_row: Any, a_step: Any, a_segment: Any, b: Any, b_step: Any, b_segment: Any, segments: Any,
        length: Any, c: Any, c_row: Any, rows: Any, columns: Any, add: Any,
    ) -> Any:  # fmt: skip
        return types.void(*(types.int64,) * 14), generate

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        (a, a_row, a_step, a_segment, b, b_step, b_segment, segments, length, c, c_row, rows, columns, add) = arguments
        a, b, c = (builder.inttoptr(address, FLOAT.as_pointer()) for address in (a, b, c))
        fma = _function(builder, "fma", VECTOR, [VECTOR] * 3)
        sums = [[cgutils.alloca_once_value(builder, NOUGHT) for _ in range(vectors)] for _ in range(ROWS)]
        with cgutils.for_range(builder, segments) as outer:
            a_start = _at(builder, a, outer.index, a_segment)
            b_start = _at(builder, b, outer.index, b_segment)
            with cgutils.for_range(builder, length) as inner:
                a_here = _at(builder, a_start, inner.index, a_step)
                b_here = _at(builder, b_start, inner.index, b_step)
                values = [_vector(builder, b_here, v) for v in range(vectors)]
                for m in range(ROWS):
                    number = _repeated(builder, builder.load(_at(builder, a_here, a_row, m)), VECTOR)
                    for v in range(vectors):
                        builder.store(builder.call(fma, [number, values[v], builder.load(sums[m][v])]), sums[m][v])
        masks = [_mask(builder, v, columns) for v in range(vectors)]
        adding = builder.icmp_signed("!=", add, INTEGER(0))
        for m in range(ROWS):
            with builder.if_then(builder.icmp_signed("<", INTEGER(m), rows)):
                row = _at(builder, c, c_row, m)
                for v in range(vectors):
                    before = _load(builder, row, v, builder.select(adding, masks[v], NONE))
                    _store(builder, builder.fadd(builder.load(sums[m][v]), before), row, v, masks[v])
        return context.get_dummy_value()

    return tile


def _function(builder: Any, name: str, result: Any, arguments: Any) -> Any:
    """The LLVM intrinsic of this name for our vector type."""
    suffix = f".v{LANES}f32" + (".p0" if name.startswith("masked") else "")
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), f"llvm.{name}{suffix}")


def _at(builder: Any, start: Any, index: Any, stride: Any) -> Any:
    """``start + index · stride``."""
    stride = INTEGER(stride) if isinstance(stride, int) else stride
    return builder.gep(start, [builder.mul(index, stride)])


def _place(builder: Any, start: Any, vector: int) -> Any:
    return builder.bitcast(builder.gep(start, [INTEGER(vector * LANES)]), VECTOR.as_pointer())


def _vector(builder: Any, start: Any, vector: int) -> Any:
    value = builder.load(_place(builder, start, vector))
    value.align = 4  # rows need not be aligned to the vector size
    return value


def _repeated(builder: Any, number: Any, kind: Any) -> Any:
    """A vector with ``number`` in every lane."""
    unset = ir.Constant(kind, ir.Undefined)
    every = ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(unset, number, INDEX(0)), unset, every)


def _mask(builder: Any, vector: int, columns: Any) -> Any:
    """True for the lanes that are columns of the result."""
    kind = ir.VectorType(INTEGER, LANES)
    numbers = ir.Constant(kind, list(range(vector * LANES, (vector + 1) * LANES)))
    return builder.icmp_signed("<", numbers, _repeated(builder, columns, kind))


def _load(builder: Any, start: Any, vector: int, mask: Any) -> Any:
    """Load the lanes of the mask, zeros elsewhere.  Other memory is not accessed."""
    read = _function(builder, "masked.load", VECTOR, [VECTOR.as_pointer(), INDEX, MASK, VECTOR])
    return builder.call(read, [_place(builder, start, vector), INDEX(4), mask, NOUGHT])


def _store(builder: Any, value: Any, start: Any, vector: int, mask: Any) -> None:
    write = _function(builder, "masked.store", ir.VoidType(), [VECTOR, VECTOR.as_pointer(), INDEX, MASK])
    builder.call(write, [value, _place(builder, start, vector), INDEX(4), mask])


_one_vector, _two_vectors = _tile(1), _tile(2)


@compiled(*[LONG] * 15)
def tile(
    panel: int, a: int, a_row: int, a_step: int, a_segment: int, b: int, b_step: int, b_segment: int,
    segments: int, length: int, c: int, c_row: int, rows: int, columns: int, add: int,
) -> None:  # fmt: skip
    """``C[m, :] += A[m, k] · B[k, :]`` (``=`` unless ``add``) for ``rows`` ≤ 8 and ``columns`` ≤ ``panel``.

    a, b and c are addresses; strides count elements.  ``panel`` is one or two vectors wide.
    """
    if panel == LANES:
        _one_vector(a, a_row, a_step, a_segment, b, b_step, b_segment, segments, length, c, c_row, rows, columns, add)
    else:
        _two_vectors(a, a_row, a_step, a_segment, b, b_step, b_segment, segments, length, c, c_row, rows, columns, add)


def combination(matrix: Sequence[Sequence[float]]) -> Any:
    """``C[i, :] = Σ_k matrix[i][k] A[k, :]`` on one vector per row, for a small matrix known at compile time."""

    @intrinsic
    def combine(_: Any, a: Any, a_row: Any, c: Any, c_row: Any, columns: Any) -> Any:
        return types.void(*(types.int64,) * 5), generate

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        a, a_row, c, c_row, columns = arguments
        a, c = (builder.inttoptr(address, FLOAT.as_pointer()) for address in (a, c))
        fma, mask = _function(builder, "fma", VECTOR, [VECTOR] * 3), _mask(builder, 0, columns)
        values = [_load(builder, _at(builder, a, a_row, k), 0, mask) for k in range(len(matrix[0]))]
        for i, row in enumerate(matrix):
            result = NOUGHT
            for factor, value in zip(row, values, strict=True):
                if factor:
                    result = builder.call(fma, [ir.Constant(VECTOR, [factor] * LANES), value, result])
            _store(builder, result, _at(builder, c, c_row, i), 0, mask)
        return context.get_dummy_value()

    return combine
