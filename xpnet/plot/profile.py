"""Time and memory of a training step by layer or op."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import AS_IT_IS, BLUE, GREY, INK, ORANGE, SKY, Figure, clean, names_of, new_figure, title

if TYPE_CHECKING:
    from xpnet.explore import Profile

_MOST = 24  # largest number of readable bars


def profile(result: Profile, by: str = "layer") -> Figure:
    """Bars for each layer, in order, or each op, the most expensive first: forward and backward time, memory kept.

    If there are more than 24, the cheapest are summed up.

    Raises: ``ValueError`` for another ``by`` than "layer" and "op"; ``MissingExtraError``.
    """
    if by not in ("layer", "op"):
        raise ValueError(f'by must be "layer" or "op", got {by!r}')
    costs = result.layers() if by == "layer" else result.ops()
    shown = sorted(costs, key=lambda c: -c.seconds)[: _MOST if len(costs) <= _MOST else _MOST - 1]
    rest = [cost for cost in costs if not any(cost is s for s in shown)]
    kept = [cost for cost in costs if any(cost is s for s in shown)]
    if by == "layer":
        names = [f"{c.layer}  {c.kind}" for c in kept]
    else:
        names = [c.op for c in kept]
    bars = [(name, 1e3 * c.forward, 1e3 * c.backward, c.kept / 2**20) for name, c in zip(names, kept, strict=True)]
    if rest:
        sums = [sum(getattr(c, field) for c in rest) for field in ("forward", "backward", "kept")]
        bars.append((f"{len(rest)} others", 1e3 * sums[0], 1e3 * sums[1], sums[2] / 2**20))
    figure = new_figure(8.4, 1.2 + 0.27 * len(bars), "drawing a profile")
    times, memory = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [2, 1]})
    y = range(len(bars))
    forward, backward, mebibytes = ([bar[i] for bar in bars] for i in (1, 2, 3))
    times.barh(y, forward, color=SKY, height=0.7, label="forward")
    times.barh(y, backward, left=forward, color=BLUE, height=0.7, label="backward")
    memory.barh(y, mebibytes, color=ORANGE, height=0.7)
    times.set_yticks(y, names_of((bar[0] for bar in bars), 40), **AS_IT_IS)
    times.set_ylim(len(bars) - 0.4, -0.6)
    total = result.total
    for i, bar in enumerate(bars):
        share = 1e-3 * (bar[1] + bar[2]) / (total.seconds or 1.0)
        times.annotate(
            f"{share:.0%}" if share >= 0.005 else "", (bar[1] + bar[2], i), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    times.margins(x=0.1)
    times.legend(frameon=False, fontsize=9, loc="best")
    for axes, label in ((times, "milliseconds a step"), (memory, "MiB kept for the backward")):
        clean(axes, grid=False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(label, color=GREY, fontsize=9, loc="left")  # at the right an offset may stand
    title(times, f"{1e3 * total.seconds:.2f} ms: {total.forward / (total.seconds or 1.0):.0%} forward")
    title(memory, f"{total.kept / 2**20:.2f} MiB")
    return figure
