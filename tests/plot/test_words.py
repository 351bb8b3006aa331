from __future__ import annotations

import numpy as np
import pytest

from xpnet import plot


def shade(figure, word):
    (found,) = [text for text in figure.texts if text.get_text() == word]
    return found.get_bbox_patch().get_facecolor()[:3]


def test_words_are_shaded_by_what_they_contribute(backend):
    weights = backend.asarray([2.0, 0.0, -2.0])
    figure = plot.words([["good", "film", "dull"]], [weights], ["praise"], heading="Words")
    assert [text.get_text() for text in figure.texts] == ["Words", "praise", "good", "film", "dull"]
    red, _, blue = shade(figure, "good")
    assert blue > red
    assert shade(figure, "film") == (1, 1, 1)
    red, _, blue = shade(figure, "dull")
    assert red > blue


def test_long_texts_are_broken_and_stay_inside():
    figure = plot.words([["word"] * 60, ["$x$", "_"]], [np.ones(60), [0, 1]])
    renderer = figure.canvas.get_renderer()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
    assert len({round(text.get_position()[1], 4) for text in figure.texts}) >= 4


@pytest.mark.parametrize(("texts", "weights", "message"), [
    ([], [], "expected equally many, 1 to 40"),
    ([["a"]], [], "expected equally many, 1 to 40, got 1 texts, 0 rows"),
    ([["a", "b"]], [[1.0]], r"2 words need as many finite weights, got shape \(1,\)"),
    ([["a"]], [[np.nan]], "1 words need as many finite weights"),
    ([[]], [[]], "0 words need"),
])  # fmt: skip
def test_what_does_not_belong_together(texts, weights, message):
    with pytest.raises(ValueError, match=message):
        plot.words(texts, weights)
