"""Search for good settings: at random, or by successive halving.

A search calls ``objective(settings)`` for settings drawn from a space, notes what comes back, and goes on where one
fails.  Trial n draws the same settings whatever was drawn before, so that a search that was stopped goes on as if it
had not been, and more trials can be added later.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet.explore.space import Dimension
from xpnet.serialization import from_plain, to_plain
from xpnet_backends import get_backend, random

FORMAT = "xpnet-tune-1"
Settings = dict[str, Any]
Watcher = Callable[["Trial"], None]


@dataclass(frozen=True)
class Trial:
    """One call of the objective.

    Attributes
    ----------
    number : which settings; in successive halving several trials have the same, with growing budgets.
    score : what the objective returned; None where it failed, and then ``error`` says why.
    """

    number: int
    settings: Settings
    budget: int | None
    score: float | None
    seconds: float
    error: str = ""


@dataclass
class Results:
    """The trials of a search, in the order in which they ran; ``space`` is what they were drawn from."""

    space: dict[str, Dimension]
    maximize: bool = False
    trials: list[Trial] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.trials)

    def ranked(self) -> list[Trial]:
        """The best first.  A larger budget goes before a smaller one: their scores do not compare.  Failures last."""
        sign = -1.0 if self.maximize else 1.0

        def place(trial: Trial) -> tuple[bool, int, float]:
            return trial.score is None, -(trial.budget or 0), 0.0 if trial.score is None else sign * trial.score

        return sorted(self.trials, key=place)

    @property
    def best(self) -> Trial:
        """The trial with the best score, of those with the largest budget.

        Its score was chosen for being good, and flatters: measure the settings again on data that no trial saw.

        Raises: ``ValueError`` where no trial succeeded.
        """
        ranked = self.ranked()
        if not ranked or ranked[0].score is None:
            why = f": the first failed with {self.trials[0].error}" if self.trials else ""
            raise ValueError(f"no trial succeeded{why}")
        return ranked[0]

    @property
    def failed(self) -> list[Trial]:
        """The trials without a score."""
        return [trial for trial in self.trials if trial.score is None]

    def rows(self, count: int | None = None) -> list[list[str]]:
        """A header, and a row for each of the ``count`` best trials."""
        budget = any(trial.budget is not None for trial in self.trials)
        rows = [["trial", *self.space, *(["budget"] if budget else []), "score", "seconds"]]
        for trial in self.ranked()[:count]:
            score = "failed" if trial.score is None else f"{trial.score:.4g}"
            values = [in_words(trial.settings[name]) for name in self.space]
            rows.append(
                [str(trial.number), *values, *([str(trial.budget)] if budget else []), score, f"{trial.seconds:.1f}"]
            )
        return rows

    def table(self, count: int | None = None) -> str:
        """The ``count`` best trials as text."""
        rows = self.rows(count)
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)

    def to_csv(self) -> str:
        """All trials in the order in which they ran, with all digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["trial", *self.space, "budget", "score", "seconds", "error"])
        for t in self.trials:
            writer.writerow([t.number, *(t.settings[n] for n in self.space), t.budget, t.score, t.seconds, t.error])
        return _writable(text.getvalue())


def random_search(
    objective: Callable[[Settings], float],
    space: Mapping[str, Dimension],
    trials: int = 20,
    *,
    seed: int = 0,
    maximize: bool = False,
    path: str | os.PathLike[str] | None = None,
    watch: Watcher | None = None,
) -> Results:
    """Call ``objective(settings)`` for ``trials`` settings drawn from ``space``, independently of one another.

    Where few settings matter, it tries more values of each of them than a grid of the same size does.

    path : a JSON file that holds the trials; a search whose file exists goes on from there.
    watch : called with every trial when it has ended.

    Every trial starts from ``manual_seed(seed)``; the random state is put back at the end.  A trial that raises an
    exception, or whose score is not finite, is noted as failed.

    Raises: ``ValueError`` for a file of another search.

    Source: Bergstra & Bengio 2012, JMLR 13.

    >>> from xpnet.explore import Uniform
    >>> found = random_search(lambda s: (s["x"] - 0.3) ** 2, {"x": Uniform(0, 1)}, trials=50)
    >>> round(found.best.settings["x"], 1)
    0.3
    """
    if (trials := _whole(trials, 0)) < 1:
        raise ValueError(f"trials must be a positive whole number, got {trials!r}")
    search = _Search(lambda settings, _: objective(settings), space, seed, maximize, path, watch, "random")
    with search:
        for number in range(trials):
            search.run(number, None)
    return search.results


