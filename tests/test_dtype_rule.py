"""Which dtype a result has: one rule for all operators and functions.

Two floating dtypes in one operation are an error.  Otherwise the floating dtype of the tensors is that of the result;
Python and NumPy numbers never change it.  Where all tensors are whole numbers or truth values, a floating number, a
division or a function like the exponential makes float32; without one they stay what NumPy makes of them.
"""

import operator
import warnings

import numpy as np
import pytest

import xpnet
from tests.ops.test_ops import ROWS, is_float
from xpnet import tensor
from xpnet.nn import functional as F
from xpnet.tensor import apply
from xpnet_backends import get_backend, to_numpy

DTYPES = ("float16", "float32", "float64", "int64", "int32", "uint8", "bool")
NUMBERS = {
    "2": 2, "2.5": 2.5, "True": True, "np.float16": np.float16(2.5), "np.float32": np.float32(2.5),
    "np.float64": np.float64(2.5), "np.int64": np.int64(2), "np.int8": np.int8(2), "np.bool": np.bool_(True),
}  # fmt: skip
CONDITION = [True, False, True]
BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "maximum": xpnet.maximum, "minimum": xpnet.minimum,
    "where": lambda a, b: xpnet.where(tensor(CONDITION), a, b),
    "reversed where": lambda a, b: xpnet.where(tensor(CONDITION), b, a),
}  # fmt: skip
COMPARE = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


def of(dtype):
    """Three ones."""
    return tensor(get_backend().asarray(np.ones(3, dtype)))


def kind(x):
    """The dtype of a tensor, or what a number counts as: "float", "int" or "bool"."""
    if hasattr(x, "shape") and not isinstance(x, np.generic):
        return str(x.dtype)
    x = x.item() if isinstance(x, np.generic) else x
    return type(x).__name__


def rule(name, *values):
    """The dtype that the result has to have; None for an error."""
    kinds = [kind(v) for v in values]
    floats = {k for k in kinds if k.startswith("float") and k != "float"}
    if len(floats) > 1:
        return None
    if floats:
        return floats.pop()
    if name == "/" or "float" in kinds:
        return "float32"
    wholes = [np.dtype(k) for k in kinds if k not in ("int", "bool") or k == "bool"]
    if name == "-" and all(k == "bool" for k in kinds):
        return None
    if name == "**" and all(k in ("int", "bool") for k in kinds):
        return "int64"  # as Python has it
    found = np.result_type(*wholes) if wholes else np.dtype("int64")
    return str(np.dtype("int64") if found.kind == "b" and "int" in kinds else found)


def check(name, *values):
    expected = rule(name, *values)
    if expected is None:
        with pytest.raises(TypeError):
            BINARY[name](*values)
    else:
        assert BINARY[name](*values).dtype == expected, (name, *map(kind, values))


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_and_a_number(name, dtype, backend):
    for number in NUMBERS.values():
        check(name, of(dtype), number)
        check(name, number, of(dtype))


@pytest.mark.parametrize("name", BINARY)
def test_two_tensors(name, backend):
    for a in DTYPES:
        for b in DTYPES:
            check(name, of(a), of(b))


@pytest.mark.parametrize("name", ["where", "reversed where"])
def test_two_numbers(name, backend):
    for a in NUMBERS.values():
        for b in NUMBERS.values():
            found = BINARY[name](a, b)
            expected = (
                "float32" if "float" in (kind(a), kind(b)) else "int64" if "int" in (kind(a), kind(b)) else "bool"
            )
            assert found.dtype == expected


