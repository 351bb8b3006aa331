from __future__ import annotations

import numpy as np
import pytest

from xpnet import metrics, plot

SCORES, LABELS = np.array([0.1, 0.4, 0.35, 0.8, 0.7, 0.7]), np.array([0, 0, 1, 1, 0, 1])


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_roc_shows_the_area_that_the_metric_gives(backend):
    scores, truth = backend.asarray(SCORES), backend.asarray(LABELS)
    (axes,) = plot.roc({"net": metrics.roc_curve(scores, truth)[:2]}).axes
    area = float(metrics.roc_auc(scores, truth))
    assert labels(axes) == ["guessing 0.500", f"net {area:.3f}"]
    assert axes.lines[1].get_xdata()[[0, -1]].tolist() == [0, 1]


def test_precision_recall_shows_the_average_that_the_metric_gives(backend):
    scores, truth = backend.asarray(SCORES), backend.asarray(LABELS)
    curve = metrics.precision_recall_curve(scores, truth)[:2]
    (axes,) = plot.precision_recall({"net": curve}, share=0.5).axes
    average = float(metrics.average_precision(scores, truth))
    assert labels(axes) == ["guessing 0.500", f"net {average:.3f}"]
    assert len(plot.precision_recall({"net": curve}).axes[0].lines) == 1


@pytest.mark.parametrize("draw", [plot.roc, plot.precision_recall])
def test_what_is_no_curve(draw):
    with pytest.raises(ValueError, match="expected 1 to 6 curves, got 0"):
        draw({})
    with pytest.raises(ValueError, match=r"'x' needs two rows of equal length, got \(2,\) and \(3,\)"):
        draw({"x": ([0, 1], [0, 1, 1])})
    for bad in (2.0, np.nan):
        with pytest.raises(ValueError, match=r"the rates of 'x' must lie in 0\.\.1"):
            draw({"x": ([0, 1], [0, bad])})
