"""The nodes of a graph as one list in an order in which they can be computed.

Functions that a file defines are replaced by their nodes; nodes in another order are sorted.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xpnet.interchange.onnx.messages import Attribute, Function, Model, Node, OnnxError

MAX_NODES = 200_000
_MAX_DEPTH = 32


def op_name(node: Node) -> str:
    """The name of the op, with its domain unless that is ONNX's own."""
    name = (node.op or "")[:60]
    return name if not node.domain or node.domain == "ai.onnx" else f"{node.domain[:60]}.{name}"


def title_of(node: Node, place: int) -> str:
    """The name of a node in error messages."""
    return f"node {(node.name or str(place))[:100]!r} ({op_name(node)})"


# -- functions -------------------------------------------------------------------------------------------------------


def inlined(model: Model, version: int) -> list[Node]:
    """The nodes of the graph, with calls of the file's functions replaced by their nodes.

    Raises: ``OnnxError`` for functions that call themselves, grow without bound, or are of another version of the ops.
    """
    assert model.graph is not None
    functions = {_key(f.domain, f.name, f.overload): f for f in model.functions}
    found = list(model.graph.nodes)
    if functions:
        found = []
        _inline(model.graph.nodes, _Calls(functions, version), found)
    if len(found) > MAX_NODES:
        raise OnnxError(f"has {len(found)} nodes, more than {MAX_NODES}")
    return found


@dataclass
class _Calls:
    """The functions of a file, and the number of calls so far, because an empty function costs time, too."""

    functions: Mapping[tuple[str, str, str], Function]
    version: int
    count: int = 0
    depth: int = 0


def _key(domain: str | None, name: str | None, overload: str | None) -> tuple[str, str, str]:
    return "" if domain in (None, "ai.onnx") else str(domain), name or "", overload or ""


def _inline(nodes: Sequence[Node], calls: _Calls, found: list[Node]) -> None:
    for node in nodes:
        function = calls.functions.get(_key(node.domain, node.op, node.overload))
        if function is None:
            found.append(node)
            continue
        calls.count += 1 + len(function.nodes)
        if calls.count > MAX_NODES:
            raise OnnxError(f"has functions of more than {MAX_NODES} nodes")
        if calls.depth == _MAX_DEPTH:
            raise OnnxError(f"its function {op_name(node)!r} calls itself, or calls are nested too deep")
        calls.depth += 1
        _inline(_body(node, function, calls.version, calls.count), calls, found)
        calls.depth -= 1


def _body(node: Node, function: Function, version: int, place: int) -> list[Node]:
    """A function's nodes with the names and options of one call."""
    title = title_of(node, place)
    own = {o.version for o in function.opsets if not o.domain or o.domain == "ai.onnx"}
    if own - {version}:
        raise OnnxError(
            f"{title}: a function of version {max(v or 0 for v in own)} of ONNX's ops in a network of {version}"
        )
    if len(node.inputs) > len(function.inputs) or len(node.outputs) > len(function.outputs):
        raise OnnxError(f"{title}: more inputs or outputs than its function has")
    prefix = f"{next((name for name in node.outputs if name), place)}/"
    names = {"": ""}
    inputs = dict(zip(function.inputs, [*node.inputs, *[""] * len(function.inputs)], strict=False))
    outputs = [(inner, outer) for inner, outer in zip(function.outputs, node.outputs, strict=False) if outer]
    names |= dict(reversed(outputs))
    names |= inputs
    options = {a.name: a for a in (*function.defaults, *node.attributes)}
    body = [
        Node(
            inputs=[names.get(name, prefix + name) for name in inner.inputs],
            outputs=[names.get(name, prefix + name) for name in inner.outputs],
            name=prefix + (inner.name or inner.op or ""),
            op=inner.op,
            domain=inner.domain,
            overload=inner.overload,
            attributes=_options(inner.attributes, options),
        )
        for inner in function.nodes
    ]
    for inner, outer in outputs:  # an input that is passed on, or one value under two names
        if names[inner] != outer:
            body.append(Node(inputs=[names[inner]], outputs=[outer], name=prefix + "Identity", op="Identity"))
    return body


def _options(given: Sequence[Attribute], outer: Mapping[str | None, Attribute]) -> list[Attribute]:
    """Options that refer to an option of the call take its value, or are left out if the call has none."""
    found = []
    for a in given:
        if not a.reference:
            found.append(a)
        elif a.reference in outer:
            b = outer[a.reference]
            found.append(Attribute(a.name, b.f, b.i, b.s, b.t, b.floats, b.ints, b.strings, b.kind))
    return found


# -- order -----------------------------------------------------------------------------------------------------------


def in_order(nodes: Sequence[Node], known: Collection[str]) -> list[tuple[int, Node]]:
    """The nodes with their positions in the file, each after the nodes that compute its inputs.

    A list that is already in order is unchanged.  Raises: ``OnnxError`` that names a cycle.
    """
    maker: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            maker.setdefault(name, i)
    needs = [{maker[name] for name in node.inputs if name and name in maker and name not in known} for node in nodes]
    if all(j < i for i, before in enumerate(needs) for j in before):
        return list(enumerate(nodes))
    users: list[list[int]] = [[] for _ in nodes]
    for i, before in enumerate(needs):
        for j in before:
            users[j].append(i)
    waiting = [len(before) for before in needs]
    ready = [i for i, count in enumerate(waiting) if not count]  # a heap: sorted
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append((i, nodes[i]))
        for user in users[i]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise _cycle(nodes, needs, [i for i, count in enumerate(waiting) if count], maker)
    return order


def _cycle(
    nodes: Sequence[Node], needs: Sequence[set[int]], stuck: Sequence[int], maker: Mapping[str, int]
) -> OnnxError:  # fmt: skip
    left, path = set(stuck), [stuck[0]]
    while True:  # each of these depends on another one
        before = min(needs[path[-1]] & left)
        if before in path:
            break
        path.append(before)
    ring = [before, *path[: path.index(before) : -1], before]
    shown = " -> ".join(repr((nodes[i].name or str(i))[:60]) for i in (ring if len(ring) <= 9 else [*ring[:8], before]))
    first = nodes[before]
    name = next(n for n in first.inputs if maker.get(n) in left)
    return OnnxError(
        f"{title_of(first, before)}: its input {name!r} is computed by no node before it: nodes wait for each other in "
        f"a cycle, {shown}"
    )
