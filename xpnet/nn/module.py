"""Module: a layer, or a network made of layers."""

from __future__ import annotations

import os
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self, TypeVar, overload

import numpy as np

from xpnet.nn.hooks import BackwardHook, call_watched
from xpnet.nn.summary import Summary, summarise
from xpnet.tape import Handle
from xpnet.tape.fusion import OPEN, region, settle
from xpnet.tensor import Tensor, no_grad, placed_tensor
from xpnet_backends import Array, Backend, BackendError, backend_of, get_backend

Hook = Callable[["Module", tuple[Any, ...], Any], Any]
PreHook = Callable[["Module", tuple[Any, ...]], Any]
M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A trainable tensor of a module.  ``parameters()`` finds it if it is assigned to an attribute of a module.

    Lists and NumPy arrays go to the current backend.  Tensors and GPU arrays stay where they are.

    >>> Parameter([1.0, 2.0])
    Parameter(tensor([1., 2.], requires_grad=True))
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(placed_tensor(data).data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter({super().__repr__()})"


class Module:
    """Base class of all layers and networks.

    A subclass creates its parameters and submodules in ``__init__``, after ``super().__init__()``, and computes its
    output in ``forward``.  Names, defaults and state-dict keys are PyTorch's.

    >>> import xpnet
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight = Parameter([2.0])
    ...
    ...     def forward(self, x):
    ...         return self.weight * x
    >>> Scale()(xpnet.tensor([3.0])).tolist()
    [6.0]
    """

    training: bool
    _path: str  # its path in the network, e.g. "features.3"
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Array | None]
    _modules: dict[str, Module]
    _forward_hooks: dict[object, Hook]
    _forward_pre_hooks: dict[object, PreHook]
    _backward_hooks: dict[object, BackwardHook]
    _not_saved: set[str]
    _wide_buffers: frozenset[str] = frozenset()  # statistics that overflow float16 and stay in float32

    def __init__(self) -> None:
        self.__dict__.update(
            training=True, _path="", _parameters={}, _buffers={}, _modules={}, _not_saved=set(),
            _forward_hooks={}, _forward_pre_hooks={}, _backward_hooks={},
        )  # fmt: skip

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output.  Subclasses implement it."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward() method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if region.depth:  # a part of another module
            return self._call(*args, **kwargs)
        region.depth = 1  # inside, an op may fuse with the op before it
        OPEN[0] += 1
        try:
            return self._call(*args, **kwargs)
        finally:  # no call before the counts: Ctrl-C strikes where a function begins, and the region would stay open
            OPEN[0] -= 1
            region.depth = 0
            if region.waiting:
                settle()

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_pre_hooks:
            for before in tuple(self._forward_pre_hooks.values()):
                given = before(self, args)
                args = args if given is None else given if isinstance(given, tuple) else (given,)
        try:
            if self._backward_hooks:
                watched = tuple(self._backward_hooks.values())
                y = call_watched(self, watched, lambda *a: self.forward(*a, **kwargs), args)
            else:
                y = self.forward(*args, **kwargs)
        except (ValueError, TypeError, BackendError) as error:
            _name_layer(error, self)
            raise
        if self._forward_hooks:
            for hook in tuple(self._forward_hooks.values()):
                changed = hook(self, args, y)
                y = y if changed is None else changed
        return y

    # -- parts ---------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"call super().__init__() before assigning {type(self).__name__}.{name}")
        if isinstance(value, Parameter):
            self._forget(name)
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._forget(name)
            self._modules[name] = value
            value._set_path(self._join(name))
        elif name in self._buffers:
            self._buffers[name] = value
        elif name in self._parameters and value is not None:
            raise TypeError(f"{type(self).__name__}.{name} is a parameter: assign a Parameter or None to it")
        elif name in self._parameters:
            self._parameters[name] = None
        else:
            self._forget(name)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._forget(name)
        object.__delattr__(self, name)

    def _forget(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            registry.pop(name, None)

    def _join(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _set_path(self, path: str) -> None:
        self.__dict__["_path"] = path
        for name, child in self._modules.items():
            child._set_path(self._join(name))

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Register a parameter that may be absent (``bias=False`` registers None)."""
        self._forget(name)
        self._parameters[name] = parameter
        object.__setattr__(self, name, parameter)

    def register_buffer(self, name: str, array: Array | None, persistent: bool = True) -> None:
        """Register an array that is part of the state but not trained, e.g. running statistics."""
        self._forget(name)
        self._buffers[name] = array
        (self._not_saved.discard if persistent else self._not_saved.add)(name)
        object.__setattr__(self, name, array)

    def register_forward_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, inputs, output)`` after every forward.  A result that is not None replaces the output.

        Returns a handle; ``handle.remove()`` removes the hook.
        """
        return Handle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: PreHook) -> Handle:
        """Call ``hook(module, inputs)`` before every forward.  A result that is not None replaces the inputs.

        Returns a handle; ``handle.remove()`` removes the hook.
        """
        return Handle(self._forward_pre_hooks, hook)

    def register_full_backward_hook(self, hook: BackwardHook) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` with tuples of arrays when the gradients are computed.

        ``grad_input`` has one gradient for each positional input of ``forward``, or None if the input needs none.  A
        result that is not None replaces ``grad_input``.  Returns a handle; ``handle.remove()`` removes the hook.
        """
        return Handle(self._backward_hooks, hook)

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return iter(self._modules.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """The module itself and all submodules, each once, with their paths."""
        seen: set[int] = set()
        waiting = [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            below = [(f"{path}.{name}" if path else name, child) for name, child in module._modules.items()]
            waiting += reversed(below)

    def modules(self) -> Iterator[Module]:
        """The module itself and all submodules, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths.  A shared parameter appears once, under its first name.

        >>> import xpnet
        >>> [name for name, _ in Sequential(xpnet.nn.Linear(2, 1)).named_parameters()]
        ['0.weight', '0.bias']
        """
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield (f"{path}.{name}" if path else name), parameter

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once.

        >>> import xpnet
        >>> sum(p.size for p in xpnet.nn.Linear(2, 3).parameters())
        9
        """
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """All buffers with their paths."""
        for path, module in self.named_modules():
            for name, array in module._buffers.items():
                if array is not None:
                    yield (f"{path}.{name}" if path else name), array

    # -- state ---------------------------------------------------------------------------------------------------

    def _state_slots(self) -> Iterator[tuple[str, Module, str]]:
        """Key, owner and attribute name of everything that is saved.  A shared parameter appears under each name."""

        def walk(module: Module, path: str) -> Iterator[tuple[str, Module, str]]:
            for name, value in {**module._parameters, **module._buffers}.items():
                if value is not None and name not in module._not_saved:
                    yield path + name, module, name
            for name, child in module._modules.items():
                yield from walk(child, f"{path}{name}.")

        return walk(self, "")

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers, by name.  Later training does not change them."""
        arrays = {key: getattr(owner, name) for key, owner, name in self._state_slots()}
        return {key: (a.data if isinstance(a, Tensor) else a).copy() for key, a in arrays.items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Load a state dict from any backend.  The dtype of the module does not change.

        Returns ``(missing_keys, unexpected_keys)``, both empty unless ``strict=False``.  If an older state dict has no
        ``num_batches_tracked``, the count starts at 0.

        Raises: ``ValueError`` that lists missing and unexpected keys (unless ``strict=False``) and wrong shapes;
        nothing is changed then.  Warns: if ``strict=False`` and no key matches.

        >>> import xpnet
        >>> layer = xpnet.nn.Linear(2, 1)
        >>> layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": [0.0]})
        <All keys matched successfully>
        """
        slots = {key: (owner, name) for key, owner, name in self._state_slots()}
        _check_mapping(state)
        counts = {key for key in slots if key.rpartition(".")[2] == "num_batches_tracked" and key not in state}
        found = IncompatibleKeys(
            [k for k in slots if k not in state and k not in counts], [k for k in state if k not in slots]
        )
        problems = _wrong_shapes(slots, state)
        if strict:
            listed = [f"missing: {key}" for key in found.missing_keys]
            listed += [f"unexpected: {key}" for key in found.unexpected_keys]
            problems = [*listed, *problems]
        if problems:
            problems += _hints(slots, state) if found.unexpected_keys else []
            raise ValueError(f"this state dict does not fit {type(self).__name__}:\n  " + "\n  ".join(problems))
        if state and len(found.unexpected_keys) == len(state):
            advice = "; ".join([f"such as {found.unexpected_keys[0]!r}", *_hints(slots, state)])
            warnings.warn(
                f"load_state_dict(strict=False) loaded nothing: {type(self).__name__} has none of the {len(state)} "
                f"keys, {advice}",
                stacklevel=2,
            )
        for key, (owner, name) in slots.items():
            if key in state:
                _overwrite(owner, name, state[key])
            elif key in counts and key.removesuffix("num_batches_tracked") + "running_mean" in state:
                _overwrite(owner, name, np.zeros((), dtype="int64"))
        return found

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode: dropout is active, and batch statistics are used and collected."""
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make all parameters trainable, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Clear all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, backend: str | Backend | None = None, dtype: Any = None) -> Self:
        """Move all parameters and buffers to another backend or dtype, in place.

        Parameters stay the same objects, so optimizers follow.  Running statistics of a float16 network stay in
        float32.

        >>> import xpnet
        >>> xpnet.nn.Linear(2, 1).to(dtype="float64").weight.dtype
        dtype('float64')
        """
        target = None if backend is None else get_backend(backend)
        for module in self.modules():
            for parameter in module._parameters.values():
                if parameter is not None:
                    parameter.data = _moved(parameter.data, target, dtype)
                    parameter._home = None
                    parameter.grad = None if parameter.grad is None else _moved(parameter.grad, target, dtype)
            for name, array in module._buffers.items():
                if array is not None:
                    wide = name in module._wide_buffers and dtype is not None and np.dtype(dtype) == "float16"
                    setattr(module, name, _moved(array, target, "float32" if wide else dtype))
        return self

    def apply(self, function: Callable[[Module], None]) -> Self:
        """Call ``function`` on every submodule, and on this module last."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # -- display -------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The text between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Summary:
        """A table of layers and parameters, and of output shapes if the shape of a batch of inputs is given."""
        return summarise(self, input_shape)


def _name_layer(error: Exception, module: Module) -> None:
    """Prepend the path of the innermost layer to an error message."""
    if getattr(error, "_xpnet_named", False) or len(error.args) != 1:
        return
    name = type(module).__name__
    where = f"layer {module._path!r} ({name})" if module._path else name
    error.args = (f"{where}: {error.args[0]}",)
    error._xpnet_named = True  # type: ignore[attr-defined]


class IncompatibleKeys(NamedTuple):
    """The keys that ``load_state_dict(strict=False)`` did not find, and the keys that it did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def _check_mapping(state: Any) -> None:
    if isinstance(state, (str, os.PathLike)):
        raise TypeError(
            f"load_state_dict() takes a state dict, got {state!r}: read the file first, with xpnet.load(path)"
        )
    if not isinstance(state, Mapping):
        fix = f": pass {type(state).__name__}.state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(f"load_state_dict() takes a dict, got {type(state).__name__}{fix}")


def _wrong_shapes(slots: Mapping[str, tuple[Module, str]], state: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, (owner, name) in slots.items():
        expected = tuple(getattr(owner, name).shape)
        if key in state and (got := _shape(state[key])) != expected:
            problems.append(f"{key}: expected shape {expected}, got {got}")
    return problems


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape if hasattr(x, "shape") else np.shape(x))


def _hints(slots: Iterable[str], state: Mapping[str, Any]) -> list[str]:
    """Why keys do not match: a prefix that another program added to all keys, or a state dict inside a dict."""
    inside = [key for key, value in state.items() if isinstance(value, Mapping)]
    if inside:
        return [f"state[{inside[0]!r}] is a dict itself: load that one"]
    ours, unexpected = set(slots), [key for key in state if key not in slots]
    theirs, missing = _prefixes(unexpected, ours), _prefixes(ours - set(state), set(state))
    if theirs and 2 * theirs[1] >= len(unexpected):
        strip = f"{{key.removeprefix({theirs[0]!r}): value for key, value in state.items()}}"
        return [f"{theirs[1]} of its keys fit without the prefix {theirs[0]!r}: load {strip}"]
    if missing and 2 * missing[1] >= len(unexpected):
        part = missing[0].removesuffix(".")
        return [f"{missing[1]} of its keys fit the part {part!r} of this model: load it into that part"]
    return []


def _prefixes(keys: Iterable[str], wanted: set[str]) -> tuple[str, int] | None:
    """The path prefix whose removal moves most ``keys`` into ``wanted``, and their number."""
    counts: Counter[str] = Counter()
    for key in keys:
        parts = key.split(".") if isinstance(key, str) else []
        rests = (".".join(parts[i:]) for i in range(1, len(parts)))
        counts.update(key.removesuffix(rest) for rest in rests if rest in wanted)
    return counts.most_common(1)[0] if counts else None


def _overwrite(owner: Module, name: str, values: Any) -> None:
    with no_grad():
        current = getattr(owner, name)
        (current if isinstance(current, Tensor) else Tensor(current)).copy_(values)  # in place: keeps their memory


def _moved(array: Array, target: Backend | None, dtype: Any) -> Array:
    home = backend_of(array)
    if target is not None and target is not home:
        array = target.asarray(home.to_numpy(array))
    if dtype is not None and array.dtype.kind == "f" and array.dtype != np.dtype(dtype):
        array = array.astype(dtype)
    return array


class Sequential(Module):
    """A chain of layers: ``y = fₙ(…f₂(f₁(x)))``.  Takes layers, or one ordered dict of named layers.

    >>> import xpnet
    >>> model = Sequential(xpnet.nn.Linear(2, 4), xpnet.nn.ReLU(), xpnet.nn.Linear(4, 1))
    >>> len(model), model(xpnet.tensor([[1.0, 2.0]])).shape
    (3, (1, 1))
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        named = layers[0] if len(layers) == 1 and isinstance(layers[0], OrderedDict) else None
        for name, layer in named.items() if named is not None else enumerate(layers):
            self.__setattr__(str(name), _checked(layer))

    def forward(self, x: Any) -> Any:
        for layer in self._modules.values():
            x = layer(x)
        return x

    def append(self, layer: Module) -> Self:
        """Add a layer at the end."""
        setattr(self, str(len(self)), _checked(layer))
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        layers = list(self._modules.values())
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]


class ModuleList(Module):
    """A list of modules whose parameters ``parameters()`` finds.  It has no ``forward``."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        setattr(self, str(len(self)), _checked(module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int) -> Module:
        return list(self._modules.values())[index]


class ModuleDict(Module):
    """A dict of modules whose parameters ``parameters()`` finds.  It has no ``forward``."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if hasattr(Module, name) or "." in name or not name:
            raise ValueError(f"ModuleDict: {name!r} cannot be the name of a module")
        self.__setattr__(name, _checked(module))

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __delitem__(self, name: str) -> None:
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._modules.items()


def _checked(layer: Any) -> Module:
    if not isinstance(layer, Module):
        raise TypeError(f"expected a Module, got {layer!r}")
    return layer


def new_parameter(shape: tuple[int, ...], backend: str | Backend | None, dtype: Any) -> Parameter:
    """An uninitialised parameter (zeros) on ``backend`` or the current backend."""
    target = get_backend(backend)
    if np.dtype(dtype or "float32").kind != "f":
        raise TypeError(f"parameters are floating-point numbers, got dtype {np.dtype(dtype)}")
    return Parameter(Tensor(target.xp.zeros(shape, dtype=dtype or "float32")))
