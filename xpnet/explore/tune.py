"""Search for good settings: random search and successive halving.

A search calls ``objective(settings)`` for settings drawn from a space, records the scores, and continues after a trial
fails.  The settings of trial n do not depend on earlier trials.  So an interrupted search continues as if it had not
been interrupted, and more trials can be added later.
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
    number : identifies the settings; in successive halving several trials have the same number, with growing budgets.
    score : the value of the objective; None if it failed, and then ``error`` gives the reason.
    """

    number: int
    settings: Settings
    budget: int | None
    score: float | None
    seconds: float
    error: str = ""


@dataclass
class Results:
    """The trials of a search, in the order in which they ran, and the ``space`` they were drawn from."""

    space: dict[str, Dimension]
    maximize: bool = False
    trials: list[Trial] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.trials)

    def ranked(self) -> list[Trial]:
        """The trials, the best first.  Larger budgets come first, because scores of different budgets do not compare.

        Failed trials come last.
        """
        sign = -1.0 if self.maximize else 1.0

        def place(trial: Trial) -> tuple[bool, int, float]:
            return trial.score is None, -(trial.budget or 0), 0.0 if trial.score is None else sign * trial.score

        return sorted(self.trials, key=place)

    @property
    def best(self) -> Trial:
        """The trial with the best score among those with the largest budget.

        Its score is optimistic, because it was selected: measure the settings again on data that no trial used.

        Raises: ``ValueError`` if no trial succeeded.
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

    If only a few settings matter, it tries more values of each of them than a grid of the same size.

    Parameters
    ----------
    objective : takes a dict of settings and returns the score.
    space : a dimension for each setting.
    trials : the number of trials.
    seed : every trial starts with ``manual_seed(seed)``; the random state is restored at the end.
    maximize : look for the largest score; by default for the smallest.
    path : a JSON file for the trials; if it exists, the search continues from it.
    watch : called with every trial when it has ended.

    A trial that raises an exception, or whose score is not finite, is recorded as failed.

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
    """Try many settings with a small budget, the best again with a larger one, until one is left or it is ``most``.

    Settings that learn slowly but would be best in the end may be stopped too early.

    Parameters
    ----------
    objective : takes settings and a budget, e.g. a number of epochs, trains from the start, and returns the score.
    least, most : the first budget, and the largest one.
    factor : the best ``1 / factor`` of the settings continue with a budget ``factor`` times as large.
    space, trials, seed, maximize, path, watch : as in ``random_search``.

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
    """An integer as a Python int; ``otherwise`` for other values."""
    return value if isinstance(value, int) else int(value) if isinstance(value, np.integer) else otherwise


def _budgets(least: int, most: int | None, factor: int) -> Iterator[int]:
    while most is None or least <= most:
        yield least
        least *= factor


def _check_most(least: int, most: int | None) -> None:
    if most is not None and (not isinstance(most, int) or most < least):
        raise ValueError(f"most must be a whole number of at least {least}, the smallest budget, got {most!r}")


class _Search:
    """Runs each trial once, and stores the trials in a file."""

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
            to_plain(settings)  # fails before the objective runs
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
        """Older files store tuples as lists: if the settings differ from the draw only in this, use the draw."""
        drawn = self._draw(trial.number)
        same = drawn.keys() == trial.settings.keys() and all(
            (isinstance(value, tuple) and list(value) == trial.settings[name]) or value == trial.settings[name]
            for name, value in drawn.items()
        )
        return replace(trial, settings=drawn) if same else trial

    def _draw(self, number: int) -> Settings:
        """Each setting has its own random stream, so that adding a setting to the space does not change the others."""
        host = get_backend("numpy")
        streams = {name: random.Stream(self.seed, f"tune.{name}", step=number) for name in self.results.space}
        return {
            name: dimension.at(float(streams[name].uniform(host, (1,), "float64")[0]))
            for name, dimension in self.results.space.items()
        }


def _call(objective: Callable[[Settings, Any], float], settings: Settings, budget: int | None) -> tuple[Any, str]:
    """The score, or the reason for a failure."""
    try:
        score = float(objective(settings, budget))
    except Exception as error:
        return None, _writable(f"{type(error).__name__}: {error}")
    return (score, "") if math.isfinite(score) else (None, f"the score is {score}")


def _writable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _check_plain(space: Mapping[str, Dimension]) -> None:
    """Check before the first trial that the file can store every option."""
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
        raise ValueError(f"{path} is not the file of a search, or is damaged: {error!r}") from error
    for name, value in about.items():
        if theirs.get(name) != value:
            raise ValueError(
                f"{path} is of another search: its {name} is {theirs.get(name)!r}, now it is {value!r}; "
                "choose another file, or delete it"
            )
    return trials


def in_words(value: Any) -> str:
    """A setting for display, with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else _writable(str(value))
