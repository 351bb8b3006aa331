"""Shared parts of the numbered examples: options, and the folder with the results."""

from __future__ import annotations

import argparse
import atexit
import json
import math
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import xpnet
from xpnet import plot
from xpnet._extras import MissingExtraError
from xpnet._files import write_atomically
from xpnet.cli import console
from xpnet.data import DataError, DataUnavailableError
from xpnet_backends import Backend, BackendError, get_backend

_T = TypeVar("_T")
_FORESEEN = (OSError, MemoryError, MissingExtraError, DataError, BackendError)
_QUICK = "--quick: this run was too short to learn from; its figures and pictures mean nothing"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


class Lesson:
    """A running example: its options ``--backend --seed --quick --out``, its pictures, and ``metrics.json``.

    Attributes
    ----------
    options : all options, including those of the example.
    quick : a run of a few seconds to check that everything works; its figures are meaningless.
    backend, seed : where it computes (also the default of all layers), and the seed in use.
    out : the folder for pictures and numbers, ``out/NAME`` by default.
    """

    def __init__(self, options: argparse.Namespace, name: str) -> None:
        self.options, self.name = options, name
        self.quick, self.seed = bool(options.quick), int(options.seed)
        self.backend: Backend = get_backend(options.backend)
        xpnet.use(backend=self.backend)
        xpnet.manual_seed(self.seed)
        self.out = Path(options.out or Path("out") / name)
        self.out.mkdir(parents=True, exist_ok=True)
        self._started = time.perf_counter()
        self._undrawn: str | None = None
        self._unwarned = False

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(text, flush=True)
        self._unwarned = self.quick

    def warn(self) -> None:
        """End what a quick run has said with a line that its figures mean nothing."""
        if self._unwarned:
            self.say(_QUICK)
            self._unwarned = False

    def load(self, read: Callable[[], _T], otherwise: Callable[[], _T], note: str = "") -> _T:
        """Return ``read()``; if the data cannot be found, print ``note`` and return ``otherwise()``.

        Damaged data, and data missing from ``--data-dir``, end the program with a one-line error.
        """
        asked = getattr(self.options, "data_dir", None) is not None
        try:
            return read()
        except DataUnavailableError as error:
            if asked:
                self.refuse(error)
        except (DataError, OSError) as error:
            self.refuse(error)
        self.say(note)
        return otherwise()

    def draw(self, name: str, make: Callable[[], Any]) -> None:
        """Write the figure ``make()`` as ``NAME.png``.  Without matplotlib, continue and print a note at the end."""
        try:
            plot.save(make(), self.out / f"{name}.png")
        except MissingExtraError as error:
            self._undrawn = str(error)

    def animate(self, name: str, figures: Iterable[Any], **options: Any) -> None:
        """Write figures as ``NAME.gif`` (see ``plot.save_gif``).  Without matplotlib or Pillow, as ``draw``."""
        try:
            plot.save_gif(figures, self.out / f"{name}.gif", **options)
        except MissingExtraError as error:
            self._undrawn = str(error)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file into the output folder, atomically."""
        write_atomically(self.out / name, content)
        return self.out / name

    def refuse(self, error: object) -> NoReturn:
        """End the program with status 2 and a one-line error for invalid use."""
        if isinstance(error, OSError) and error.filename is not None:
            error = f"{error.filename}: {error.strerror}"
        sys.stderr.write(f"{self.name}.py: error: {error}\n")
        sys.exit(2)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``, and print the location of the results."""
        about = {"example": self.name, "backend": self.backend.name, "seed": self.seed, "quick": self.quick}
        seconds = round(time.perf_counter() - self._started, 2)
        found = {name: _plain(value) for name, value in metrics.items()}
        result = {**about, "version": xpnet.__version__, "seconds": seconds, **found}
        self.write("metrics.json", json.dumps(result, indent=2) + "\n")
        if self._undrawn is not None:
            self.say(f"no pictures were drawn: {self._undrawn}")
        self.say(f"{seconds:.1f} s; pictures and metrics.json are in {self.out}")
        self.warn()


def start(
    description: str | None,
    file: str,
    add_options: Callable[[argparse.ArgumentParser], object] | None = None,
) -> Lesson:
    """Read the command line of an example: ``lesson = start(__doc__, __file__)``.

    What the example is comes first, then "Why: ..." and "Look at: ...": these lines of ``__doc__`` are printed.
    ``add_options(parser)`` adds options of its own.  Wrong use ends the program with status 2 and one line, what goes
    wrong later (a full disk, a damaged file) with 1, and Ctrl-C with 130.
    """
    console.tolerate()
    atexit.register(console.finish)
    parser = _Parser(
        prog=Path(file).name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sys.excepthook = partial(_end, parser.prog)
    add = parser.add_argument
    add("--backend", default="numpy", help="numpy, cupy or auto (default: numpy)")
    add("--seed", type=_seed, default=0, metavar="N", help="the same seed gives the same run (default: 0)")
    add("--quick", action="store_true", help="a run of a few seconds, to check that everything works")
    add("--out", metavar="DIR", help="folder for pictures and metrics.json (default: out/NAME)")
    if add_options is not None:
        add_options(parser)
    options = parser.parse_args()
    try:
        lesson = Lesson(options, Path(file).stem)
    except (BackendError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except OSError as error:
        sys.exit(f"{parser.prog}: error: cannot write to {error.filename}: {error.strerror} (--out names the folder)")
    atexit.register(_warn_at_the_end, weakref.ref(lesson))
    print(*introduction(description), "", sep="\n", flush=True)
    return lesson


def introduction(description: str | None) -> list[str]:
    r"""The first lines of an example's docstring: what it is, and the paragraph "Why: ...  Look at: ..." below.

    >>> introduction("A line that learns.\n\nWhy: it is simple.\nLook at: the line.\n\nMore.")
    ['A line that learns.', 'Why: it is simple.', 'Look at: the line.']
    """
    what, *rest = (description or "").strip().split("\n\n")
    return [line for part in (what, *rest[:1]) if part is what or part.startswith("Why:") for line in part.splitlines()]


def positive(text: str) -> int:
    """The type of an option that is a positive integer: ``add_argument("--epochs", type=positive)``."""
    value = _whole(text)
    if value is None or value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text}")
    return value


def number(text: str) -> float:
    """The type of an option that is a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a finite number, got {text}")
    return value


def _seed(text: str) -> int:
    value = _whole(text)
    if value is None or not 0 <= value < 1 << 63:  # half of the range, because examples also use seed + k
        raise argparse.ArgumentTypeError(f"must be a whole number in 0..2**63-1, got {text}")
    return value


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _warn_at_the_end(lesson: weakref.ref[Lesson]) -> None:
    """A quick run that ended early may have printed figures as well.  Where its reader went away, say nothing."""
    ended = lesson()
    if ended is not None:
        with suppress(OSError):
            ended.warn()


def _end(program: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the program after an error: one line for an error of use or environment, a traceback for a bug."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write(f"\n{program}: stopped; what is written so far is complete\n")
        sys.exit(130)
    if issubclass(kind, BrokenPipeError):  # the reader closed the pipe, as `head` does
        console.discard()
        sys.exit(1)
    if not issubclass(kind, _FORESEEN):
        sys.__excepthook__(kind, error, trace)
        sys.exit(1)
    text = str(error) or kind.__name__
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    sys.stderr.write(f"{program}: error: {text}\n")
    sys.exit(1)


def _plain(value: Any) -> Any:
    """A number for JSON, rounded to six significant digits; None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None
