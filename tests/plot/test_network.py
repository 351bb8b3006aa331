from __future__ import annotations

import numpy as np
import pytest

from xpnet import plot

W = [np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]]), np.ones((1, 3))]


def edges(figure):
    return [c for c in figure.axes[0].collections if hasattr(c, "get_segments")]


def test_every_weight_is_a_line_thick_where_it_is_large(backend):
    figure = plot.network([backend.asarray(w) for w in W], heading="h")
    found = edges(figure)
    assert sum(len(c.get_segments()) for c in found) == 9
    assert max(max(c.get_linewidths()) for c in found if len(c.get_segments())) == pytest.approx(4.2)
    assert figure.axes[0].get_title(loc="left") == "h"


def test_names_values_and_histograms():
    counts, limits = np.histogram([-1.0, 0.5, 2.0], 4)
    figure = plot.network(
        W, [np.array([1.0, -1]), np.zeros(3), np.array([2.0])], inputs=["a", "b"], outputs=["y"], scale=6,
        histograms=[("weights", counts, limits), ("values", counts, limits)],
    )  # fmt: skip
    assert {t.get_text() for t in figure.axes[0].texts} >= {"a", "b", "y"}
    assert max(max(c.get_linewidths()) for c in edges(figure) if len(c.get_segments())) == pytest.approx(2.2)
    assert [axes.get_title(loc="left") for axes in figure.axes[1:]] == ["weights", "values"]


def test_a_key_says_what_colours_and_widths_mean():
    figure = plot.network(W, [np.zeros(2), np.zeros(3), np.zeros(1)], scale=6)
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "weight +6 (thin: near 0)", "weight −6", "unit's value above 0 (white: 0)", "unit's value below 0",
    ]  # fmt: skip
    thick, broken, above, below = legend.legend_handles
    assert (thick.get_color(), above.get_markerfacecolor()) == ("#0072B2", "#0072B2")
    assert (broken.get_color(), below.get_markerfacecolor()) == ("#D55E00", "#D55E00")
    assert thick.get_linewidth() == pytest.approx(4.2)
    assert broken.is_dashed()
    assert len(plot.network(W).axes[0].get_legend().get_texts()) == 2


def test_weights_and_values_that_are_not_finite_are_left_out():
    figure = plot.network([np.array([[np.nan, 2.0], [-np.inf, 1.0]])], [np.array([np.nan, 1]), np.array([np.inf, 0])])
    assert sum(len(c.get_segments()) for c in edges(figure)) == 2
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "weight +2 (thin: near 0)"


def test_of_a_large_layer_a_part():
    figure = plot.network([np.zeros((3, 100))])
    assert "16 of 100" in {t.get_text() for t in figure.axes[0].texts}


@pytest.mark.parametrize(("arguments", "options", "message"), [
    (([],), {}, r"expected weights \(O, I\)"), (([np.ones(3)],), {}, r"shapes \[\(3,\)\]"),
    (([np.ones((2, 3)), np.ones((1, 3))],), {}, "must be the inputs of the next"),
    ((W, [np.ones(2), np.ones(3)]), {}, "activations of shapes"), ((W,), {"inputs": ["a"]}, "1 names for 2 units"),
    ((W,), {"histograms": [("h", [1, 2], [0, 1])]}, "2 counts and 2 edges"),
])  # fmt: skip
def test_what_does_not_fit(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plot.network(*arguments, **options)
