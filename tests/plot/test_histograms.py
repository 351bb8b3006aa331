from __future__ import annotations

import numpy as np
import pytest

from xpnet import plot


def test_a_panel_for_each_name_and_a_histogram_for_each_moment(backend, tmp_path):
    rng = np.random.default_rng(0)
    values = {n: [backend.asarray(rng.standard_normal((5, 4))) for _ in range(3)] for n in "abcdef"}
    figure = plot.histograms(values, [0, 1, 10])
    assert [axes.get_title(loc="left") for axes in figure.axes] == list("abcdef")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["10", "1", "0"]
    plot.save(figure, tmp_path / "h.png")


def test_many_moments_constant_and_bad_values():
    figure = plot.histograms(
        {"a": [np.full(3, 2.0)] * 100, "b": [np.array([np.nan, np.inf])] * 100}, range(100), "step"
    )
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert (len(labels), labels[0], labels[-1]) == (12, "99", "0")
    assert figure.axes[0].get_ylabel() == "step"
    assert figure.axes[0].get_xlabel() == "value"


@pytest.mark.parametrize(("values", "moments", "message"), [
    ({}, [1], "nothing to draw"), ({"a": []}, [], "nothing to draw"), ({"a": [1, 2]}, [1], "'a' has 2 arrays for 1 moments"),
])  # fmt: skip
def test_nothing_to_draw(values, moments, message):
    with pytest.raises(ValueError, match=message):
        plot.histograms(values, moments)
