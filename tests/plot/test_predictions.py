from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from xpnet import plot
from xpnet.plot.style import WRONG

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


def test_titles_say_what_was_predicted_and_mark_what_is_wrong():
    axes = plot.predictions(IMAGES, [7, 2, 1], [7, 3, 1], [0.9, 0.456, 1.0]).axes
    assert [a.get_title() for a in axes] == ["7  90%", "✗ 3  46%", "1  100%"]
    assert [a.get_xlabel() for a in axes] == ["", "is 2", ""]
    assert [to_hex(a.spines["left"].get_edgecolor()) == WRONG.lower() for a in axes] == [False, True, False]


def test_the_pixels_are_those_of_the_images():
    axes = plot.predictions(IMAGES, "abc", "abc", columns=2).axes
    for a, image in zip(axes, IMAGES, strict=False):
        np.testing.assert_allclose(np.asarray(a.images[0].get_array()), image / 255)
    assert len(axes) == 4
    assert not axes[3].axison


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [((2, 1, 6, 7), (6, 7)), ((2, 6, 7, 1), (6, 7)), ((2, 3, 6, 7), (6, 7, 3)), ((2, 6, 7, 3), (6, 7, 3))],
)
def test_layouts(shape, drawn):
    images = np.random.default_rng(0).normal(size=shape)
    axes = plot.predictions(images, ["cat", "dog"], ["cat", "ship"]).axes
    values = [np.asarray(a.images[0].get_array()) for a in axes]
    assert [v.shape for v in values] == [drawn, drawn]
    assert min(v.min() for v in values) == 0
    assert max(v.max() for v in values) == 1


def test_names_of_classes_and_a_row_of_probabilities():
    p = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    axes = plot.predictions(IMAGES, [1, 1, 1], [1, 0, 0], p, classes=["no", "yes"]).axes
    assert [a.get_title() for a in axes] == ["yes  75%", "✗ no  50%", "✗ no  100%"]
    assert axes[1].get_xlabel() == "is yes"


def test_arrays_of_any_backend(backend):
    axes = plot.predictions(backend.asarray(IMAGES), backend.asarray([1, 2, 3]), backend.asarray([1, 2, 0])).axes
    assert [a.get_title() for a in axes] == ["1", "2", "✗ 0"]


def test_wrong_use():
    with pytest.raises(ValueError, match="3 images, 2 labels, 3 predicted classes"):
        plot.predictions(IMAGES, [1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"expected images \(N, H, W\), .* got \(4, 5\)"):
        plot.predictions(IMAGES[0], [1] * 4, [1] * 4)
    with pytest.raises(ValueError, match=r"expected 1 to 400 images, got 401: give a part, images\[:64\]"):
        plot.predictions(np.zeros((401, 2, 2)), [0] * 401, [0] * 401)
    with pytest.raises(ValueError, match="columns must be at least 1, got 0"):
        plot.predictions(IMAGES, [1, 2, 3], [1, 2, 3], columns=0)
    with pytest.raises(ValueError, match=r"expected probabilities \(3,\) or \(3, C\), got \(2,\)"):
        plot.predictions(IMAGES, [1, 2, 3], [1, 2, 3], [0.1, 0.2])
