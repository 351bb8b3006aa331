"""The pictures of a search."""

import math

import pytest

from xpnet import plot
from xpnet.explore import Choice, Integers, LogUniform, Results, Uniform, random_search, successive_halving

SPACE = {"lr": LogUniform(1e-4, 1.0), "width": Integers(8, 64), "how": Choice("sgd", "adam"), "p": Uniform(0, 0.5)}


def score(settings, budget=1):
    return abs(math.log10(settings["lr"]) + 2) / budget if settings["width"] > 12 else math.nan


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_a_panel_for_each_setting_with_the_best_marked():
    found = random_search(score, SPACE, 30)
    figure = plot.tuning(found, score="error")
    assert [axes.get_title(loc="left") for axes in panels(figure)] == list(SPACE)
    lr, _, how, _ = panels(figure)
    assert lr.get_xscale() == "log"
    assert lr.get_ylabel() == "error"
    assert [label.get_text() for label in how.get_xticklabels()] == ["sgd", "adam"]
    points, best, crosses = lr.collections
    assert len(points.get_offsets()) == 30 - len(found.failed)
    assert best.get_offsets()[0].tolist() == [found.best.settings["lr"], found.best.score]
    assert len(crosses.get_offsets()) == len(found.failed) > 0
    assert "failed" in figure.get_suptitle()
    assert "the best in orange" in figure.get_suptitle()  # vermillion, as in all pictures


def test_larger_budgets_are_darker():
    figure = plot.tuning(successive_halving(score, SPACE, 9))
    colors = {tuple(c) for c in figure.axes[0].collections[0].get_facecolors()}
    assert len(colors) == 3
    assert "larger budget (1, 3, 9)" in figure.get_suptitle()


@pytest.mark.parametrize("maximize", [False, True])
def test_equal_and_negative_scores_and_a_single_trial(maximize, tmp_path):
    for objective in (lambda s: 0.5, lambda s: 0.0, lambda s: -s["p"], lambda s: 1e3 if s["p"] > 0.4 else s["p"] - 1):
        for count in (1, 12):
            plot.save(plot.tuning(random_search(objective, SPACE, count, maximize=maximize)), tmp_path / "t.png")


def test_the_table(tmp_path):
    found = random_search(score, SPACE, 30)
    figure = plot.tuning_table(found, 5)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:3] == ["trial", "lr", "width"]
    assert len(texts) == 6 * 7
    assert texts[7] == str(found.best.number)
    plot.save(figure, tmp_path / "table.png")


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no trial succeeded"):
        plot.tuning(Results(SPACE))
    with pytest.raises(ValueError, match="there are no trials to show"):
        plot.tuning_table(Results(SPACE))
