from __future__ import annotations

import numpy as np
import pytest

import xpnet
from xpnet import plot
from xpnet.plot.lines import COLORS

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0, 1, 1, 0])


def rings(figure):
    (axes,) = figure.axes
    return next(c.get_offsets().tolist() for c in axes.collections if c.get_zorder() == 4)


@pytest.mark.parametrize("predict", [
    lambda p: (p[:, 0] > 0.5).astype(int), lambda p: p[:, 0] > 0.5, lambda p: p[:, 0], lambda p: p[:, :1],
    lambda p: np.stack([0.5 - p[:, 0], p[:, 0] - 0.5], axis=1), lambda p: xpnet.tensor(p[:, 0]),
])  # fmt: skip
def test_samples_on_the_wrong_side_are_ringed(predict):
    assert rings(plot.decision_boundary(predict, X, Y)) == [[0.0, 1.0], [1.0, 1.0]]


def test_level_and_names():
    figure = plot.decision_boundary(lambda p: p[:, 0], X, Y, level=2.0, names=["off", "on"], heading="XOR")
    assert rings(figure) == [[0.0, 1.0], [1.0, 0.0]]
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["off", "on", "wrong side"]
    assert axes.get_title(loc="left") == "XOR"


def test_into_given_axes_and_in_the_dtype_of_x():
    figure, axes = plot.panels(["a", "b"])
    seen = []
    assert plot.decision_boundary(lambda p: seen.append(p.dtype) or p[:, 0], X.astype("f4"), Y, axes=axes[1]) is figure
    assert set(seen) == {np.dtype("float32")}


@pytest.mark.parametrize(("x", "y", "predict", "message"), [
    (X[:, :1], Y, len, r"expected x \(N, 2\) and y \(N,\), got \(4, 1\) and \(4,\)"),
    (X, Y[:3], len, r"got \(4, 2\) and \(3,\)"),
    (X, Y - 1, len, r"classes must be 0..7, got -1..0"),
    (X, Y, lambda p: p[:3, 0], r"predict gave \(3,\) for \(40000, 2\)"),
])  # fmt: skip
def test_what_cannot_be_drawn(x, y, predict, message):
    with pytest.raises(ValueError, match=message):
        plot.decision_boundary(predict, x, y)


def test_a_class_without_a_name():
    with pytest.raises(ValueError, match=r"class 1 has no name among \['a'\]"):
        plot.decision_boundary(lambda p: p[:, 0], X, Y, names=["a"])


def test_a_legend_without_a_free_corner_stands_beside_the_axes():
    x = np.random.default_rng(0).random((200, 2))
    full = plot.decision_boundary(lambda p: p[:, 0], x, Y[:1].repeat(200), names=["a"])
    free = plot.decision_boundary(lambda p: p[:, 0], X * [[1, 0]], Y, names=["a", "b"])
    for figure, inside in ((full, False), (free, True)):
        figure.canvas.draw()
        (axes,) = figure.axes
        assert (axes.get_legend().get_window_extent().x0 < axes.get_window_extent().x1) == inside


def test_names_may_be_numbers():
    legend = plot.decision_boundary(lambda p: p[:, 0], X, [0, 0, 1, 1], names=[2015, 2016]).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["2015", "2016"]


def test_samples_that_are_not_finite():
    with pytest.raises(ValueError, match="the samples x must be finite"):
        plot.decision_boundary(lambda p: p[:, 0], [[np.nan, 1.0]], [0])


def test_more_classes_than_colours_is_an_error():
    with pytest.raises(ValueError, match=f"0..{len(COLORS) - 1}, got 0..8"):
        plot.decision_boundary(lambda p: p[:, 0], X, [0, 1, 2, 8])
