from __future__ import annotations

import numpy as np
import pytest

from xpnet import plot
from xpnet.plot.lines import spread


def test_every_curve_has_its_name_in_its_colour():
    (axes,) = plot.lines({"sgd": [3, 2, 1], "adam": [3.0, None, 0.5]}, ylabel="loss", yscale="log").axes
    assert [text.get_text() for text in axes.texts] == ["adam", "sgd"]
    colors = {line.get_color() for line in axes.lines}
    assert {text.get_color() for text in axes.texts} == colors
    assert axes.get_yscale() == "log"
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert np.isnan(axes.lines[1].get_ydata()[1])


def dashes(figure):
    """The gaps of each curve, None for one drawn through."""
    return [line._unscaled_dash_pattern[1] for line in figure.axes[0].lines]


def test_a_curve_that_lies_on_others_is_broken():
    away, on = [5.0, 6, 7, 8], [1.0, 2, 3, 4]
    assert dashes(plot.lines({"a": on, "b": away, "c": on, "d": on})) == [None, None, (3, 3), (3, 6)]
    near = {
        "relu": np.geomspace(1e-4, 1e-3, 20),
        "leaky": 1.01 * np.geomspace(1e-4, 1e-3, 20),
        "sigmoid": np.geomspace(1e-16, 1e-3, 20),
    }
    assert dashes(plot.lines(near, yscale="log")) == [None, (3, 3), None]
    assert dashes(plot.lines({"a": [0, 1, 2, 9.0], "b": [9.0, 1, 0, 5]}, ylim=(0, 9))) == [
        None,
        None,
    ]  # they cross only


@pytest.mark.parametrize(("x", "labels"), [
    ([4, 8, 128], ["5", "10", "20", "50", "100"]), ([1, 1000], ["1", "10", "100", "1000"]),
    ([1e-7, 1e3], ["$10^{-7}$", "$10^{-5}$", "$10^{-3}$", "$10^{-1}$", "$10^{1}$", "$10^{3}$"]),
])  # fmt: skip
def test_few_round_ticks_on_a_logarithmic_axis(x, labels):
    figure = plot.lines({"a": x}, x, xscale="log")
    figure.canvas.draw()
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [
        (t.get_text(), v) for t, v in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True) if low <= v <= high
    ]
    assert [text for text, _ in ticks] == labels
    assert 3 <= len(ticks) <= 8
    assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))


def test_what_is_not_above_0_leaves_a_gap_on_a_logarithmic_axis():
    (axes,) = plot.lines({"a": [1.0, 0.0, -1.0, 2.0]}, yscale="log").axes
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="'a' has no value above 0 to draw on a logarithmic axis"):
        plot.lines({"a": [0.0, -1.0]}, yscale="log")


def test_an_x_of_its_own():
    (axes,) = plot.lines({"a": ([0, 10], [1, 2]), "b": [5, 6, 7]}, x=[1, 2, 3]).axes
    assert axes.lines[0].get_xdata().tolist() == [0, 10]
    assert axes.lines[1].get_xdata().tolist() == [1, 2, 3]


@pytest.mark.parametrize(("values", "x", "message"), [
    ({}, None, "no curve"), ({"a": [1, 2]}, [1, 2, 3], "'a' has 2 values at 3 places"), ({"a": [np.nan]}, None, "no finite"),
])  # fmt: skip
def test_what_cannot_be_drawn(values, x, message):
    with pytest.raises(ValueError, match=message):
        plot.lines(values, x)


@pytest.mark.parametrize("heights", [[0.5] * 4, [0.0, 0.0, 1.0, 1.0], [0.1, 0.5, 0.55, 0.6, 0.95]])
def test_spread_keeps_the_order_the_gap_and_the_frame(heights):
    found = spread(heights, 0.1)
    assert (np.diff(found) >= 0.1 - 1e-9).all()
    assert found[0] >= -1e-9
    assert found[-1] <= 1 + 1e-9


def test_panels():
    figure, axes = plot.panels(["a", "b", "c", "d", "e"], columns=3)
    assert [one.get_title(loc="left") for one in axes] == ["a", "b", "c", "d", "e"]
    assert len(figure.axes) == 6
    assert not figure.axes[5].axison
    with pytest.raises(ValueError, match="at least one title"):
        plot.panels([])


def test_descent_draws_each_path_and_the_minimum():
    paths = {"sgd": [[1, 1], [0, 0.5]], "adam": np.ones((3, 2))}
    (axes,) = plot.descent(lambda x, y: x**2 + y**2, paths, (-2, 2), (-2, 2), minimum=(0, 0), heading="valley").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sgd", "adam"]
    assert axes.lines[0].get_ydata().tolist() == [1, 0.5]
    assert axes.lines[-1].get_marker() == "*"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    with pytest.raises(ValueError, match=r"path 'a' must be \(T, 2\), got \(3,\)"):
        plot.descent(lambda x, y: x, {"a": [1, 2, 3]}, (0, 1), (0, 1))


def test_of_many_curves_some_are_named(tmp_path):
    """A hundred names left no room for the axes, which matplotlib warned of."""
    figure = plot.lines({f"curve {i}": [i, i + 1] for i in range(100)})
    plot.save(figure, tmp_path / "x.png")
    (axes,) = figure.axes
    assert len(axes.lines) == 100
    assert 10 < len(axes.texts) < 40
