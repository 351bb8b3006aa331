from __future__ import annotations

import numpy as np
import pytest

from xpnet import plot
from xpnet.plot.style import INK

VALUES = np.arange(10.0)


def named(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_forecasts_lie_where_they_belong(backend):
    made = backend.asarray([[4.0, 5.0], [8.0, 9.0]])
    figure = plot.forecast(VALUES, [4, 8], made, low=[[3, 3], [7, 7]], high=[[5, 6], [9, 10]], begin=100, every=0.5)
    (axes,) = figure.axes
    assert named(axes)["observed"].get_color() == INK
    assert named(axes)["observed"].get_xdata().tolist() == [100 + 0.5 * i for i in range(10)]
    assert named(axes)["forecast"].get_xdata().tolist() == [102.0, 102.5]
    assert named(axes)["forecast"].get_ydata().tolist() == [4.0, 5.0]
    assert len(axes.collections) == 2  # one band for each origin
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["observed", "forecast", "interval"]


def test_a_forecast_beyond_the_end_of_several_methods_and_only_the_last_values():
    (axes,) = plot.forecast(VALUES, [10], {"a": [[1, 2, 3]], "b": [[3, 2, 1]]}, show=4, unit="u", time="t").axes
    assert named(axes)["observed"].get_xdata().tolist() == [6, 7, 8, 9]
    assert named(axes)["b"].get_xdata().tolist() == [10, 11, 12]
    assert named(axes)["a"].get_linestyle() != named(axes)["b"].get_linestyle()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("t", "u")


def test_errors_have_a_unit():
    assert plot.errors_by_step({"a": [1, 2]}, unit="passengers").axes[0].get_ylabel() == "error (passengers)"
    axes = plot.errors_by_step({"a": [np.nan, 2.0], "b": [3.0, 5.0]}).axes[0]
    assert axes.get_ylabel() == "error"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["b 4.00", "a 2.00"]


@pytest.mark.parametrize(("arguments", "options", "message"), [
    (([[1.0]], [0], [[1.0]]), {}, r"expected a series \(T,\), got shape \(1, 1\)"),
    ((VALUES, [11], [[1.0]]), {}, r"origins must be indices in 0\.\.10"),
    ((VALUES, [3], [1.0]), {}, r"expected \(K, horizon\) for each"),
    ((VALUES, [3, 4], [[1.0]]), {}, "2 origins and forecasts of shape"),
    ((VALUES, [3], [[1.0]]), {"low": [[1.0]]}, "both low and high"),
    ((VALUES, [3], {}), {}, "1 to 6 forecasts, got 0"),
])  # fmt: skip
def test_what_does_not_belong_together(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plot.forecast(*arguments, **options)


def test_errors_by_step_are_named_with_their_mean_the_largest_first():
    (axes,) = plot.errors_by_step({"small": [1.0, 2.0], "large": [3.0, 5.0]}).axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["large 4.00", "small 1.50"]
    assert axes.lines[0].get_xdata().tolist() == [1, 2]
    for wrong in ({}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": [[1.0]]}):
        with pytest.raises(ValueError, match="expected 1 to 6 rows of one length"):
            plot.errors_by_step(wrong)
