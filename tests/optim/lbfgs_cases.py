"""LBFGS with its options, and the problems on which it is compared."""

import numpy as np

CASES = [
    {},
    {"lr": 0.3, "max_iter": 5},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 7, "history_size": 3},
    {"line_search_fn": "strong_wolfe", "lr": 4.0, "max_eval": 12},
    {"lr": 0.05, "history_size": 1, "max_iter": 6},  # more of them and rounding errors grow to be seen
]
STARTS = {"a": np.array([[-1.2, 1.0], [0.8, -0.5]]), "b": np.array([0.5])}
STEPS = 6


def loss(a, b):
    """Two valleys of Rosenbrock's kind, 20 instead of 100, and a quartic in b."""
    x, y = a[:, 0], a[:, 1]
    return ((1.0 - x) ** 2).sum() + 20.0 * ((y - x * x) ** 2).sum() + ((b - 2.0) ** 4).sum() + (b * x[0]).sum() * 0.1
