from __future__ import annotations

import math

import numpy as np
import pytest

from xpnet import plot
from xpnet.plot.style import TRAIN, VALIDATION
from xpnet.train import History

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


MORE = {
    **HISTORY,
    "train_f1": [0.5, 0.6, 0.7, 0.8],
    "val_f1": [0.4, 0.5, 0.6, 0.6],
    "val_roc_auc": [0.8, 0.85, 0.9, 0.95],
    "train_top_3_accuracy": [0.8, 0.9, 0.95, 0.99],
    "val_log_loss": [3.0, 2.0, 1.0, 0.5],
    "lr": [0.1, 0.05, 0.02, 0.01],
    "note": ["a", "b", "c", "d"],
}


def test_every_metric_has_a_panel_and_so_has_a_rate_that_changes():
    panels = plot.curves(MORE).axes
    titles = ["Loss", "Accuracy", "F1", "ROC AUC", "Top 3 accuracy", "Log loss", "Learning rate"]
    assert [axes.get_title("left") for axes in panels if axes.axison] == titles
    by_title = dict(zip(titles, panels, strict=False))
    assert line(by_title["F1"], "training").get_ydata().tolist() == MORE["train_f1"]
    assert line(by_title["F1"], "validation").get_ydata().tolist() == MORE["val_f1"]
    assert by_title["Learning rate"].lines[0].get_ydata().tolist() == MORE["lr"]
    assert {"training 0.800", "validation 0.600"} <= set(texts(by_title["F1"]))
    assert "training 99.0%" in texts(by_title["Top 3 accuracy"])
    assert "0.0100" in texts(by_title["Learning rate"])
    assert all("best: epoch 3" in texts(axes) for axes in by_title.values())


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2), (5, 2, 3), (9, 3, 3), (10, 3, 4)]
)
def test_the_panels_are_laid_out_in_rows(count, rows, columns):
    history = {"train_loss": [1.0, 0.5], **{f"train_m{i}": [0.1, 0.2] for i in range(count - 1)}}
    figure = plot.curves(history)
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == (rows, columns)
    assert sum(axes.axison for axes in figure.axes) == count
    assert figure.get_size_inches()[0] == pytest.approx(4.6 * columns + 0.8)


def test_from_a_trainers_history_and_from_its_file(tmp_path):
    history = History([{name: MORE[name][i] for name in ("epoch", "train_f1", "train_loss", "lr")} for i in range(4)])
    history.append({"epoch": 5, "train_loss": 0.1})  # a row that lacks the others
    (tmp_path / "history.csv").write_text(history.to_csv())
    pictures = []
    for given in (history.as_dict(), history, tmp_path / "history.csv", str(tmp_path / "history.csv")):
        plot.save(plot.curves(given), tmp_path / "c.png")
        pictures.append((tmp_path / "c.png").read_bytes())
    assert len(set(pictures)) == 1
    (tmp_path / "bad.csv").write_text("epoch,train_loss\n1,low\n")
    with pytest.raises(ValueError, match="'train_loss' must be a list of numbers"):
        plot.curves(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text("")
    with pytest.raises(ValueError, match="nothing to draw"):
        plot.curves(tmp_path / "bad.csv")


def test_the_curves_are_named_at_their_ends():
    loss, accuracy = plot.curves(HISTORY).axes
    assert {"training 0.200", "validation 0.550"} <= set(texts(loss))
    assert {"training 95.0%", "validation 85.0%"} <= set(texts(accuracy))


@pytest.mark.parametrize(("name", "value", "text"), [
    ("loss", -2000.0, "−2,000"), ("loss", 1e-05, "1.00e-05"), ("loss", 1e30, "1.00e+30"), ("loss", -0.5, "−0.500"),
    ("accuracy", 0.99999, ">99.9%"), ("accuracy", 1.0, "100.0%"), ("accuracy", 0.9994, "99.9%"),
])  # fmt: skip
def test_the_last_value_is_written_plainly(name, value, text):
    assert texts(plot.curves({f"train_{name}": [value, value]}).axes[0]) == [f"training {text}"]


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
        with pytest.raises(
            ValueError, match="nothing to draw: expected one of train_loss, val_loss, or train_ and val_ of a metric"
        ):
            plot.curves(history)


def test_columns_of_different_length():
    with pytest.raises(ValueError, match=r"different lengths: \{'epoch': 2, 'train_loss': 1\}"):
        plot.curves({"epoch": [1, 2], "train_loss": [1.0]})


def test_what_is_no_number():
    with pytest.raises(ValueError, match="'train_loss' must be a list of numbers"):
        plot.curves({"train_loss": ["low", "lower"]})


def test_a_file_with_a_byte_order_mark_keeps_its_first_column(tmp_path):
    (tmp_path / "history.csv").write_text("\ufefftrain_loss;val_loss\r\n0,5;0,6\r\n0,25;0,5\r\n", encoding="utf-8")
    axes = plot.curves(tmp_path / "history.csv").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines[:2]] == [[0.5, 0.25], [0.6, 0.5]]
