"""Samples with ties, weights and missing classes, that scikit-learn and we are given alike."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def samples(draw, classes=None, least=2):
    """A seed's worth of data: ``scores (N, C), labels (N,), weight (N,) or None``, all with many ties."""
    n = draw(st.integers(2, 40))
    classes = classes or draw(st.integers(least, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from([1, 2, 5, 1000]))  # few steps: many equal scores
    scores = rng.integers(-steps, steps + 1, (n, classes)) / steps * draw(st.sampled_from([1.0, 3.0]))
    labels = rng.integers(0, draw(st.integers(1, classes)), n)  # not all classes occur
    weight = rng.integers(1, 9, n) / 4 if draw(st.booleans()) else None
    return scores, labels, weight


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
