"""Reliable timing on a noisy machine: contestants in turn, many rounds, medians and ratios."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PAUSE = 0.1  # seconds


def in_turns(contestants: dict[str, Callable[[], Any]], rounds: int, repeat: int) -> dict[str, list[float]]:
    """Seconds per call, one list per contestant: each round calls every contestant ``repeat`` times, in turn."""
    for run in contestants.values():  # warm up
        for _ in range(max(3, repeat // 10)):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            started = time.perf_counter()
            for _ in range(repeat):
                run()
            seconds[name].append((time.perf_counter() - started) / repeat)
    return seconds


def in_processes(makers: dict[str, tuple[Any, ...]], rounds: int, repeat: int) -> dict[str, list[float]]:
    """As ``in_turns``, but each contestant in its own process, because thread pools in one process disturb each other.

    A maker is ``(function, *arguments)``.  The function is called in the process and returns the callable to time.
    Each turn begins with a pause and with calls that are not timed, so that the threads of the previous contestant
    sleep, and its own threads are awake on separate processors.
    """
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name, maker in makers.items():
        pipes[name], theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, repeat, *maker), daemon=True).start()
        theirs.close()
        pipes[name].recv()  # made and warmed up
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send("go")
            seconds[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send("stop")
    return seconds


def _serve(pipe: Connection, repeat: int, make: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
    run = make(*arguments)
    for _ in range(max(5, repeat // 5)):
        run()
    pipe.send("ready")
    while pipe.recv() == "go":
        time.sleep(PAUSE)
        awake = time.perf_counter() + PAUSE
        while time.perf_counter() < awake:
            run()
        started = time.perf_counter()
        for _ in range(repeat):
            run()
        pipe.send((time.perf_counter() - started) / repeat)


def summary(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median, smallest and largest microseconds of each contestant."""
    return {
        name: {
            "median_us": round(1e6 * statistics.median(values), 2),
            "min_us": round(1e6 * min(values), 2),
            "max_us": round(1e6 * max(values), 2),
        }
        for name, values in seconds.items()
    }


def median_ratio(seconds: dict[str, list[float]], of: str, to: str) -> float:
    """The median over rounds of ``of`` / ``to``: above 1 means that ``to`` is faster."""
    return round(statistics.median(a / b for a, b in zip(seconds[of], seconds[to], strict=True)), 2)


def machine() -> dict[str, Any]:
    """The machine and the versions of the libraries."""
    return {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}


def parser(description: str | None, *, on_the_cpu: bool = False) -> argparse.ArgumentParser:
    """The options that all benchmarks share; without ``--backend`` for benchmarks of the CPU."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if not on_the_cpu:
        made.add_argument("--backend", default="numpy", help="numpy, cupy or auto")
    made.add_argument("--rounds", type=int, default=int(os.environ.get("BENCHMARK_ROUNDS", "15")))
    made.add_argument("--save", metavar="FILE", help="also write the figures as JSON")
    return made


def report(figures: dict[str, Any], save: str | None) -> None:
    """Print the figures, and write them to ``save`` if given."""
    text = json.dumps(figures, indent=2)
    print(text)
    if save:
        Path(save).write_text(text + "\n")
