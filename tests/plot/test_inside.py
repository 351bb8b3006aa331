"""Filters, feature maps, and maps laid over images."""

from __future__ import annotations

import numpy as np
import pytest

from xpnet import plot
from xpnet.plot.pixels import mosaic

RNG = np.random.default_rng(0)


def test_a_mosaic_has_gaps_and_an_empty_end():
    sheet = mosaic(np.arange(1.0, 13.0).reshape(3, 2, 2), columns=2)
    nan = np.nan
    expected = [[1, 2, nan, 5, 6], [3, 4, nan, 7, 8], [nan] * 5, [9, 10, nan, nan, nan], [11, 12, nan, nan, nan]]
    np.testing.assert_array_equal(sheet, expected)


def test_filters_of_grey_images_share_a_scale_around_zero(backend):
    kernels = RNG.normal(size=(6, 1, 5, 5))
    axes = plot.filters(backend.asarray(kernels), columns=3).axes[0]
    assert axes.get_title(loc="left") == "filters: 6 of 5x5"
    image = axes.images[0]
    assert image.colorbar.ax.get_ylabel() == "weight"
    assert image.get_array().shape == (11, 17)
    limit = np.abs(kernels).max()
    assert image.get_clim() == pytest.approx((-limit, limit))
    np.testing.assert_allclose(image.get_array()[:5, 6:11], kernels[1, 0])


def test_filters_on_many_channels_and_in_colour():
    axes = plot.filters(RNG.normal(size=(4, 6, 3, 3)), name="conv2").axes[0]
    assert axes.get_title(loc="left") == "conv2: 4 of 3x3 on 6 channels"
    assert axes.images[0].get_array().shape == (4 * 4 - 1, 6 * 4 - 1)
    coloured = plot.filters(RNG.normal(size=(4, 3, 3, 3)), columns=4).axes[0].images[0].get_array()
    assert coloured.shape == (3, 15, 3)
    assert coloured.min() == 0.0
    assert coloured.max() == 1.0
    plot.filters(np.zeros((1, 1, 1, 1)))


def test_a_row_for_each_layer(backend):
    layers = {"conv1": backend.asarray(RNG.random((6, 12, 12))), "fc": backend.asarray(RNG.random((70, 1, 1)))}
    axes = plot.feature_maps(layers, image=backend.asarray(RNG.random((1, 28, 28)))).axes
    assert [a.get_title(loc="left") for a in axes] == ["image", "conv1: 6 of 12x12", "fc: 70 of 1x1 (the first 64)"]
    assert axes[2].images[0].get_array().shape == (1, 64)
    assert len(plot.feature_maps(layers).axes) == 2


def test_a_map_lies_over_each_image(backend):
    images, heat = RNG.random((3, 3, 8, 8)), RNG.random((3, 8, 8))
    axes = plot.heatmap_overlay(backend.asarray(images), backend.asarray(heat), ["a", "b", "c"], columns=2).axes
    assert len(axes) == 8
    assert [a.get_title() for a in axes] == ["a", "b", "", "", "c", "", "", ""]
    assert [len(a.images) for a in axes] == [1, 1, 2, 2, 1, 0, 2, 0]
    np.testing.assert_array_equal(axes[2].images[1].get_array(), heat[0])


@pytest.mark.parametrize(("train", "val", "text"), [
    ([1.0, 2e-4], [1.0, 1e-4], "gap −0.0001"), ([1, 0.5, np.nan], [1, 0.75, 2], "gap 0.25"), ([np.nan], [1.0], "gap unknown"),
    ([0.0], [12345.0], "gap 1.2e+04"), ([1.0], [1.0], "gap 0"),
])  # fmt: skip
def test_the_gap_is_that_of_the_last_epoch_with_both_losses(train, val, text):
    axes = plot.gaps({"a": {"epoch": range(len(train)), "train_loss": train, "val_loss": val}}).axes[0]
    assert axes.texts[0].get_text() == text


def test_a_tall_map_does_not_make_a_tower():
    assert plot.feature_maps({"a": RNG.random((1, 40, 2))}).get_figheight() < 8


def test_wrong_use():
    with pytest.raises(ValueError, match=r"expected kernels \(O, C, K, L\), got shape \(3, 3\)"):
        plot.filters(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="columns must be at least 1, got 0"):
        plot.filters(np.zeros((3, 1, 3, 3)), columns=0)
    with pytest.raises(ValueError, match="at most 64 channels each way fit one picture, got 128 x 64"):
        plot.filters(np.zeros((128, 64, 3, 3)))
    with pytest.raises(ValueError, match="no layers to draw"):
        plot.feature_maps({})
    with pytest.raises(ValueError, match=r"'fc' has shape \(10,\)"):
        plot.feature_maps({"fc": np.zeros(10)})
    with pytest.raises(ValueError, match=r"feature_maps: expected images .* got \(1, 4\)"):
        plot.feature_maps({"a": np.zeros((1, 2, 2))}, image=np.zeros(4))
    with pytest.raises(ValueError, match=r"images \(2, 4, 4\) need maps of that shape, got \(2, 3, 3\)"):
        plot.heatmap_overlay(np.zeros((2, 4, 4)), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="2 images, 1 titles"):
        plot.heatmap_overlay(np.zeros((2, 4, 4)), np.zeros((2, 4, 4)), ["a"])
    with pytest.raises(ValueError, match=r"expected 1 to 100 images, got 101"):
        plot.heatmap_overlay(np.zeros((101, 4, 4)), np.zeros((101, 4, 4)))


def test_gaps_share_a_scale_and_name_the_gap():
    history = {"epoch": [1, 2, 3], "train_loss": [2.0, 0.5, 0.1], "val_loss": [2.1, 0.9, 0.85]}
    axes = plot.gaps({"nothing": history, "early stopping": {k: v[:2] for k, v in history.items()}}, columns=3).axes
    assert [a.get_title(loc="left") for a in axes] == ["nothing", "early stopping"]
    assert [a.texts[0].get_text() for a in axes] == ["gap 0.75", "gap 0.40"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert len(plot.gaps(dict.fromkeys("abcde", history), columns=3).axes) == 6
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    assert [text.get_color() for text in legend.get_texts()] == [line.get_color() for line in axes[0].lines]
    with pytest.raises(ValueError, match="there is no history"):
        plot.gaps({})
    with pytest.raises(ValueError, match="the history 'a' has no column 'val_loss'"):
        plot.gaps({"a": {"epoch": [1], "train_loss": [1]}})
    with pytest.raises(ValueError, match="the columns of 'a' have 1, 1 and 2 values"):
        plot.gaps({"a": {"epoch": [1], "train_loss": [1], "val_loss": [1, 2]}})
