"""Names from outside are drawn as they are in every picture, whatever signs they hold."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib.text import Text

from xpnet import plot
from xpnet.explore import Choice, Uniform, random_search
from xpnet.explore.landscape import Curve, Surface
from xpnet.explore.profiling import Cost, Profile
from xpnet.plot.style import name_of, plain

from .look import faults

A, B = "$5 to $9", "_a^b_{c}\\frac$"
RNG = np.random.default_rng(0)
X = np.linspace(-1.0, 1.0, 5)
BOWL = Surface(X, X, 0.01 + X[None] ** 2 + X[:, None] ** 2)
POINTS, SIDES = RNG.standard_normal((20, 2)), np.arange(20) % 2
HISTORY = {"epoch": [1, 2], "train_loss": [1.0, 0.5], "val_loss": [1.0, 0.6]}
RATES = (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.8, 1.0]))
IMAGES = RNG.random((2, 4, 4))


def searched():
    return random_search(lambda s: s[A], {A: Uniform(0.0, 1.0), B: Choice(A, B)}, 4)


PICTURES = {
    "confusion": lambda: plot.confusion([[5, 1], [2, 7]], [A, B]),
    "curves": lambda: plot.curves({"train_loss": [1.0, 0.5], f"val_{A}": [1.0, 0.5], f"val_{B}": [1.0, 0.5]}),
    "decision_boundary": lambda: plot.decision_boundary(
        lambda p: p[:, 0], POINTS, SIDES, names=[A, B], heading=A, xlabel=A, ylabel=B
    ),
    "descent": lambda: plot.descent(lambda x, y: x**2 + y**2, {A: POINTS, B: POINTS}, (-1, 1), (-1, 1), heading=A),
    "errors_by_step": lambda: plot.errors_by_step({A: [1.0, 2.0], B: [1.0, 3.0]}, heading=A),
    "feature_maps": lambda: plot.feature_maps({A: IMAGES, B: IMAGES}, IMAGES[0]),
    "filters": lambda: plot.filters(RNG.random((2, 1, 3, 3)), name=A + B),
    "forecast": lambda: plot.forecast(
        X, [2], {A: X[None, :2], B: X[None, :2]}, low=X[None, :2], high=X[None, :2], band=B, heading=A, unit=A, time=B
    ),
    "gaps": lambda: plot.gaps({A: HISTORY, B: HISTORY}),
    "gradient_flow": lambda: plot.gradient_flow({A: {A: 1.0, B: 2.0}, B: {A: 1.0, B: 3.0}}, heading=A),
    "heatmap_overlay": lambda: plot.heatmap_overlay(IMAGES, IMAGES, [A, B]),
    "histograms": lambda: plot.histograms({A: [X, X], B: [X, X]}, [A, B], label=A),
    "lines": lambda: plot.lines({A: X, B: X + 1}, heading=A, xlabel=A, ylabel=B),
    "loss_contours": lambda: plot.loss_contours(
        {A: BOWL, B: BOWL}, {A: POINTS[:3] / 9, B: POINTS[3:6] / 9}, labels=(A, B)
    ),
    "loss_curves": lambda: plot.loss_curves({A: Curve(X, X**2), B: Curve(X, X**2)}, heading=A, x_label=B),
    "loss_surface": lambda: plot.loss_surface({A: BOWL, B: BOWL}),
    "network": lambda: plot.network(
        [np.eye(2)], inputs=[A, B], outputs=[A, B], heading=A, histograms=[(B, np.ones(2), np.arange(3))]
    ),
    "panels": lambda: plot.panels([A, B])[0],
    "pictures": lambda: plot.pictures({A: IMAGES[0], B: IMAGES[1]}),
    "precision_recall": lambda: plot.precision_recall({A: RATES, B: RATES}),
    "predictions": lambda: plot.predictions(IMAGES, [0, 1], [1, 1], classes=[A, B]),
    "profile": lambda: plot.profile(Profile([Cost(A, B, "add", 1, 1.0, 1.0, 8), Cost(B, A, "add", 1, 1.0, 1.0, 8)], "", 1)),
    "roc": lambda: plot.roc({A: RATES, B: RATES}),
    "tuning": lambda: plot.tuning(searched(), score=A + B),
    "tuning_table": lambda: plot.tuning_table(searched()),
    "words": lambda: plot.words([[A, B]], [[1.0, -1.0]], [A], heading=B),
}  # fmt: skip
WITHOUT_NAMES = {"lr_range", "save", "save_gif"}


def test_every_picture_is_here():
    assert {*PICTURES, *WITHOUT_NAMES} == set(plot.__all__)


@pytest.mark.parametrize("name", PICTURES)
def test_names_are_no_mathematics(name, tmp_path):
    figure = PICTURES[name]()
    plot.save(figure, tmp_path / "x.png")
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    for wanted in (A, B):
        wanted = "a^b {c}\\frac$" if name == "curves" and wanted == B else wanted  # its words, as of "roc_auc"
        shown = [t for t in texts if wanted in t.get_text()]
        assert shown, f"{wanted!r} is not drawn"
        assert not any(t.get_parse_math() for t in shown)


@pytest.mark.parametrize("name", PICTURES)
def test_names_cover_nothing(name):
    assert faults(PICTURES[name](), names=False) == []


@pytest.mark.parametrize("kind", ["lines", "heatmap_overlay", "words", "roc", "network", "decision_boundary"])
def test_titles_in_scripts_that_no_font_has_are_measured_without_a_warning(kind):
    draw = {
        "lines": lambda: plot.lines({"猫": X, "犬": X}, heading="猫犬", xlabel="猫", ylabel="犬"),
        "heatmap_overlay": lambda: plot.heatmap_overlay(IMAGES, IMAGES, ["猫", "犬"]),
        "words": lambda: plot.words([["猫", "犬" * 90]], [[1.0, -1.0]], ["猫"], heading="犬"),
        "roc": lambda: plot.roc({"猫": RATES}),
        "network": lambda: plot.network([np.eye(2)], inputs=["猫", "犬"], heading="猫"),
        "decision_boundary": lambda: plot.decision_boundary(
            lambda p: p[:, 0], POINTS, SIDES, names=["猫", "犬"], heading="猫", xlabel="犬"
        ),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw().axes or kind == "words"


def test_logarithmic_ticks_are_still_formulas(tmp_path):
    figure = plot.lines({A: [1e-7, 1.0, 1e7]}, yscale="log")
    plot.save(figure, tmp_path / "x.png")
    labels = [t for t in figure.axes[0].get_yticklabels() if "10^" in t.get_text()]
    assert labels
    assert all(t.get_parse_math() for t in labels)


def test_text_that_cannot_be_drawn(tmp_path):
    assert plain("a\ud800b\x00\x1b[0m\n") == "a\ufffdb\ufffd\ufffd[0m\n"
    assert name_of("two\nlines") == "two lines"
    assert len(name_of("x" * 500)) == 60
    for odd in ("\ud83d\x00\n\t", "", None):
        plot.save(plot.confusion([[5, 1], [2, 7]], [odd, "b"]), tmp_path / "x.png")
        plot.save(plot.predictions(IMAGES, [odd, 1], [1, odd]), tmp_path / "x.png")
        plot.save(plot.lines({odd: X, "b": X}, heading=str(odd)[:50]), tmp_path / "x.png")
