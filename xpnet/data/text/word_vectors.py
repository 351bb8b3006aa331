"""Word vectors from co-occurrence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def word_vectors(
    sequences: Sequence[Any], words: int, size: int = 100, *, window: int = 5, contexts: int = 2000
) -> np.ndarray:
    """Vectors (words, size), float32, that are similar for words in similar contexts; no labels are needed.

    A neighbour at distance d ≤ ``window`` counts 1/d in ``C[w, c]``.  The contexts c are the first ``contexts``
    numbers, in a ``Vocabulary`` the most frequent words.  Then

        M[w, c] = max(0, log(P(w, c) / (P(w) P(c)))),  P(c) ∝ (Σ_w C[w, c])^0.75,  M ≈ U S Vᵀ,  vectors = U S^½

    A word that does not occur, such as padding, gets zeros; so do columns beyond the rank of M.  The result is suitable
    for ``nn.Embedding.from_pretrained``.

    sequences: lists of numbers in 0..words−1, the training texts only.

    Raises: ``ValueError`` for numbers out of range, options below 1, or if there are no neighbours.

    Source: Levy & Goldberg 2014 (Neural word embedding as implicit matrix factorization); the exponents of P(c) and S
    are those of Levy, Goldberg & Dagan 2015.
    """
    for name, value in (("words", words), ("size", size), ("window", window), ("contexts", contexts)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"word_vectors: {name} must be a positive whole number, got {value!r}")
    texts = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    for i, text in enumerate(texts):
        if text.size and not 0 <= text.min() <= text.max() < words:
            raise ValueError(f"word_vectors: sequence {i} has numbers outside 0..{words - 1}")
    pairs, shares = [], []
    for d in range(1, window + 1):
        far = [text for text in texts if len(text) > d]
        if far:
            left, right = (np.concatenate(side) for side in ([t[:-d] for t in far], [t[d:] for t in far]))
            pairs += [np.stack((left, right)), np.stack((right, left))]
            shares += [np.full(2 * len(left), 1.0 / d)]
    if not pairs:
        raise ValueError("word_vectors: no sequence has two words, so there are no neighbours to count")
    width = min(contexts, words)
    (word, context), share = np.concatenate(pairs, axis=1), np.concatenate(shares)
    kept = context < width
    if not kept.any():
        raise ValueError(f"word_vectors: none of the first {width} numbers, the contexts, occurs beside a word")
    cells, which = np.unique(word[kept] * width + context[kept], return_inverse=True)
    count = np.bincount(which, share[kept])
    word, context = np.divmod(cells, width)
    of_word, of_context = np.bincount(word, count)[word], np.bincount(context, count) ** 0.75
    matrix = np.zeros((words, width), dtype=np.float32)
    matrix[word, context] = np.maximum(0.0, np.log(count / (of_word * of_context[context] / of_context.sum())))
    squares, axes = np.linalg.eigh((matrix.T @ matrix).astype(np.float64))  # S² and V, the smallest first
    squares, axes = squares[::-1][:size], axes[:, ::-1][:, :size]
    real = squares > 1e-6 * squares[0]
    scale = np.where(real, np.where(real, squares, 1.0) ** -0.25, 0.0)  # M V S^-½ = U S^½
    vectors = np.zeros((words, size), dtype=np.float32)
    vectors[:, : len(scale)] = matrix @ (axes * scale).astype(np.float32)
    return vectors
