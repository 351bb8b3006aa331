"""Pictures of ordinary and of hostile data can be read: see ``look.faults`` for what is asked of them."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet import explore, plot
from xpnet.explore.landscape import Curve, Surface

from .look import faults

LONG = "a very long name that somebody gave to a class of things that nobody can pronounce"
NAN = float("nan")
RNG = np.random.default_rng(0)
XS = np.linspace(-1, 1, 7)
BOWL = 0.01 + XS[None] ** 2 + XS[:, None] ** 2


def history(train, val):
    return {"epoch": range(1, 1 + len(train)), "train_loss": train, "val_loss": val}


def columns(count):
    e = np.arange(1.0, 1 + count)
    return {"epoch": e, "train_loss": 1 / e, "val_loss": 1.1 / e, "train_accuracy": 1 - 1 / (e + 1), "lr": 0.1 / e}


def lines(values, *args, **options):
    return plot.lines(values, *args, xlabel="epoch", ylabel="loss", **options)


def boundary(x, y, names, **options):
    return plot.decision_boundary(lambda p: p[:, 0], x, y, names=names, xlabel="x", ylabel="y", **options)


def weights(*sizes):
    return [RNG.normal(size=(b, a)) for a, b in pairwise(sizes)]


def lr_range(losses, suggestion=0.01):
    rates = np.geomspace(1e-7, 10, len(losses))
    return plot.lr_range(SimpleNamespace(rates=rates, losses=losses, smoothed=losses, suggestion=suggestion))


def profile(count, name="layer", seconds=1e-3):
    costs = [SimpleNamespace(layer=f"{name}{i}", kind="Linear", op=f"{name}{i}", seconds=2 * i * seconds,
                             forward=i * seconds, backward=i * seconds, kept=1000 * i) for i in range(count)]  # fmt: skip
    total = SimpleNamespace(seconds=sum(c.seconds for c in costs), forward=sum(c.forward for c in costs), kept=5)
    return plot.profile(SimpleNamespace(layers=lambda: costs, total=total))


def search(space, objective, trials=6):
    return explore.random_search(objective, space, trials, seed=0)


NAMED = {
    "gaps, one epoch": lambda: plot.gaps({"a": history([1.0], [1.2])}),
    "gaps, the same losses": lambda: plot.gaps({"a": history([3, 2, 1], [3, 2, 1])}),
    "gaps, long names": lambda: plot.gaps({f"{LONG}{i}": history([3, 2], [3, 2]) for i in range(5)}),
    "gaps, 10,000 epochs": lambda: plot.gaps({"a": history(np.ones(10_000), np.ones(10_000))}),
    "gaps, tiny and negative": lambda: plot.gaps({"a": history([1e-9, -1e-9], [2e-9, 1e-9])}),
    "gaps, NaN": lambda: plot.gaps({"a": history([NAN, NAN], [NAN, NAN])}),
    "lines, two logarithmic axes": lambda: lines({"a": [3, 0.1], "b": [2, 0.02]}, [4, 64], xscale="log", yscale="log"),
    "lines, less than a decade": lambda: lines({"a": [3, 2.5, 2]}, [4, 5, 6], xscale="log", yscale="log"),
    "lines, many decades": lambda: lines({"a": [1e-99, 1e99]}, yscale="log"),
    "lines, one point": lambda: lines({"a": [1.0]}),
    "lines, twenty": lambda: lines({f"name{i}": RNG.random(30) for i in range(20)}),
    "lines, long names": lambda: lines({LONG: [1, 2, 3], "b": [1, 2, 2]}, heading=LONG + LONG),
    "lines, huge": lambda: lines({"a": [1e300, -1e300], "b": [1, 2]}),
    "lines, constant": lambda: lines({"a": [5.0] * 20}),
    "boundary": lambda: boundary(RNG.random((90, 2)), np.arange(90) % 8, [f"class {i}" for i in range(8)]),
    "boundary, one point": lambda: boundary([[0.5, 0.5]], [0], ["a"], heading=LONG),
    "boundary, the same points": lambda: boundary([[1.0, 1.0]] * 3, [0, 0, 1], [LONG, LONG]),
    "boundary, tiny": lambda: boundary(1e-20 * RNG.normal(size=(20, 2)), np.arange(20) % 2, ["a", "b"]),
    "descent": lambda: plot.descent(np.hypot, {f"{LONG}{i}": RNG.normal(size=(9, 2)) for i in range(9)}, (-2, 2), (-2, 2)),
    "descent, flat": lambda: plot.descent(lambda x, y: 0 * x, {"a": [[1, NAN], [1, 1]]}, (-2, 2), (-2, 2)),
    "forecast, falling": lambda: plot.forecast(np.arange(60)[::-1], [40], np.ones((1, 9)), low=np.zeros((1, 9)), high=np.ones((1, 9))),
    "forecast, long names": lambda: plot.forecast(np.arange(50), [40], {f"{LONG}{i}": np.ones((1, 9)) for i in range(6)}, unit=LONG),
    "forecast, NaN": lambda: plot.forecast([1, NAN, 3], [2], [[NAN, NAN]]),
    "errors by step": lambda: plot.errors_by_step({f"{LONG}{i}": [1, 2.0] for i in range(6)}, unit="passengers"),
    "errors by step, NaN": lambda: plot.errors_by_step({"a": [NAN, 1, 2], "b": [NAN, NAN, NAN]}),
    "errors by step, zero": lambda: plot.errors_by_step({"a": [0.0]}),
    "gradient flow, long names": lambda: plot.gradient_flow({f"{LONG}{i}": 10.0**-i for i in range(4)}),
    "gradient flow, six networks": lambda: plot.gradient_flow({LONG + n: {"a": 1.0, "b": 5.0} for n in "abcdef"}),
    "gradient flow, NaN": lambda: plot.gradient_flow({"a": NAN, "b": 1}),
    "loss curves": lambda: plot.loss_curves({f"{LONG}{i}": Curve(XS, XS**2 + i) for i in range(8)}, x_label=LONG),
    "loss curves, logarithmic": lambda: plot.loss_curves({"a": Curve(XS, 10.0 ** (40 * XS))}, log=True),
    "contours": lambda: plot.loss_contours(Surface(XS, XS, BOWL), {LONG: [[-0.8, 0.5], [0, 0]]}, heading=LONG, labels=(LONG, LONG)),
    "contours, huge": lambda: plot.loss_contours(Surface(1e9 * XS, 1e-9 * XS, 10.0 ** (20 * BOWL))),
    "surface": lambda: plot.loss_surface({"a": Surface(XS, XS, BOWL), LONG: Surface(XS, XS, BOWL)}, labels=(LONG, LONG)),
    "rates": lambda: lr_range(np.linspace(2.3, 0.5, 50)),
    "rates, NaN": lambda: lr_range(np.array([1.0, NAN, np.inf]), 1e-7),
    "rates, constant": lambda: lr_range(np.ones(2)),
    "roc": lambda: plot.roc({f"{LONG}{i}": ([0, 1, 1], [0, 0, 1]) for i in range(6)}),
    "precision and recall": lambda: plot.precision_recall({"a": ([0.1, 0.1, 1], [1, 0.5, 0])}, share=0.07),
}  # fmt: skip

OTHERS = {  # panels whose titles name what they show, and pictures without axes
    "curves, one epoch": lambda: plot.curves(columns(1)),
    "curves, 10,000 epochs": lambda: plot.curves(columns(10_000)),
    "curves, huge": lambda: plot.curves({"train_loss": [1e30, 1e10, 1.0], "val_loss": [1e30, 1e12, 3.0]}),
    "curves, negative": lambda: plot.curves({"train_loss": [-1.0, -200, -3000], "val_loss": [-1, -100.0, -2000]}),
    "curves, long names": lambda: plot.curves({"train_loss": [1, 2.0], f"val_{LONG.replace(' ', '_')}": [1, 2.0]}),
    "histograms": lambda: plot.histograms({f"weights, layer{i}": [0.3 * RNG.normal(size=50)] * 12 for i in range(3)}, range(0, 12000, 1000)),
    "histograms, long names": lambda: plot.histograms({LONG: [[1.0, 2]], LONG + "b": [[1.0, 2]]}, [LONG]),
    "histograms, near": lambda: plot.histograms({"a": [[1e6, 1e6 + 1]], "b": [[12345.678, 12345.679]], "c": [[-123456.0, 123456]]}, [1]),
    "confusion": lambda: plot.confusion(RNG.integers(0, 99, (11, 11)), [f"{i:03}" for i in range(11)]),
    "confusion, one class": lambda: plot.confusion([[3]], [LONG]),
    "confusion, huge": lambda: plot.confusion(RNG.integers(0, 10**9, (3, 3)), list("abc")),
    "network": lambda: plot.network(weights(4, 8, 6, 3), [RNG.normal(size=n) for n in (4, 8, 6, 3)], inputs=["sepal length"] * 4,
                                    outputs=["versicolor"] * 3, histograms=[("weights", *np.histogram(RNG.normal(size=9), 30))] * 6),
    "network, long names": lambda: plot.network([np.zeros((2, 1))], inputs=[LONG], outputs=[LONG, "b"], heading=LONG + LONG),
    "network, many units": lambda: plot.network(weights(100, 100, 100), inputs=[f"name {i}" for i in range(100)]),
    "predictions": lambda: plot.predictions(RNG.random((8, 8, 8)), ["airplane"] * 8, ["automobile"] * 8, RNG.random(8)),
    "predictions, one": lambda: plot.predictions(np.zeros((1, 8, 8)), [LONG], [LONG + "!"], [NAN]),
    "pictures": lambda: plot.pictures({LONG: RNG.random((20, 5)), LONG + "b": np.full((20, 5), NAN)}),
    "heat map": lambda: plot.heatmap_overlay(RNG.random((2, 8, 8)), NAN * RNG.random((2, 8, 8)), ["automobile 24% ✗", LONG]),
    "feature maps": lambda: plot.feature_maps({LONG: RNG.random((1, 40, 2)), "b": RNG.random((3, 1, 100))}, RNG.random((9, 9))),
    "filters": lambda: plot.filters(RNG.normal(size=(1, 1, 5, 5)), name=LONG),
    "filters, NaN": lambda: plot.filters(np.full((2, 2, 3, 3), NAN)),
    "words": lambda: plot.words([["a" * 300, "b"]], [[1.0, -1]], [LONG * 3], heading=LONG * 3),
    "profile": lambda: profile(40),
    "profile, long names": lambda: profile(3, LONG),
    "profile, no time": lambda: profile(1),
    "panels": lambda: plot.panels(["dropout + augmentation and more"] * 3, width=2.3)[0],
    "tuning": lambda: plot.tuning(search({LONG: explore.Choice(f"{LONG}1", f"{LONG}2"), "b": explore.LogUniform(1e-9, 1e9)}, lambda s: s["b"])),
    "tuning, constant": lambda: plot.tuning(search({"a": explore.Uniform(0, 1e-9)}, lambda s: 0.0, 1)),
    "tuning, tiny": lambda: plot.tuning(search({"a": explore.Integers(1, 99)}, lambda s: 1e-29 * s["a"])),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_nothing_covers_anything_and_axes_are_named(name):
    assert faults(NAMED[name]()) == []


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_covers_anything(name):
    assert faults(OTHERS[name](), names=False) == []


def test_the_inspector_sees_faults():
    figure, (axes,) = plot.panels(["a title"])
    axes.plot([0, 1], [0, 1])
    axes.text(0.5, 0.5, "one")
    axes.text(0.5, 0.5, "two")
    figure.text(1.2, 0.5, "away")
    axes.plot([0, 0.5, 1], [0, 0.5, 1], label="line")
    axes.legend(loc="center")
    found = " ".join(faults(figure))
    for fault in (
        "'one' and 'two' lie",
        "'away' reaches beyond",
        "'a title' have no names",
        "the legend of 'a title' lies on",
    ):
        assert fault in found
