from __future__ import annotations

import math

import numpy as np
import pytest

from xpnet import plot
from xpnet.plot.style import TRAIN, VALIDATION

HISTORY = {
    "epoch": [1, 2, 3, 4],
    "train_loss": [0.9, 0.5, 0.3, 0.2],
    "val_loss": [0.8, 0.6, 0.5, 0.55],
    "train_accuracy": [0.7, 0.8, 0.9, 0.95],
    "val_accuracy": [0.72, 0.82, 0.86, 0.85],
    "lr": [0.1, 0.1, 0.1, 0.1],
}


def line(axes, name):
    (found,) = [line for line in axes.lines if line.get_label() == name]
    return found


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_two_panels_show_the_numbers_of_the_history():
    loss, accuracy = plot.curves(HISTORY).axes
    assert loss.get_title("left") == "Loss"
    assert accuracy.get_title("left") == "Accuracy"
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    for axes, kind in ((loss, "loss"), (accuracy, "accuracy")):
        for name, key, color in (("training", "train", TRAIN), ("validation", "val", VALIDATION)):
            drawn = line(axes, name)
            assert drawn.get_xdata().tolist() == HISTORY["epoch"]
            assert drawn.get_ydata().tolist() == HISTORY[f"{key}_{kind}"]
            assert drawn.get_color() == color


def test_the_curves_are_named_at_their_ends():
    loss, accuracy = plot.curves(HISTORY).axes
    assert {"training 0.200", "validation 0.550"} <= set(texts(loss))
    assert {"training 95.0%", "validation 85.0%"} <= set(texts(accuracy))


def test_names_that_would_cover_each_other_are_moved_apart():
    close = {"train_loss": [1.0, 0.5], "val_loss": [1.0, 0.5001]}
    (axes,) = plot.curves(close).axes
    heights = [text.xy[1] for text in axes.texts if "best" not in text.get_text()]
    assert abs(heights[0] - heights[1]) >= 0.06
    assert heights[1] > heights[0]  # validation is above, as its last value is


def test_the_best_epoch_is_that_of_the_lowest_validation_loss():
    for axes in plot.curves(HISTORY).axes:
        assert "best: epoch 3" in texts(axes)
        ring = axes.lines[-1]
        assert ring.get_xdata().tolist() == [3]
    assert ring.get_ydata().tolist() == [0.86]


def test_the_best_epoch_can_be_given():
    assert "best: epoch 2" in texts(plot.curves(HISTORY, best_epoch=2).axes[0])
    with pytest.raises(ValueError, match=r"best_epoch=9 is not among the epochs 1\.\.4"):
        plot.curves(HISTORY, best_epoch=9)


def test_without_validation_no_epoch_is_the_best():
    (axes,) = plot.curves({"train_loss": [2.0, 1.0]}).axes
    assert texts(axes) == ["training 1.00"]
    assert line(axes, "training").get_xdata().tolist() == [1, 2]


def test_one_epoch_is_visible():
    loss, _ = plot.curves({name: values[:1] for name, values in HISTORY.items()}).axes
    assert line(loss, "training").get_marker() == "o"
    low, high = loss.get_xlim()
    assert low < 1 < high
    assert [tick for tick in loss.get_xticks() if low <= tick <= high] == [1]


def test_missing_and_non_finite_values_are_left_out():
    history = {"epoch": [1, 2, 3, 4], "train_loss": [1.0, None, math.nan, 0.5], "val_loss": [math.inf, 2, None, 1]}
    (axes,) = plot.curves(history).axes
    assert line(axes, "training").get_xdata().tolist() == [1, 4]
    assert line(axes, "validation").get_ydata().tolist() == [2, 1]
    assert "best: epoch 4" in texts(axes)


def test_a_bad_first_epoch_does_not_flatten_the_rest():
    loss = [40.0, *np.linspace(0.3, 0.1, 19)]
    accuracy = [0.1, *np.linspace(0.95, 0.99, 19)]
    left, right = plot.curves({"train_loss": loss, "train_accuracy": accuracy}).axes
    assert left.get_yscale() == "log"
    assert right.get_ylim()[0] > 0.8


def test_arrays_of_any_backend(backend):
    history = {name: backend.asarray(values, "float32") for name, values in HISTORY.items()}
    loss = plot.curves(history).axes[0]
    assert line(loss, "training").get_ydata().tolist() == np.float32(HISTORY["train_loss"]).tolist()


def test_nothing_to_draw():
    for history in ({}, {"epoch": [], "train_loss": []}, {"lr": [1.0]}, {"train_loss": [None, math.nan]}):
        with pytest.raises(ValueError, match="nothing to draw: expected one of train_loss, val_loss"):
            plot.curves(history)


def test_columns_of_different_length():
    with pytest.raises(ValueError, match=r"different lengths: \{'epoch': 2, 'train_loss': 1\}"):
        plot.curves({"epoch": [1, 2], "train_loss": [1.0]})


def test_what_is_no_number():
    with pytest.raises(ValueError, match="'train_loss' must be a list of numbers"):
        plot.curves({"train_loss": ["low", "lower"]})
