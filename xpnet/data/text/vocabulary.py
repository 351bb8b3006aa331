"""Convert texts to arrays: tokenizer, vocabulary, padding."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.data.suggest import did_you_mean
from xpnet.data.text.words import clusters, normalised, words

WORDS = r"\w+(?:['’]\w+)*|[^\w\s]"
"""A word with inner apostrophes, or one sign: the pattern of tokenizers saved by older versions.

It splits words at combining marks, which most scripts have.
"""

POLICIES = ("unknown", "error")


class Tokenizer:
    """Split a text into words and signs, or into characters, by Unicode's rules.

    A word is a run of letters, digits, underscores and their marks, with inner apostrophes ("don't", "l'été") and,
    between digits, points and commas ("3.14", "1,000").  Every other sign is its own token: hyphens, "#", the parts of
    an address.  An emoji is one token, including everything joined to it.  In scripts without spaces (Chinese,
    Japanese, Thai, Lao, Burmese, Khmer) each character is a token, and a run of Katakana; to get words, separate them
    by spaces beforehand.  Characters without width are not tokens: a zero-width space ends a word, and soft hyphens and
    byte order marks are removed.

    The text is first converted to composed form (NFC), so that equal texts give equal tokens.

    Parameters
    ----------
    pattern : a regular expression for the tokens, instead of Unicode's rules; the text is then not converted.
    lower : convert to Unicode's lower case, without case folding: "ß" is unchanged.
    level : "word", or "char" for user-perceived characters with their marks, including spaces.

    >>> Tokenizer()("It's good; really GOOD.")
    ["it's", 'good', ';', 'really', 'good', '.']
    >>> Tokenizer(level="char", lower=False)("Ab c")
    ['A', 'b', ' ', 'c']

    Raises: ``ValueError`` for an unknown level, or a pattern that is not a regular expression.
    """

    def __init__(self, pattern: str | None = None, *, lower: bool = True, level: str = "word") -> None:
        if level not in ("word", "char"):
            raise ValueError(f"level must be 'word' or 'char', got {level!r}")
        try:
            self._regex = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from error
        self.pattern, self.lower, self.level = pattern, lower, level

    def __call__(self, text: str) -> list[str]:
        if not isinstance(text, str):
            raise TypeError(
                f"a text must be a str, got {type(text).__name__}: decode bytes, and pass one text at a time"
            )
        if self._regex is None:
            text = normalised(text, lower=self.lower)
            return clusters(text) if self.level == "char" else words(text)
        text = text.lower() if self.lower else text
        return list(text) if self.level == "char" else [match.group() for match in self._regex.finditer(text)]

    def state(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"pattern": self.pattern, "lower": self.lower, "level": self.level}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Tokenizer:
        """Back from ``state()``."""
        return cls(state["pattern"], lower=state["lower"], level=state["level"])


class Vocabulary:
    """Numbers of tokens: padding is 0, the unknown token is 1, followed by ``words`` in order.

    ``policy`` is for tokens that are not in the vocabulary: "unknown" gives the number of the unknown token, "error"
    raises (then there is no unknown token).  The texts ``<pad>`` and ``<unk>`` themselves are unknown tokens.

    >>> vocabulary = Vocabulary.build([["a", "cat"], ["a", "dog", "a"]], min_count=1)
    >>> vocabulary.tokens
    ('<pad>', '<unk>', 'a', 'cat', 'dog')
    >>> vocabulary.encode(["a", "bird"]).tolist()
    [2, 1]
    """

    def __init__(
        self, words: Sequence[str], *, policy: str = "unknown", padding: str = "<pad>", unknown: str = "<unk>"
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"policy must be 'unknown' or 'error', got {policy!r}")
        if padding == unknown:
            raise ValueError(f"padding and unknown token must differ, both are {padding!r}")
        special = (padding, unknown) if policy == "unknown" else (padding,)
        repeated = [token for token, count in Counter([*special, *words]).items() if count > 1]
        if repeated:
            raise ValueError(f"{repeated[0]!r} is in the vocabulary twice: every token must be there once")
        self.policy, self.padding, self.unknown = policy, padding, unknown
        self.tokens = (*special, *words)
        self._numbers = {token: i for i, token in enumerate(self.tokens) if i >= len(special)}

    @classmethod
    def build(
        cls, texts: Iterable[Sequence[str]], *, min_count: int = 1, max_size: int | None = None, **options: Any
    ) -> Vocabulary:
        """Build from the tokens of ``texts``, the most frequent first, ties in alphabetical order.

        Use the training texts only.

        Parameters
        ----------
        min_count : leave out tokens that occur less often.
        max_size : the maximum number of entries, including the special ones: the rows of an embedding.
        options : passed to the constructor.

        Raises: ``ValueError`` if no token is left, or if a text is a str and not a list of tokens.
        """
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count!r}")
        counts: Counter[str] = Counter()
        for text in texts:
            if isinstance(text, str):
                raise ValueError(f"a text must be a list of tokens, got the str {text[:40]!r}: cut it by a Tokenizer")
            counts.update(text)
        empty = cls((), **options)
        for special in (empty.padding, empty.unknown):
            counts.pop(special, None)
        words = sorted((t for t, n in counts.items() if n >= min_count), key=lambda t: (-counts[t], t))
        room = len(words) if max_size is None else max(max_size - len(empty), 0)
        if not words[:room]:
            raise ValueError(
                f"the vocabulary is empty: {len(counts)} different tokens, min_count {min_count}, max_size {max_size}"
            )
        return cls(words[:room], **options)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """The numbers of tokens, int64.  tokens: a list of T -> (T,).

        Raises: ``ValueError`` with the token and its position, if the policy is "error" and a token is unknown.
        """
        if isinstance(tokens, str):
            raise ValueError(f"encode() takes a list of tokens, got the str {tokens[:40]!r}: cut it by a Tokenizer")
        if self.policy == "error":
            for place, token in enumerate(tokens):
                if token not in self._numbers:
                    near = did_you_mean(token, self._numbers)
                    raise ValueError(
                        f"token {token!r} at {place} is not among the {len(self)} of the vocabulary{near}: "
                        "leave it out, or use policy='unknown'"
                    )
        return np.array([self._numbers.get(token, 1) for token in tokens], dtype=np.int64)

    def decode(self, numbers: Any, *, skip_padding: bool = True) -> list[str]:
        """The tokens of ``numbers`` (T,), by default without padding.

        Raises: ``ValueError`` for a number that is not in the vocabulary.
        """
        values = [int(n) for n in (numbers.tolist() if hasattr(numbers, "tolist") else numbers)]
        for place, number in enumerate(values):
            if not 0 <= number < len(self):
                raise ValueError(f"number {number} at {place} is no token: the vocabulary has 0..{len(self) - 1}")
        return [self.tokens[n] for n in values if n or not skip_padding]

    def state(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        words = list(self._numbers)
        return {"words": words, "policy": self.policy, "padding": self.padding, "unknown": self.unknown}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vocabulary:
        """Back from ``state()``."""
        return cls(state["words"], policy=state["policy"], padding=state["padding"], unknown=state["unknown"])


def pad_sequences(
    sequences: Sequence[Any],
    length: int | None = None,
    *,
    value: int = 0,
    side: str = "right",
    keep: str = "first",
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences padded to equal length, and their lengths.  sequences: N of (Tᵢ,) -> (N, T) and (N,), int64.

    Parameters
    ----------
    length : T; by default that of the longest sequence.
    side : where to pad, "right" or "left"; recurrent layers with lengths need "right".
    keep : the part of a longer sequence that is kept, "first" or "last".

    Raises: ``ValueError`` for no sequences, an empty one, or one that is not a list of integers.

    >>> pad_sequences([[5, 6, 7], [8]])[0].tolist()
    [[5, 6, 7], [8, 0, 0]]
    """
    if side not in ("left", "right") or keep not in ("first", "last"):
        raise ValueError(f"side must be 'left' or 'right' and keep 'first' or 'last', got {side!r} and {keep!r}")
    if length is not None and length < 1:
        raise ValueError(f"length must be at least 1, got {length!r}")
    arrays = [_numbers(i, sequence) for i, sequence in enumerate(sequences)]
    if not arrays:
        raise ValueError("there are no sequences to pad")
    width = max(map(len, arrays)) if length is None else length
    rows = np.full((len(arrays), width), value, dtype=np.int64)
    for row, array in zip(rows, arrays, strict=True):
        part = array[:width] if keep == "first" else array[-width:]
        row[slice(len(part)) if side == "right" else slice(width - len(part), width)] = part
    return rows, np.array([min(len(array), width) for array in arrays], dtype=np.int64)


def _numbers(place: int, sequence: Any) -> np.ndarray:
    array = np.asarray(sequence)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"sequence {place} must be a list of whole numbers, got {array.dtype} of shape {array.shape}: "
            "cut texts by a Tokenizer and number them by Vocabulary.encode"
        )
    if not array.size:
        raise ValueError(f"sequence {place} is empty: leave such texts out, or give them one unknown token")
    return array.astype(np.int64, copy=False)
