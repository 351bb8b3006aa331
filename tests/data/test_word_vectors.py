"""Word vectors from co-occurrences: against the definition, cell by cell, and numpy's SVD."""

import numpy as np
import pytest

from xpnet.data import word_vectors


def by_definition(sequences, words, window, contexts):
    """M of the docstring with loops."""
    counts = np.zeros((words, contexts))
    for text in sequences:
        for i, word in enumerate(text):
            for j, context in enumerate(text):
                if 0 < abs(i - j) <= window and context < contexts:
                    counts[word, context] += 1 / abs(i - j)
    total = counts.sum()
    of_context = counts.sum(axis=0) ** 0.75 / (counts.sum(axis=0) ** 0.75).sum()
    matrix = np.zeros_like(counts)
    for w, c in np.argwhere(counts > 0):
        matrix[w, c] = max(0.0, np.log(counts[w, c] / total / (counts[w].sum() / total * of_context[c])))
    return matrix


@pytest.mark.parametrize(("window", "contexts", "size"), [(1, 12, 4), (5, 12, 9), (3, 7, 3)])
def test_equals_definition_and_svd(window, contexts, size):
    generator = np.random.default_rng(0)
    sequences = [generator.integers(0, 12, n).tolist() for n in (9, 2, 14, 1, 7, 20)]
    left, values, _ = np.linalg.svd(by_definition(sequences, 12, window, contexts))
    expected = left[:, :size] * np.sqrt(values[:size])
    found = word_vectors(sequences, 12, size, window=window, contexts=contexts)
    assert (found.shape, found.dtype) == ((12, size), np.float32)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, rtol=1e-4, atol=1e-4)  # signs are free


def test_same_company_same_vector():
    # 4 and 5 stand in the same places, 6 elsewhere; 0 and 1 never
    texts = [[2, 4, 3], [2, 5, 3], [7, 6, 8], [8, 6, 7]] * 3
    vectors = word_vectors(texts, 9, 20)
    np.testing.assert_allclose(vectors[4], vectors[5], atol=1e-5)
    assert abs(vectors[4] @ vectors[6]) < 1e-5 < vectors[4] @ vectors[4]
    assert not vectors[:2].any()
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([[0, 1]], 0), {}, "words must be a positive whole number, got 0"),
        (([[0, 1]], 2), {"window": 0}, "window must be a positive whole number, got 0"),
        (([[0, 1], [1, 2]], 2), {}, "sequence 1 has numbers outside 0..1"),
        (([[0], [1], []], 2), {}, "no sequence has two words"),
        (([[3, 2]], 4), {"contexts": 2}, "none of the first 2 numbers"),
    ],
)
def test_refuses(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        word_vectors(*arguments, **options)
