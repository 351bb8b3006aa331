"""Count operations that cost time on a GPU: synchronisations, transfers, kernel launches."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent
KEPT_FRAMES = 3


class Sees(Protocol):
    """An object that is notified of traffic."""

    def see(self, what: str, call: str) -> None:
        """``call`` did ``what``."""


@dataclass
class Counters:
    """``syncs``: the host waited; ``h2d``, ``d2h``: array transfers; ``launches``: a lower bound on kernel launches."""

    syncs: int = 0
    h2d: int = 0
    d2h: int = 0
    launches: int = 0
    _watchers: list[Sees] = field(default_factory=list, repr=False)

    def reset(self) -> None:
        """Back to zero."""
        self.syncs = self.h2d = self.d2h = self.launches = 0

    def count(self, what: str, call: str) -> None:
        """Count one ``what``, caused by ``call``."""
        setattr(self, what, getattr(self, what) + 1)
        for watcher in self._watchers:
            watcher.see(what, call)

    def watch(self, watcher: Sees) -> None:
        """Notify ``watcher`` of everything that is counted from now on."""
        self._watchers.append(watcher)

    def forget(self, watcher: Sees) -> None:
        """Tell it no more."""
        self._watchers[:] = [other for other in self._watchers if other is not watcher]

    def as_dict(self) -> dict[str, int]:
        """The four numbers."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}


@dataclass
class Watcher:
    """Checks a block of code against limits, and remembers the first call that exceeds them."""

    allowed: dict[str, int]
    offence: str | None = None

    def see(self, what: str, call: str) -> None:
        if what not in self.allowed:
            return
        self.allowed[what] -= 1
        if self.allowed[what] < 0 and self.offence is None:
            self.offence = f"{call} ({NAMES[what]}) in {where()}"


NAMES = {"syncs": "a synchronisation", "h2d": "a transfer to the device", "d2h": "a transfer to the host"}
counters = Counters()


@contextmanager
def no_traffic(*, syncs: int = 0, h2d: int = 0, d2h: int = 0) -> Iterator[None]:
    """Fail if the block synchronises or transfers more often than allowed, and name the first call that did."""
    watcher = Watcher({"syncs": syncs, "h2d": h2d, "d2h": d2h})
    counters.watch(watcher)
    try:
        yield
    finally:
        counters.forget(watcher)
    if watcher.offence is not None:
        raise AssertionError(f"hidden traffic between host and device: {watcher.offence}")


def where() -> str:
    """The innermost lines outside this folder, the nearest first."""
    frames = [f for f in reversed(traceback.extract_stack()) if Path(f.filename).parent != HERE]
    return " <- ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}: {f.line}" for f in frames[:KEPT_FRAMES])