def successive_halving(
    objective: Callable[[Settings, int], float],
    space: Mapping[str, Dimension],
    trials: int = 27,
    *,
    least: int = 1,
    most: int | None = None,
    factor: int = 3,
    seed: int = 0,
    maximize: bool = False,
    path: str | os.PathLike[str] | None = None,
    watch: Watcher | None = None,
) -> Results:
    """Try many settings briefly, the best of them longer, and so on until one is left, or the budget is ``most``.

    Calls ``objective(settings, budget)``, where the budget, e.g. a number of epochs, begins with ``least``; the best
    ``1 / factor`` go on with a budget ``factor`` times as large.  Each call trains from the start.

    All else is as in ``random_search``.  It goes wrong where what learns slowly would have been best in the end.

    Source: Jamieson & Talwalkar 2015, arXiv:1502.07943.
    """
    trials, least, factor = _whole(trials, trials), _whole(least, least), _whole(factor, factor)
    most = None if most is None else _whole(most, most)
    for name, value, smallest in (("trials", trials, 2), ("least", least, 1), ("factor", factor, 2)):
        if not isinstance(value, int) or value < smallest:
            raise ValueError(f"{name} must be a whole number of at least {smallest}, got {value!r}")
    _check_most(least, most)
    kind = f"halving from {trials} by {factor}, budget {least} to {most}"
    search = _Search(objective, space, seed, maximize, path, watch, kind)
    sign = -1.0 if maximize else 1.0
    running = list(range(trials))
    with search:
        for budget in _budgets(least, most, factor):
            scored = [(sign * t.score, n) for n in running if (t := search.run(n, budget)).score is not None]
            if len(running) == 1 or not scored:
                break
            running = [n for _, n in sorted(scored)[: max(len(running) // factor, 1)]]
    return search.results


def halving_cost(trials: int, *, least: int = 1, most: int | None = None, factor: int = 3) -> int:
    """The sum of all budgets of a successive halving.

    >>> halving_cost(9)  # 9 with a budget of 1, 3 with 3, 1 with 9
    27
    """
    total = 0
    for budget in _budgets(least, most, factor):
        total += trials * budget
        if trials == 1:
            break
        trials = max(trials // factor, 1)
    return total


def _whole(value: Any, otherwise: Any) -> Any:
    """A whole number of NumPy's as Python's."""
    return value if isinstance(value, int) else int(value) if isinstance(value, np.integer) else otherwise


def _budgets(least: int, most: int | None, factor: int) -> Iterator[int]:
    while most is None or least <= most:
        yield least
        least *= factor


def _check_most(least: int, most: int | None) -> None:
    if most is not None and (not isinstance(most, int) or most < least):
        raise ValueError(f"most must be a whole number of at least {least}, the smallest budget, got {most!r}")


class _Search:
    """Runs trials, once each, and keeps them in a file."""

    def __init__(
        self,
        objective: Callable[[Settings, Any], float],
        space: Mapping[str, Dimension],
        seed: int,
        maximize: bool,
        path: str | os.PathLike[str] | None,
        watch: Watcher | None,
        kind: str,
    ) -> None:
        if not space:
            raise ValueError("the space is empty: name at least one setting, e.g. {'lr': LogUniform(1e-4, 1e-1)}")
        seed, maximize = _whole(seed, seed), bool(maximize)
        self.objective, self.seed, self.watch = objective, seed, watch
        self.results = Results(dict(space), maximize)
        self.path = None if path is None else Path(path)
        described = {name: repr(dimension) for name, dimension in space.items()}
        self.about = {"kind": kind, "seed": seed, "maximize": maximize, "space": described}
        if self.path is not None:
            _check_plain(space)
        if self.path is not None and self.path.exists():
            self.results.trials = [self._as_drawn(trial) for trial in _read(self.path, self.about)]
        self.done = {(t.number, t.budget): t for t in self.results.trials}

    def __enter__(self) -> None:
        self._forked = random.fork_rng(self.seed)
        self._forked.__enter__()

    def __exit__(self, *about: Any) -> None:
        self._forked.__exit__(*about)

    def run(self, number: int, budget: int | None) -> Trial:
        """The trial with this number and budget, from the file or from the objective."""
        if (number, budget) in self.done:
            return self.done[number, budget]
        settings = self._draw(number)
        if self.path is not None:
            to_plain(settings)  # before the objective's time is spent
        random.state.manual_seed(self.seed)
        started = time.perf_counter()
        score, error = _call(self.objective, copy.deepcopy(settings), budget)
        trial = Trial(number, settings, budget, score, round(time.perf_counter() - started, 3), error)
        self.results.trials.append(trial)
        self.done[number, budget] = trial
        if self.path is not None:
            trials = [{**vars(t), "settings": to_plain(t.settings)} for t in self.results.trials]
            content = {"format": FORMAT, "search": self.about, "trials": trials}
            write_atomically(self.path, json.dumps(content, indent=1, allow_nan=False) + "\n")
        if self.watch is not None:
            self.watch(trial)
        return trial

    def _as_drawn(self, trial: Trial) -> Trial:
        """Older files hold tuples as lists: where the draw is the same but for that, it is the settings."""
        drawn = self._draw(trial.number)
        same = drawn.keys() == trial.settings.keys() and all(
            (isinstance(value, tuple) and list(value) == trial.settings[name]) or value == trial.settings[name]
            for name, value in drawn.items()
        )
        return replace(trial, settings=drawn) if same else trial

    def _draw(self, number: int) -> Settings:
        """Each setting has a stream of its own: another one more in the space changes nothing about it."""
        host = get_backend("numpy")
        streams = {name: random.Stream(self.seed, f"tune.{name}", step=number) for name in self.results.space}
        return {
            name: dimension.at(float(streams[name].uniform(host, (1,), "float64")[0]))
            for name, dimension in self.results.space.items()
        }


def _call(objective: Callable[[Settings, Any], float], settings: Settings, budget: int | None) -> tuple[Any, str]:
    """The score, or why there is none."""
    try:
        score = float(objective(settings, budget))
    except Exception as error:
        return None, _writable(f"{type(error).__name__}: {error}")
    return (score, "") if math.isfinite(score) else (None, f"the score is {score}")


def _writable(text: str) -> str:
    """With what UTF-8 cannot hold, halves of a character, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _check_plain(space: Mapping[str, Dimension]) -> None:
    """Before the first trial: what a file cannot hold would end the search after it."""
    for name, dimension in space.items():
        try:
            to_plain(list(getattr(dimension, "options", ())))
        except TypeError as error:
            raise ValueError(
                f"the options of {name!r} cannot be kept in a file: {error}; or search without path="
            ) from None


def _read(path: Path, about: Mapping[str, Any]) -> list[Trial]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        theirs, trials = (
            content["search"],
            [Trial(**{**entry, "settings": from_plain(entry["settings"])}) for entry in content["trials"]],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no search, or was damaged: {error!r}") from error
    for name, value in about.items():
        if theirs.get(name) != value:
            raise ValueError(
                f"{path} is of another search: its {name} is {theirs.get(name)!r}, now it is {value!r}; "
                "choose another file, or delete it"
            )
    return trials


def in_words(value: Any) -> str:
    """A setting as people read it: four digits are enough."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else _writable(str(value))
