"""Line search for the strong Wolfe conditions.

Along a direction d, φ(t) = f(x + t d).  A step t is accepted if it decreases φ enough, ``φ(t) ≤ φ(0) + c₁ t φ'(0)``,
and if the slope is small enough, ``|φ'(t)| ≤ c₂ |φ'(0)|``.  First t grows until an interval must contain such a step.
Then the interval shrinks.  Source: Nocedal & Wright 2006, "Numerical optimization", algorithms 3.5 and 3.6, in
PyTorch's variant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from xpnet_backends import Array

SUFFICIENT, CURVATURE = 1e-4, 0.9  # c1, c2
MOST = 25  # trials


@dataclass(slots=True)
class Point:
    """A step, the value there, the gradient, and the slope along the direction."""

    t: float
    f: float
    g: Array
    slope: float


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """The minimum of the cubic through two values and slopes, clamped to the bounds (by default the two steps)."""
    low, high = bounds if bounds is not None else (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    left, right = (a, b) if a.t <= b.t else (b, a)
    curve = right.slope - left.slope + 2.0 * d2
    if curve == 0:
        return (low + high) / 2.0
    t = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / curve)
    return min(max(t, low), high)


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, t: float, largest: float, tolerance: float
) -> tuple[Point, int]:
    """The step to take, and how often ``evaluate`` was called.

    Parameters
    ----------
    evaluate : computes the trial at a step length.
    start : the trial at t = 0.
    t : the first step length to try.
    largest : the largest ``|d|``.
    tolerance : stop when the interval times ``largest`` is smaller than this.
    """
    bracket, trials, done = _bracket(evaluate, start, t)
    low, high = (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)
    stuck = False
    while not done and trials < MOST:
        if abs(bracket[1].t - bracket[0].t) * largest < tolerance:
            break
        t, stuck = _inside(bracket, cubic_minimum(bracket[0], bracket[1]), stuck)
        new = evaluate(t)
        trials += 1
        if not _enough(new, start) or new.f >= bracket[low].f:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
            continue
        if abs(new.slope) <= -CURVATURE * start.slope:
            done = True
        elif new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
    return bracket[low if len(bracket) > 1 else 0], trials + 1


def _enough(new: Point, start: Point) -> bool:
    return new.f <= start.f + SUFFICIENT * new.t * start.slope


def _bracket(evaluate: Callable[[float], Point], start: Point, t: float) -> tuple[list[Point], int, bool]:
    """Two trials with an acceptable step between them, or one acceptable trial and True."""
    before, new = start, evaluate(t)
    for trials in range(MOST):
        if not _enough(new, start) or (trials > 1 and new.f >= before.f):
            return [before, new], trials, False
        if abs(new.slope) <= -CURVATURE * start.slope:
            return [new], trials, True
        if new.slope >= 0:
            return [before, new], trials, False
        bounds = (new.t + 0.01 * (new.t - before.t), new.t * 10.0)
        t = cubic_minimum(before, new, bounds)
        before, new = new, evaluate(t)
    return [start, new], MOST, False


def _inside(bracket: list[Point], t: float, stuck: bool) -> tuple[float, bool]:
    """Move a step inwards by a tenth of the interval if it is near an end for the second time in a row."""
    low, high = sorted((bracket[0].t, bracket[1].t))
    margin = 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if not (stuck or t >= high or t <= low):
        return t, True
    return (high - margin if abs(t - high) < abs(t - low) else low + margin), False
