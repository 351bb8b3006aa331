from __future__ import annotations

import time

import numpy as np
import pytest

from xpnet import plot

from .look import faults

MATRIX = np.array([[90, 8, 2], [0, 50, 0], [5, 5, 40]])
CLASSES = ["cat", "dog", "ship"]


def cells(axes, n):
    """The number in each cell, by row and column."""
    return {t.get_position()[::-1]: t for t in axes.texts if not hasattr(t, "xyann") and max(t.get_position()) < n}


def sides(axes):
    return [t.get_text() for t in axes.texts if hasattr(t, "xyann")]


def test_every_count_stands_in_its_cell():
    (axes,) = plot.confusion(MATRIX, CLASSES).axes
    found = {place: text.get_text() for place, text in cells(axes, 3).items()}
    assert found == {(r, c): str(MATRIX[r, c]) for r in range(3) for c in range(3) if MATRIX[r, c]}
    assert axes.get_xlabel() == "predicted class"
    assert axes.get_ylabel() == "true class"
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert [label.get_text() for label in axes.get_yticklabels()] == CLASSES


def test_totals_recall_and_summary():
    figure = plot.confusion(MATRIX, CLASSES)
    (axes,) = figure.axes
    assert sides(axes) == ["total", "100", "50", "50", "recall", "90.0%", "100.0%", "80.0%"]
    assert figure.get_suptitle() == "90.00% right: 20 of 200 wrong"


def test_colour_is_the_count_and_leaves_out_the_diagonal():
    (axes,) = plot.confusion(MATRIX, CLASSES).axes
    (image,) = axes.images
    rgba = np.asarray(image.get_array())
    assert (rgba[np.eye(3, dtype=bool)] == rgba[0, 0]).all()
    assert np.ptp(rgba[0, 0, :3]) == 0  # grey
    assert rgba[1, 0, :3].tolist() == [1, 1, 1]  # no error
    assert rgba[0, 1, :3].sum() < rgba[2, 0, :3].sum() < rgba[0, 2, :3].sum()  # 8, 5 and 2


def test_equal_counts_have_one_shade_whatever_the_size_of_their_class():
    (axes,) = plot.confusion([[10, 1, 2], [1, 900, 0], [2, 1, 5]], CLASSES).axes
    rgba = np.asarray(axes.images[0].get_array())
    ones, twos = [rgba[0, 1], rgba[1, 0], rgba[2, 1]], [rgba[0, 2], rgba[2, 0]]
    assert all((shade == ones[0]).all() for shade in ones)
    assert all((shade == twos[0]).all() for shade in twos)
    assert twos[0][:3].sum() < ones[0][:3].sum()


def test_a_few_errors_are_pale():
    (axes,) = plot.confusion([[1000, 1], [0, 1000]], "ab").axes
    assert np.asarray(axes.images[0].get_array())[0, 1, :3].min() > 0.8


@pytest.mark.parametrize("n", [2, 10, 30])
def test_numbers_can_be_read_on_their_ground(n):
    counts = np.random.default_rng(0).integers(1, 12000, (n, n))
    (axes,) = plot.confusion(counts, [f"class {i}" for i in range(n)]).axes
    from matplotlib.colors import to_rgb

    def luminance(color):  # WCAG 2.1
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    rgba = np.asarray(axes.images[0].get_array())
    contrasts = []
    for (row, column), text in cells(axes, n).items():
        light, dark = sorted([luminance(to_rgb(text.get_color())), luminance(rgba[row, column, :3])], reverse=True)
        contrasts.append((light + 0.05) / (dark + 0.05))
    assert len(contrasts) == n * n
    assert min(contrasts) >= 4.5  # AA of WCAG 2.1


@pytest.mark.parametrize("n", [2, 10, 30])
def test_nothing_is_cut_off_and_numbers_stay_in_their_cells(n):
    counts = np.full((n, n), 98765)
    figure = plot.confusion(counts, [f"class {i}" for i in range(n)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    inside = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(inside.x0, inside.y0) >= 0
    assert inside.x1 <= width
    assert inside.y1 <= height
    cell = axes.get_window_extent().width / n
    assert max(text.get_window_extent().width for text in cells(axes, n).values()) <= cell


def test_a_class_without_samples_has_no_recall():
    (axes,) = plot.confusion([[3, 1], [0, 0]], "ab").axes
    assert sides(axes)[-1] == "–"
    assert plot.confusion([[0, 0], [0, 0]], "ab").get_suptitle() == "no samples"


def test_arrays_of_any_backend(backend):
    assert plot.confusion(backend.asarray(MATRIX), CLASSES).get_suptitle().startswith("90.00% right")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], r"square matrix of counts, got shape \(2, 3\)"),
        ([[0.5, 0.5], [0.0, 1.0]], "integers of at least 0, got float64"),
        ([[1, -2], [0, 1]], "integers of at least 0, got int64 from -2"),
        ([[1]], "2 class names for a matrix of 1 classes"),
    ],
)
def test_what_is_no_confusion_matrix(matrix, message):
    with pytest.raises(ValueError, match=message):
        plot.confusion(matrix, ["a", "b"])


def test_many_classes_have_colours_and_no_numbers(tmp_path):
    """A hundred took 18 seconds and a picture of 48 inches."""
    n = 100
    counts = np.diag(np.full(n, 50))
    counts[3, 5] = 10
    figure = plot.confusion(counts, [f"class {i}" for i in range(n)])
    axes, bar = figure.axes
    assert not axes.texts
    assert max(figure.get_size_inches()) < 20
    assert [t.get_text() for t in axes.get_yticklabels()][:2] == ["class 0", "class 1"]
    assert "errors" in bar.get_ylabel()
    rgba = np.asarray(axes.images[0].get_array())
    assert rgba[3, 5, :3].sum() < rgba[5, 3, :3].sum() == 3
    start = time.process_time()
    plot.save(figure, tmp_path / "x.png")
    assert time.process_time() - start < 8


def test_of_many_classes_too_equal_counts_have_one_shade_and_the_scale_counts_them():
    counts = np.diag(np.arange(100, 10100, 100))
    counts[0, 1] = counts[99, 0] = 300
    counts[99, 1] = 500
    axes, bar = plot.confusion(counts, [f"$ {i} $" for i in range(100)]).axes
    rgba = np.asarray(axes.images[0].get_array())
    assert (rgba[0, 1] == rgba[99, 0]).all()
    assert rgba[99, 1, :3].sum() < rgba[99, 0, :3].sum()
    assert bar.get_ylim() == (0, 540)  # a twentieth of the largest class, 10000 + 800
    assert all(tick == round(tick) for tick in bar.get_yticks())


@pytest.mark.parametrize("n", [31, 100, 300])
def test_nothing_covers_anything_of_many_classes(n):
    counts = np.random.default_rng(0).integers(0, 1000, (n, n))
    assert faults(plot.confusion(counts, [f"class number {i}" for i in range(n)]), names=False) == []


def test_of_very_many_classes_only_some_are_named():
    figure = plot.confusion(np.eye(700, dtype=int), [str(i) for i in range(700)])
    assert 20 < len(figure.axes[0].get_yticks()) < 200
    assert max(figure.get_size_inches()) < 20


def test_long_names_are_cut_short():
    figure = plot.confusion(np.eye(2, dtype=int), ["x" * 400, "b"])
    assert figure.axes[0].get_yticklabels()[0].get_text() == "x" * 29 + "…"
    assert max(figure.get_size_inches()) < 8