def test_the_values_of_where(backend):
    assert to_numpy(xpnet.where(CONDITION, 1, 0.5).data).tolist() == [1.0, 0.5, 1.0]
    assert to_numpy(xpnet.where(tensor(CONDITION), 1, 0.5).data).tolist() == [1.0, 0.5, 1.0]
    assert to_numpy(xpnet.where(tensor(CONDITION), tensor([1, 2, 3]), 0.5).data).tolist() == [1.0, 0.5, 3.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", [(0.5, 2.5), (None, 2.5), (0.5, None), (0, 2.5), (0, 2), (np.float64(0.5), None)])
def test_clip(dtype, limits, backend):
    floating = any(isinstance(limit, float) for limit in limits)
    expected = dtype if dtype.startswith("float") else "float32" if floating else "int64" if dtype == "bool" else dtype
    found = of(dtype).clip(*limits)
    assert found.dtype == expected
    np.testing.assert_array_equal(to_numpy(found.data), 1)


def test_clip_takes_numbers():
    with pytest.raises(TypeError, match=r"clip\(\) takes numbers, got Tensor: use xpnet.maximum and xpnet.minimum"):
        tensor([1.0]).clip(tensor([0.5]))
    with pytest.raises(TypeError, match="takes numbers, got ndarray"):
        tensor([1.0]).clip(high=np.array([0.5]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_one_tensor(dtype, backend):
    t, floating = of(dtype), dtype if dtype.startswith("float") else "float32"
    for method in ("exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "mean", "var"):
        assert getattr(t, method)().dtype == floating, method
    total = dtype if dtype.startswith("float") else "uint64" if dtype == "uint8" else "int64"
    assert t.sum().dtype == t.sum(axis=0, keepdims=True).dtype == total
    for method in ("max", "min", "abs", "clone", "detach", "squeeze"):
        assert getattr(t, method)().dtype == dtype, method
    for compare in COMPARE:
        for other in (t, *NUMBERS.values()):
            assert compare(t, other).dtype == "bool"
    assert (-t).dtype == dtype if dtype != "bool" else True


@pytest.mark.parametrize("join", [xpnet.concatenate, xpnet.stack, lambda pair: pair[0] @ pair[1]])
def test_joining(join, backend):
    for a in DTYPES:
        for b in DTYPES:
            expected = rule("join", of(a), of(b))
            if expected is None:
                with pytest.raises(TypeError, match=f"two floating dtypes in one operation: {a}.*{b}"):
                    join([of(a), of(b)])
            else:
                assert join([of(a), of(b)]).dtype == expected


@pytest.mark.parametrize("join", [xpnet.concatenate, xpnet.stack])
def test_only_tensors_are_joined(join):
    for number in (0.5, np.float64(0.5)):
        with pytest.raises(TypeError, match=r"takes tensors or arrays, got float.*: use xpnet\.tensor\(\.\.\.\)"):
            join([tensor(1), number])


def test_integers_that_have_no_common_whole_dtype(backend):
    a, b = of("uint64"), of("int64")
    for found in (a + b, a * b, b - a, xpnet.maximum(a, b), xpnet.concatenate([a, b])):
        assert found.dtype == "float32"


def test_a_numpy_number_on_the_left(backend):
    for dtype in ("float16", "float32"):
        for number in (np.float64(2.0), np.float32(2.0), np.int64(2)):
            assert (number * of(dtype)).dtype == (number / of(dtype)).dtype == (number - of(dtype)).dtype == dtype


def test_an_array_of_another_floating_dtype_names_both(backend):
    with pytest.raises(
        TypeError, match=r"multiply: two floating dtypes in one operation: float32\(3,\), float64\(3,\)"
    ):
        of("float32") * backend.asarray(np.ones(3))


@pytest.mark.parametrize(("run", "message"), [
    (lambda: -tensor([True]), "-x of booleans: convert them first, e.g. x.astype"),
    (lambda: tensor([True]) - tensor([False]), "x - y of booleans: convert them first"),
    (lambda: True - tensor([True]), "x - y of booleans"),
    (lambda: tensor([True]) - np.bool_(True), "x - y of booleans"),
])  # fmt: skip
def test_truth_values_have_no_difference(run, message):
    with pytest.raises(TypeError, match=message):
        run()


def test_whole_numbers_to_a_negative_power():
    with pytest.raises(ValueError, match="negative integer powers"):
        tensor([2]) ** -1
    assert (tensor([2]) ** -1.0).tolist() == [0.5]


def test_a_python_number_that_the_dtype_cannot_hold():
    for t, number in ((tensor([1]), 2**63), (tensor(np.ones(1, np.int8)), 300), (tensor([1.0]), 10**400)):
        with pytest.raises(OverflowError, match=r"too large|out of bounds"):
            t + number


# -- in place --------------------------------------------------------------------------------------------------------

IN_PLACE = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "**=": operator.ipow,
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_the_dtype_stays_or_the_operation_is_refused(name, backend):
    """As NumPy does for arrays: a result of another kind is refused, and nothing is changed."""
    for dtype in DTYPES:
        for other in (*NUMBERS.values(), *map(of, DTYPES)):
            t = of(dtype)
            expected = rule(name[:-1], t, other)
            if expected is None or not np.can_cast(expected, dtype, "same_kind"):
                with pytest.raises(TypeError):
                    IN_PLACE[name](t, other)
                assert to_numpy(t.data).tolist() == [1, 1, 1]
            else:
                memory = t.data
                found = IN_PLACE[name](t, other)
                assert found is t
                assert t.data is memory
                expected = to_numpy(BINARY[name[:-1]](of(dtype), other).data).astype(dtype)
                np.testing.assert_array_equal(to_numpy(t.data), expected)


def test_what_the_error_says(backend):
    t = tensor([1, 2, 3])
    with pytest.raises(TypeError, match=r"the result is float32, the tensor int64: make a new tensor, e.g. x = x . y"):
        t += 0.5
    with pytest.raises(TypeError, match=r"convert this one first, e.g. x = x.astype\(\"float32\"\)"):
        t /= 2
    assert t.tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(2, 3), (1, 3)])
def test_in_place_the_shape_stays(shape, backend):
    t = tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"the result has shape \(., 3\), the tensor \(3,\): make a new tensor"):
        t += tensor(backend.asarray(np.ones(shape, np.float32)))
    assert t.tolist() == [1.0, 2.0, 3.0]
    t += tensor(1.0)
    assert t.tolist() == [2.0, 3.0, 4.0]


def test_assigning_elements_casts_as_numpy_and_pytorch_do(backend):
    t = tensor([1, 2, 3])
    t[0] = 7.9
    t[1:] = tensor([4.5, 5.5])
    assert t.tolist() == [7, 4, 5]
    assert t.copy_(tensor([1.5, 2.5, 3.5])).tolist() == [1, 2, 3]
    assert t.dtype == "int64"


# -- ops and losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", {row.op: row for row in ROWS}.values(), ids=lambda row: row.op.__name__)
def test_no_op_makes_float64_of_float32_and_whole_numbers(row):
    """An input in int64 in the place of a floating one: the result is float32, or an error that says so."""
    arrays = [x.astype("float32") if is_float(x) else x for x in row.make()]
    options = {k: v.astype("float32") if is_float(v) else v for k, v in row.options.items()}
    for i in (i for i, x in enumerate(arrays) if is_float(x) and row.op is not xpnet.ops.cast):
        mixed = [np.ones(x.shape, int) if i == j else x for j, x in enumerate(arrays)]
        if not any(is_float(x) for x in mixed):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                y = apply(row.op, *mixed, **options)
        except (TypeError, ValueError, IndexError):
            continue
        for part in y if isinstance(y, tuple) else (y,):
            assert part.dtype != "float64"


def test_whole_numbers_beside_floats_are_named(backend):
    x, weight = (tensor(backend.asarray(v)) for v in (np.ones((2, 3), np.float32), np.ones((4, 3), np.int64)))
    with pytest.raises(TypeError, match=r"linear: whole numbers beside float32: .*int64\(4, 3\).*convert them"):
        F.linear(x, weight)


LOGITS = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize("weight", [[1.0, 2.0, 3.0], [1, 2, 3], np.array([1, 2, 3]), (1.0, 2, 3)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_weights_of_a_loss_take_its_dtype(weight, dtype, backend):
    weight = backend.asarray(weight) if isinstance(weight, np.ndarray) else weight
    x, target = tensor(backend.asarray(LOGITS.astype(dtype))), tensor([0, 2])
    ones = tensor(backend.asarray(np.ones((2, 3), dtype)))
    for loss in (
        F.cross_entropy(x, target, weight=weight), F.nll_loss(x, target, weight=weight),
        F.multi_margin_loss(x, target, weight=weight), F.focal_loss(x, target, weight=weight),
        F.binary_cross_entropy_with_logits(x, ones, weight=weight),
        F.binary_cross_entropy_with_logits(x, ones, pos_weight=weight),
        F.binary_cross_entropy_with_logits(x, ones, pos_weight=2),
    ):  # fmt: skip
        assert loss.dtype == dtype
    expected = np.log(3) if dtype != "float16" else 1.0986
    assert F.cross_entropy(x, target, weight=weight).item() == pytest.approx(expected, rel=1e-3)
