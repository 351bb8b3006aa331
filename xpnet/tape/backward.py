"""The backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

from xpnet_backends import Array, backend_of, is_array

from .forward import apply
from .fusion import separate, settle
from .recorded import HOOKED, Node, Recorded


def walk(result: Recorded) -> list[tuple[Node, list[Any]]]:
    """The ops behind a tensor, oldest first, each with its output tensors.  Nothing is computed or freed.

    Clears gradients that an earlier walk left on these tensors.  Gradients of leaves stay.

    Raises: ``RuntimeError`` if the backward of an op has already run and freed its saved arrays.
    """
    members: dict[Node, list[Recorded]] = {}
    seen: set[int] = set()
    waiting = [result]
    while waiting:
        tensor = waiting.pop()
        node = tensor._node
        if node is None or id(tensor) in seen:
            continue
        if node.composition is not None:
            separate(tensor, apply)
            node = tensor._node
            assert node is not None
        seen.add(id(tensor))
        if node.backward is None:
            raise RuntimeError(
                f"backward() through {node.name!r} a second time: the first call freed its saved arrays. "
                "Call backward(retain_graph=True) the first time, add the losses and call backward() once, or compute "
                "the tensor again"
            )
        if tensor is not result:
            tensor._grad = None
        tensor._owns_grad = False
        if node not in members:
            members[node] = []
            waiting += [t for t, need in zip(node.inputs, node.needs, strict=True) if need]
        members[node].append(tensor)
    return sorted(members.items(), key=_time)


def _time(member: tuple[Node, list[Recorded]]) -> int:
    return member[0].time


def backpropagate(result: Recorded, gradient: Array, retain_graph: bool = False) -> None:
    """Add ``∂⟨gradient, result⟩/∂t`` to the gradient of every tensor t that ``result`` was computed from.

    ``retain_graph`` keeps the saved arrays, so that the graph can be walked again.
    """
    settle()
    if result._node is None:
        with _Completion({id(result): [result, 1]}) as leaves:
            result._accumulate(gradient)
            leaves.count((result,), (True,))
        return
    result._grad, result._owns_grad = gradient, False
    order = walk(result)
    hooked = _hooked_leaves(order) if HOOKED[0] else {}
    if not hooked:
        while order:
            node, outputs = order.pop()
            run_backward(node, outputs, retain_graph)
        return
    with _Completion(hooked) as leaves:
        while order:
            node, outputs = order.pop()
            inputs, needs = node.inputs, node.needs
            run_backward(node, outputs, retain_graph)
            leaves.count(inputs, needs)


def run_backward(node: Node, outputs: Sequence[Any], retain_graph: bool = False) -> None:
    """Run the backward of one op: add to the gradients of its inputs, then free its saved arrays."""
    backward = node.backward
    assert backward is not None
    _check_unchanged(node, outputs)
    for t in outputs:
        if t._hooks is not None and t._grad is not None:
            t._grad, t._owns_grad = t._hooks.changed(t._grad, f"a result of {node.name!r}"), False
            for after in tuple(t._hooks.after.values()):
                after(t)
    gradients: tuple[Array | None, ...] = ()
    if node.outputs == 1:
        if (dy := outputs[0]._grad) is not None:
            gradients = backward(dy, node.needs)
    elif any(t._grad is not None for t in outputs):  # else no output of this op has a gradient
        by_output = {t._output: t._grad for t in outputs}
        gradients = backward(tuple(by_output.get(i) for i in range(node.outputs)), node.needs)
    for tensor, need, gradient in zip(node.inputs, node.needs, gradients, strict=False):  # optional inputs left out
        if need and gradient is not None:
            tensor._accumulate(gradient)
    if not retain_graph:
        node.backward = node.composition = None
        node.inputs, node.needs = (), []


class _Completion:
    """Calls the hooks of a leaf when the last op that uses the leaf has run.

    The gradient hooks of a leaf see only the gradient of this walk.  So its earlier gradient is set aside and added
    afterwards, even if the walk ends with an error.
    """

    def __init__(self, uses: dict[int, list[Any]]) -> None:
        self._uses = uses

    def __enter__(self) -> _Completion:
        self._before: dict[int, Array | None] = {}
        for key, (leaf, _) in self._uses.items():
            if leaf._hooks is not None and leaf._hooks.gradient:
                self._before[key] = None if leaf._grad is None else leaf._grad.copy()
                leaf._grad = None
        return self

    def count(self, inputs: Iterable[Any], needs: Iterable[bool]) -> None:
        """Note that an op with these inputs has run."""
        for leaf, need in zip(inputs, needs, strict=True):
            use = self._uses.get(id(leaf)) if need else None
            if use is None:
                continue
            use[1] -= 1
            if use[1] == 0:
                self._complete(leaf)

    def _complete(self, leaf: Recorded) -> None:
        del self._uses[id(leaf)]
        if leaf._hooks is None:
            return
        if id(leaf) in self._before:
            g, earlier = leaf._grad, self._before.pop(id(leaf))
            if g is not None:
                g = leaf._hooks.changed(g, "a leaf tensor")
                leaf._grad = None
                if earlier is None:
                    leaf._accumulate(g)
                else:
                    leaf._accumulate(earlier + g)
            else:
                leaf._grad = earlier
        for hook in tuple(leaf._hooks.after.values()):
            hook(leaf)

    def __exit__(self, *error: object) -> None:
        for key, earlier in self._before.items():  # the walk ended early: restore the earlier gradients
            leaf = self._uses[key][0]
            leaf._grad = None
            if earlier is not None:
                leaf._accumulate(earlier)


def _hooked_leaves(order: Iterable[tuple[Node, list[Any]]]) -> dict[int, list[Any]]:
    """The leaves with hooks, each with the number of op inputs that it is."""
    uses: dict[int, list[Any]] = {}
    for node, _ in order:
        for t in node.inputs:
            if isinstance(t, Recorded) and t._hooks is not None and t._node is None and t.requires_grad:
                uses.setdefault(id(t), [t, 0])[1] += 1
    return uses


def _check_unchanged(node: Node, outputs: Sequence[Recorded]) -> None:
    time = node.time
    for tensor in node.inputs:
        if isinstance(tensor, Recorded) and tensor._changed_at[0] > time:
            _refuse_if_saved(node, tensor)
    for tensor in outputs:
        if tensor._changed_at[0] > time:
            _refuse_if_saved(node, tensor)


def _refuse_if_saved(node: Node, tensor: Recorded) -> None:
    may_share = backend_of(tensor._array).xp.may_share_memory
    if any(type(x) is type(tensor._array) and may_share(x, tensor._array) for x in held(node.backward)):
        raise RuntimeError(
            f"an array of shape {tuple(tensor._array.shape)} that {node.name!r} saved for its backward was changed in "
            "place: call backward() before the change, or change a copy"
        )


def held(backward: Any) -> Iterator[Array]:
    """The arrays that a backward has saved.

    Searches closures, partial functions, bound methods, containers and tensors.
    """
    waiting, seen = [backward], set()
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Recorded):
            waiting.append(x._array)
        elif is_array(x):
            yield x
        elif isinstance(x, (tuple, list, set, frozenset)):
            waiting += x
        elif isinstance(x, dict):
            waiting += x.values()
        else:
            waiting += _parts(x)


def _parts(x: Any) -> list[Any]:
    """The objects that an object refers to: closure and defaults of a function, owner of a method, dataclass fields."""
    if isinstance(x, type):
        return []
    if is_dataclass(x):
        return [getattr(x, field.name) for field in fields(x)]
    if not callable(x):
        return []
    parts = [cell.cell_contents for cell in getattr(x, "__closure__", None) or ()]
    parts += getattr(x, "__defaults__", None) or ()
    parts += (getattr(x, "__kwdefaults__", None) or {}).values()
    parts += [getattr(x, name, None) for name in ("__func__", "__wrapped__", "func", "args", "keywords")]
    if (owner := getattr(x, "__self__", None)) is not None and not isinstance(owner, ModuleType):
        parts += [*getattr(owner, "__dict__", {}).values()]
        parts += [getattr(owner, name, None) for name in getattr(type(owner), "__slots__", ())]
    return parts
