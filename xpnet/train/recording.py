"""Recorded steps: work on a device that is replayed without running Python (``Backend.capture``).

A recording freezes everything that the host contributed.  A step is recorded only if that is the same each time:

- Three consecutive eager steps were alike: the same ops with the same shapes, options and numbers.
- Nothing on the host changed while they ran: no attribute of a module, no variable that its functions read, and no
  random state of Python or NumPy.  Every array that persists between steps stayed at its place in memory.
- In each epoch the first step of each kind runs eagerly again and is compared.  Before each replay the state of the
  host is compared with that at the time of recording.  If something differs, the recording is dropped.

There is one recording for each kind of batch: its shapes, and its place in an update.  What cannot be recorded runs
eagerly, and one warning gives the reason.  Some steps run eagerly without a warning: steps with hooks or an observer,
steps of an optimizer that overrides ``step``, and steps in which an option other than the learning rate changes every
time, such as the momentum that ``OneCycleLR`` and ``CyclicLR`` cycle.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from sys import modules
from typing import TYPE_CHECKING, Any, TypeAlias

import xpnet_backends
from xpnet.metrics import Metric
from xpnet.nn import Parameter
from xpnet.tape import observe, wrap
from xpnet.tensor import Tensor
from xpnet.train.signature import Signature
from xpnet.train.surroundings import OPTION, PLAIN, Surroundings, host_randomness, must_run
from xpnet_backends import Array, Backend, CaptureError, backend_of, is_array, random

if TYPE_CHECKING:
    from xpnet.train.step import Step

Replay: TypeAlias = Callable[[], "tuple[Tensor, Any]"]

COMPILED = (".pyx", ".pxi")  # how CuPy's own frames look in a traceback
ALIKE = 3  # eager steps before a recording
UNLIKE = 5  # in a row, and a kind of batch is left alone until the next epoch


class Recording:
    """One kind of batch: what its steps did so far, and the replay if one was recorded."""

    def __init__(self) -> None:
        self.signature: Signature | None = None
        self.surroundings: Surroundings | None = None
        self.alike = self.unlike = 0
        self.due = False  # whether the next step must run eagerly, for comparison
        self.refused = False
        self.batch: tuple[Any, Any] | None = None  # where the replay reads a batch
        self.replay: Replay | None = None
        self.after: tuple[Any, Any] = ((), ())  # gradients and draws on the host, as a step leaves them
        self.confirmed = False  # whether two recordings had the same calls

    def forget(self) -> None:
        """Drop the replay; after enough equal steps another one is recorded."""
        self.replay, self.confirmed, self.alike = None, False, 0

    def write(self, inputs: Any, target: Any) -> None:
        """Copy a batch into the arrays that the replay reads."""
        if self.batch is None:
            self.batch = _mapped(_copy, (inputs, target))
        for place, array in zip(_arrays(self.batch), _arrays((inputs, target)), strict=True):
            place[...] = array


class Recordings:
    """All recordings of a step.  ``compute`` replaces ``Step.compute`` and runs it eagerly or replays it."""

    def __init__(self, step: Step, backend: Backend) -> None:
        self._step, self._backend = step, backend
        self._kinds: dict[Any, Recording] = {}
        self.reason: str | None = None  # why steps of the latest kind run eagerly
        self._said = False
        self.replayed = 0  # steps

    def start(self) -> None:
        """Start an epoch: the next step of each kind runs eagerly and is compared."""
        for kind in self._kinds.values():
            kind.due, kind.unlike = True, 0

    def compute(self, inputs: Any, target: Any, *, first: bool, last: bool) -> Tensor:
        """Compute a batch on the backend and return its loss."""
        step = self._step
        eager = partial(step.compute, inputs, target, first=first, last=last)
        key = None if must_run(step) else self._key(inputs, target, first, last)
        if key is None:
            return eager()
        kind = self._kinds.setdefault(key, Recording())
        if kind.refused or kind.unlike >= UNLIKE:
            return eager()
        if (kind.surroundings or Surroundings(step)).hooked():
            return eager()
        changed = None if kind.surroundings is None else kind.surroundings.difference(step)
        if changed is not None or kind.due or kind.alike < ALIKE:
            return self._watched(kind, eager, changed)
        kind.write(inputs, target)
        if not kind.confirmed:
            self._record(kind, first, last)
        return eager() if kind.replay is None else self._replayed(kind)

    def _key(self, inputs: Any, target: Any, first: bool, last: bool) -> Any:
        """The kind of a batch; None if it holds something that cannot be copied into place."""
        try:
            batch = _shape((inputs, target), self._backend)
        except TypeError:
            return None
        step = self._step
        begun = None if first else (step.unit, tuple(p.grad is None for p in step.model.parameters()))
        return batch, first, last, begun, step.accumulate, random.state.seed, random.state.draws

    def _watched(self, kind: Recording, eager: Callable[[], Tensor], changed: str | None) -> Tensor:
        """Run a step eagerly and compare it with the previous one; ``changed`` is a difference already found."""
        signature, before, earlier = Signature(), Surroundings(self._step), kind.signature
        drawn = host_randomness(before)
        with observe(signature), random.state.from_cells(self._backend, signature.drawn.append):
            loss = eager()
        if earlier is not None:
            changed = changed or signature.difference(earlier) or before.difference(self._step)
            if changed is None and host_randomness(before) != drawn:
                changed = "it draws from Python's or NumPy's random numbers: use nn.Dropout or xpnet's random streams"
        kind.signature, kind.surroundings, kind.due = signature, Surroundings(self._step), False
        if changed is None:
            kind.alike, kind.unlike = kind.alike + 1, 0
        else:
            self._unlike(kind, changed)
        return loss

    def _unlike(self, kind: Recording, reason: str) -> None:
        kind.forget()
        kind.alike, kind.unlike = 1, kind.unlike + 1
        if kind.unlike == UNLIKE:
            self._say(f"no two steps are alike: {reason}", aloud=not reason.startswith(OPTION))

    def _record(self, kind: Recording, first: bool, last: bool) -> None:
        """Record a step, twice if calls can be compared, because a number that changes between the two would freeze."""
        step, earlier = self._step, kind.replay
        assert kind.batch is not None
        inputs, target = kind.batch
        gradients, draws = _gradients(step), random.state.draws

        def work() -> tuple[Tensor, Any]:
            loss = step.compute(inputs, target, first=first, last=last)
            return loss, step.measured

        try:
            with random.state.from_cells(self._backend, _ignore):
                kind.replay = self._backend.capture(work)
        except CaptureError as error:
            kind.forget()
            kind.refused = True
            _put_back(gradients)
            random.state.put_back(draws)
            self._say(f"{error}{_place(error, self._backend)}")
        else:
            kind.after = _gradients(step), random.state.draws
            calls = getattr(kind.replay, "calls", None)
            kind.confirmed = calls is None or earlier is not None
            if earlier is not None and calls != getattr(earlier, "calls", None):
                kind.refused = True  # this replay fits the current step only
                self._say("the calls on the device have other numbers, or other arrays, in each step")

    def _replayed(self, kind: Recording) -> Tensor:
        """Replay the work on the backend, and leave the host in the state that an eager step would leave."""
        assert kind.replay is not None
        assert kind.surroundings is not None
        loss, measured = kind.replay()
        gradients, draws = kind.after
        _put_back(gradients)
        random.state.put_back(draws)
        streaming = {name for name, metric in self._step.metrics.items() if isinstance(metric, Metric)}
        self._step.measured = {k: _mapped(_copy, v) if k in streaming else v for k, v in measured.items()}
        self.replayed += 1
        return wrap(loss.data.copy())  # the next replay overwrites this loss

    def _say(self, reason: str, *, aloud: bool = True) -> None:
        self.reason = reason
        if aloud and not self._said:
            self._said = True
            warnings.warn(
                f"training steps run without a recording, which is slower: {reason}. capture=False or XPNET_GRAPH=0 "
                "switches recordings off, and this warning with them",
                RuntimeWarning,
                stacklevel=2,
            )


def _ignore(stream: Any) -> None:
    """Ignored, because the steps before the recording already used the same streams."""


def _gradients(step: Step) -> list[tuple[Parameter, Array | None, bool]]:
    """The gradients of all parameters on the host: which array each is, and whether it may be accumulated into."""
    return [(p, p._grad, p._owns_grad) for p in step.model.parameters()]


def _put_back(gradients: list[tuple[Parameter, Array | None, bool]]) -> None:
    for p, grad, owned in gradients:
        p._grad, p._owns_grad = grad, owned


# -- batches: arrays and tensors, in tuples, lists and dicts -----------------------------------------------------------


def _shape(x: Any, backend: Backend) -> Any:
    """The structure of a batch, hashable.  Raises: ``TypeError`` for what cannot be copied into place."""
    if isinstance(x, Tensor) and not x.requires_grad:
        return "tensor", _shape(x.data, backend)
    if is_array(x) and backend_of(x) is backend:
        return x.shape, x.dtype.str, x.strides
    if isinstance(x, (tuple, list)):
        return type(x), tuple(_shape(item, backend) for item in x)
    if type(x) is dict:
        return tuple((key, _shape(value, backend)) for key, value in x.items())
    if type(x) in PLAIN:
        return type(x), x
    raise TypeError(f"a batch with {type(x).__name__} is not recorded")


def _mapped(function: Callable[[Array], Array], x: Any) -> Any:
    """The same structure with ``function`` applied to every array."""
    if isinstance(x, Tensor):
        return wrap(function(x.data))
    if is_array(x):
        return function(x)
    if isinstance(x, (tuple, list)):
        items = [_mapped(function, item) for item in x]
        return type(x)._make(items) if hasattr(x, "_make") else type(x)(items)
    if isinstance(x, Mapping):
        return {key: _mapped(function, value) for key, value in x.items()}
    return x


def _copy(x: Array) -> Array:
    return x.copy(order="K")


def _arrays(x: Any) -> Iterator[Array]:
    if isinstance(x, Tensor):
        yield x.data
    elif is_array(x):
        yield x
    elif isinstance(x, (tuple, list)):
        for item in x:
            yield from _arrays(item)
    elif isinstance(x, Mapping):
        yield from _arrays(list(x.values()))


# -- the line that is responsible --------------------------------------------------------------------------------------


def _place(error: CaptureError, backend: Backend) -> str:
    """The line of the user's code that asked for what could not be recorded."""
    tracebacks = [e.__traceback__ for e in (error.__cause__, error) if e is not None]
    frames = [frame for found in tracebacks for frame in traceback.extract_tb(found)]
    if not frames:
        return ""
    of_arrays = getattr(modules.get(backend.array_type.__module__), "__file__", None) or __file__
    arrays, ours = Path(of_arrays).parent, (Path(__file__).parents[1], Path(xpnet_backends.__file__).parent)
    above = [f for f in frames if not (Path(f.filename).is_relative_to(arrays) or f.filename.endswith(COMPILED))]
    users = [f for f in above if not any(Path(f.filename).is_relative_to(folder) for folder in ours)]
    frame = (users or above or frames)[-1]
    return f", in {frame.filename}:{frame.lineno}: {frame.line}"
