"""Seeing every op that a network calls."""

import numpy as np
import pytest

from xpnet import nn
from xpnet.tensor import observe, tensor


def test_every_op_is_seen_with_its_arguments_options_and_result(backend):
    x = tensor(np.ones((2, 3), "float32"), backend=backend)
    seen = []
    with observe(lambda op, args, options, result: seen.append((op.__name__, args, options, result))):
        y = (x * 2).sum(axis=1)
    assert [(name, options) for name, _, options, _ in seen] == [
        ("multiply", {}), ("reduce_sum", {"axis": 1, "keepdims": False}),
    ]  # fmt: skip
    assert seen[0][1] == (x, 2)
    assert seen[1][1] == (seen[0][3],)
    assert seen[1][3] is y
    x + 1
    assert len(seen) == 2


def test_several_results_come_together():
    seen = []
    with observe(lambda *args: seen.append(args[3])):
        nn.MaxPool2d(2, return_indices=True)(np.ones((1, 1, 4, 4)))
    assert [len(found) for found in seen if isinstance(found, tuple)] == [2]


def test_an_error_of_the_observer_names_the_layer():
    def refuse(*args):
        raise ValueError("not this one")

    with observe(refuse), pytest.raises(ValueError, match=r"layer '0' \(ReLU\): not this one"):
        nn.Sequential(nn.ReLU())(np.ones(2))
    assert nn.ReLU()(np.ones(2)).shape == (2,)


def test_an_observer_may_see_what_has_no_derivative():
    class Watch:
        def __init__(self):
            self.seen = []

        def __call__(self, op, args, options, result):
            self.seen.append(op.__name__)

        def plain(self, name, args, options, result):
            self.seen.append((name, options, result.dtype.name))

    watch, x = Watch(), tensor(np.ones((2, 3), "float32"))
    with observe(watch):
        ((x > 0).astype("float32") + x.argmax(axis=1).astype("float32")[:, None]).sum()
    assert watch.seen == [
        ("gt", {}, "bool"), ("cast", {"dtype": "float32"}, "float32"), ("argmax", {"axis": 1}, "int64"),
        ("cast", {"dtype": "float32"}, "float32"), "getitem", "add", "reduce_sum",
    ]  # fmt: skip
