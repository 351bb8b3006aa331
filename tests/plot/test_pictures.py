import numpy as np
import pytest

from xpnet import plot

COLOURS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_pictures_keep_their_pixels_and_proportions(backend):
    grey = np.linspace(-1, 2, 12).reshape(3, 4)
    figure = plot.pictures({"a": backend.asarray(COLOURS), "b": COLOURS.transpose(2, 0, 1), "c": grey})
    first, second, third = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == ["a", "b", "c"]
    for axes in (first, second):
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), COLOURS)
    shown = np.asarray(third.images[0].get_array())
    assert shown.shape == (3, 4, 3)
    assert (shown.min(), shown.max()) == (0, 1)
    figure.canvas.draw()
    heights = [axes.get_window_extent().height for axes in figure.axes]
    assert max(heights) < 1.15 * min(heights)


def test_wrong_use():
    with pytest.raises(ValueError, match="at least one picture"):
        plot.pictures({})
    with pytest.raises(ValueError, match=r"'a' must be .* got \(2, 2, 4\)"):
        plot.pictures({"a": np.zeros((2, 2, 4))})
