"""Searching for settings: what is drawn, what is noted, what survives, and how a search goes on."""

import csv
import enum
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from xpnet import explore
from xpnet.explore import Choice, Integers, LogUniform, Uniform, halving_cost, random_search, successive_halving
from xpnet_backends import random

SPACE = {"x": Uniform(-1.0, 1.0), "lr": LogUniform(1e-4, 1e-1), "n": Integers(1, 4), "how": Choice("a", "b", None)}
U = np.linspace(0, 1, 4001)[:-1]


def bowl(settings):
    return (settings["x"] - 0.5) ** 2 + abs(math.log10(settings["lr"]) + 2) / 10


def test_dimensions_fill_their_range_evenly():
    assert {Integers(1, 3).at(u) for u in U} == {1, 2, 3}
    assert np.bincount([Integers(1, 3).at(u) for u in U])[1:] == pytest.approx([4000 / 3] * 3, abs=2)
    assert [Uniform(2, 4).at(u) for u in (0.0, 0.5)] == [2, 3]
    logs = np.log10([LogUniform(1e-3, 10).at(u) for u in U])
    np.testing.assert_allclose(np.diff(logs), 4 / 4000, rtol=1e-6)
    assert np.bincount([Choice(0, 1).at(u) for u in U]).tolist() == [2000, 2000]
    widths = [Integers(8, 256, log=True).at(u) for u in U]
    assert (min(widths), max(widths)) == (8, 256)
    assert sorted(widths) == widths
    assert np.median(widths) == pytest.approx(math.sqrt(8 * 256), abs=2)
    assert all(type(w) is int for w in widths)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Uniform(1, 1), r"Uniform\(low=1, high=1\): needs low < high"),
    (lambda: Uniform(0, math.inf), "both finite"),
    (lambda: LogUniform(0, 1), "a logarithmic scale needs low > 0"),
    (lambda: Integers(0, 8, log=True), "needs low > 0"),
    (lambda: Integers(0.5, 8), "must be whole numbers"),
    (lambda: Choice("a"), r"at least two options, no two alike, got \('a',\)"),
    (lambda: Choice(1, 1), "no two alike"),
    (lambda: random_search(bowl, {}), "the space is empty"),
    (lambda: random_search(bowl, SPACE, 0), "trials must be a positive whole number, got 0"),
    (lambda: successive_halving(bowl, SPACE, 1), "trials must be a whole number of at least 2, got 1"),
    (lambda: successive_halving(bowl, SPACE, 9, factor=1), "factor must be a whole number of at least 2, got 1"),
    (lambda: successive_halving(bowl, SPACE, 9, least=3, most=2), "most must be a whole number of at least 3"),
])  # fmt: skip
def test_wrong_use(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_random_search_finds_the_bowl():
    found = random_search(bowl, SPACE, 200)
    assert found.best.score == min(t.score for t in found.trials)
    assert found.best.settings["x"] == pytest.approx(0.5, abs=0.2)
    assert [t.score for t in found.ranked()] == sorted(t.score for t in found.trials)
    largest = random_search(lambda s: -bowl(s), SPACE, 200, maximize=True)
    assert largest.best.settings == found.best.settings


def test_what_a_trial_draws_depends_on_seed_name_and_number_alone():
    few, many = random_search(bowl, SPACE, 3), random_search(bowl, SPACE, 6)
    assert [t.settings for t in few.trials] == [t.settings for t in many.trials[:3]]
    alone = random_search(lambda s: s["x"], {"x": SPACE["x"]}, 3)
    assert [t.settings["x"] for t in alone.trials] == [t.settings["x"] for t in few.trials]
    other = random_search(bowl, SPACE, 3, seed=1)
    assert not {t.settings["x"] for t in other.trials} & {t.settings["x"] for t in few.trials}


def test_every_trial_starts_from_the_seed_and_the_random_state_is_put_back():
    random.state.manual_seed(5)
    random.state.set_step(7)
    seen = []

    def objective(settings):
        seen.append((random.state.seed, random.state.step))
        random.state.set_step(99)
        return 0.0

    random_search(objective, SPACE, 2, seed=3)
    assert seen == [(3, 0), (3, 0)]
    assert (random.state.seed, random.state.step) == (5, 7)


def test_an_objective_may_change_the_settings_it_is_given():
    found = random_search(lambda s: s.pop("x"), SPACE, 2)
    assert all(set(t.settings) == set(SPACE) for t in found.trials)


def test_failures_are_noted_and_come_last():
    def fragile(settings):
        if settings["how"] == "a":
            raise RuntimeError("it exploded")
        return math.nan if settings["how"] == "b" else settings["x"]

    found = random_search(fragile, SPACE, 20)
    errors = {t.settings["how"]: t.error for t in found.failed}
    assert errors == {"a": "RuntimeError: it exploded", "b": "the score is nan"}
    assert found.best.settings["how"] is None
    assert found.ranked()[-1].score is None
    assert "failed" in found.table()
    with pytest.raises(ValueError, match=r"no trial succeeded: the first failed with ZeroDivisionError"):
        random_search(lambda s: 1 / 0, SPACE, 2).best  # noqa: B018


def test_ctrl_c_is_no_failure(tmp_path):
    calls = []

    def stopped(settings):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return bowl(settings)

    path = tmp_path / "tune.json"
    with pytest.raises(KeyboardInterrupt):
        random_search(stopped, SPACE, 5, path=path)
    watched = []
    found = random_search(bowl, SPACE, 5, path=path, watch=watched.append)
    assert [t.number for t in watched] == [2, 3, 4]
    whole = random_search(bowl, SPACE, 5)
    assert [(t.settings, t.score) for t in found.trials] == [(t.settings, t.score) for t in whole.trials]
    more = random_search(bowl, SPACE, 7, path=path, watch=watched.append)
    assert (len(more), len(watched)) == (7, 5)


def test_a_file_of_another_search_or_none(tmp_path):
    path = tmp_path / "tune.json"
    random_search(bowl, SPACE, 2, path=path)
    with pytest.raises(ValueError, match="is of another search: its seed is 0, now it is 1; choose another file"):
        random_search(bowl, SPACE, 2, seed=1, path=path)
    with pytest.raises(ValueError, match="its space is"):
        random_search(bowl, {**SPACE, "x": Uniform(0, 2)}, 2, path=path)
    with pytest.raises(ValueError, match="its kind is 'random', now it is 'halving from 3 by 3, budget 1 to None'"):
        successive_halving(lambda s, b: bowl(s), SPACE, 3, path=path)
    for text in ("{", "[]", "{}", json.dumps({"format": "x"}), path.read_text().replace('"score"', '"skore"')):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not the file of a search, or is damaged"):
            random_search(bowl, SPACE, 2, path=path)


def test_halving_gives_the_best_third_three_times_as_much(tmp_path):
    calls = []

    def objective(settings, budget):
        calls.append(budget)
        return bowl(settings) + 1 / budget

    found = successive_halving(objective, SPACE, 9, path=tmp_path / "h.json")
    assert calls == [1] * 9 + [3] * 3 + [9]
    assert sum(calls) == halving_cost(9) == 27
    first = sorted((t for t in found.trials if t.budget == 1), key=lambda t: t.score)
    assert {t.number for t in found.trials if t.budget == 3} == {t.number for t in first[:3]}
    assert found.best.budget == 9
    successive_halving(objective, SPACE, 9, path=tmp_path / "h.json")
    assert len(calls) == 13, "all of it was in the file"


def test_halving_ends_at_the_largest_budget():
    calls = []
    found = successive_halving(lambda s, b: calls.append(b) or bowl(s), SPACE, 20, least=2, most=6)
    assert calls == [2] * 20 + [6] * 6
    assert sum(calls) == halving_cost(20, least=2, most=6)
    assert found.best.budget == 6


def test_halving_when_few_or_none_survive():
    found = successive_halving(lambda s, b: s["x"] if s["x"] > 0.6 else math.inf, SPACE, 9)
    assert found.best.settings["x"] > 0.6
    none = successive_halving(lambda s, b: math.nan, SPACE, 9)
    assert len(none) == len(none.failed) == 9


def test_table_and_csv():
    found = successive_halving(lambda s, b: bowl(s), SPACE, 3)
    rows = list(csv.reader(io.StringIO(found.to_csv())))
    assert rows[0] == ["trial", "x", "lr", "n", "how", "budget", "score", "seconds", "error"]
    assert len(rows) == 1 + len(found) == 5
    assert float(rows[1][1]) == found.trials[0].settings["x"]
    lines = found.table(2).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["trial", "x", "lr", "n", "how", "budget", "score", "seconds"]
    assert explore.Results(SPACE).table().count("\n") == 0


class Colour(enum.Enum):
    RED = 1


PLAIN = [
    (1, 2), (), (np.int64(3), "a"), [1, 2], [(1,), [2]], {"a": (1,)}, {1: "a"}, {"$tuple": 1}, np.int64(5), np.float32(0.1),
    np.float64(0.1), np.bool_(True), np.str_("x"), np.uint8(7), True, 1.5, math.inf, -math.inf, None, "", "é\ud800", 2**70,
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_options_come_back_from_a_file_as_they_were(tmp_path, value):
    space = {"a": Choice(value, "other"), "b": Choice("other", value)}
    path = tmp_path / "tune.json"
    first = random_search(lambda s: 0.5, space, 6, path=path)
    json.loads(path.read_text(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    again = random_search(lambda s: pytest.fail("it ran again"), space, 6, path=path)
    for a, b in zip(first.trials, again.trials, strict=True):
        assert (a, list(map(type, a.settings.values()))) == (b, list(map(type, b.settings.values())))
    assert any(type(t.settings["a"]) is type(value) for t in again.trials)
    again.to_csv().encode()
    again.table().encode()


@pytest.mark.parametrize("value", [Path("a"), Colour.RED, slice(1), len, {1, 2}, 1j, np.complex64(2), b"a"], ids=repr)
def test_options_that_a_file_cannot_hold_are_refused_before_the_first_trial(tmp_path, value):
    ran = []
    with pytest.raises(ValueError, match=r"the options of 'a' cannot be kept in a file: .* is no plain value"):
        random_search(lambda s: ran.append(1) or 0.0, {"a": Choice(value, 1)}, 3, path=tmp_path / "t.json")
    assert not ran
    found = random_search(lambda s: 0.5, {"a": Choice(value, 1)}, 3)
    assert len(found) == 3


class Odd:
    """A dimension of somebody's own, whose values no file holds."""

    scale = "linear"

    def at(self, u):
        return {u}


def test_a_dimension_of_ones_own_is_refused_before_its_trial(tmp_path):
    with pytest.raises(TypeError, match="is no plain value"):
        random_search(lambda s: pytest.fail("it ran"), {"a": Odd()}, 3, path=tmp_path / "t.json")


def test_a_file_with_tuples_as_lists(tmp_path):
    space, path = {"a": Choice((1, 2), (3,)), "x": Uniform(0, 1)}, tmp_path / "t.json"
    first = random_search(lambda s: 0.5, space, 4, path=path)
    text = json.dumps(json.loads(path.read_text()))
    path.write_text(text.replace('{"$tuple": [1, 2]}', "[1, 2]").replace('{"$tuple": [3]}', "[3]"))
    assert random_search(lambda s: 1.0, space, 4, path=path).trials == first.trials


def test_numbers_of_numpy_for_a_search_itself(tmp_path):
    path = tmp_path / "t.json"
    space = {"n": Integers(np.int64(1), np.int32(5)), "x": Uniform(np.float32(0), np.float32(1))}
    found = random_search(
        lambda s: np.float32(s["x"]), space, np.int64(3), seed=np.int64(4), maximize=np.bool_(True), path=path
    )
    assert {type(v) for t in found.trials for v in t.settings.values()} == {int, float}
    assert random_search(lambda s: 0.0, space, 3, seed=4, maximize=True, path=path).trials == found.trials
    halved = successive_halving(lambda s, b: 0.0, space, np.int64(3), least=np.int64(1), most=np.int64(9), factor=np.int64(3),
                                path=tmp_path / "h.json")  # fmt: skip
    assert len(halved) > 3


def test_half_a_character_in_an_error(tmp_path):
    def fails(settings):
        raise RuntimeError("bad \ud83d")

    path = tmp_path / "t.json"
    found = random_search(fails, SPACE, 2, path=path)
    assert found.trials[0].error == "RuntimeError: bad \\ud83d"
    found.to_csv().encode()
    assert random_search(fails, SPACE, 2, path=path).trials == found.trials


def test_an_objective_may_change_a_list_that_it_is_given():
    found = random_search(lambda s: s["a"].append(1) or 0.0, {"a": Choice([1], [2])}, 4)
    assert all(t.settings["a"] in ([1], [2]) for t in found.trials)
    with pytest.raises(ValueError, match="no two alike"):
        Choice([1], [1])
