"""A small corpus of opinions that is written here, by a grammar: to try a network where no real one is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from xpnet.data.errors import DataError
from xpnet_backends.random import Stream

_WORDS = {
    "noun": "film plot acting story script music ending direction cast dialogue camera pacing",
    "good": "wonderful gripping clever moving funny brilliant charming fresh honest lively elegant touching",
    "bad": "dull clumsy boring shallow tedious predictable lifeless messy bland tired pointless awkward",
    "mild": "long short french loud quiet modern familiar serious early late",
    "degree": "very rather truly quite",
    "is": "is was seems",
}
_CHOICES = {kind: words.split() for kind, words in _WORDS.items()} | {
    "is not": ["is not", "is never", "was not"],
    "aside": ["i saw it with friends", "it runs for two hours", "the cinema was full", "it is set in a small town"],
}


def write_opinions(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """``count`` sentences and whether each praises (1) or not (0), half and half: texts, labels int64 (count,).

    Made by a grammar, not by people: a clause says something good or bad, at times turned by "not" or "never"; after
    "but" comes what decides. A bag of words cannot see what was turned, nor what came last; an order of words can.
    """
    if count < 2:
        raise ValueError(f"a corpus needs at least 2 sentences, got {count}")
    draw = Stream(seed, "data.opinions").generator()
    labels = draw.permutation(np.arange(count) % 2).astype(np.int64)
    return [_sentence(draw, bool(label)) for label in labels], labels


def _sentence(draw: np.random.Generator, good: bool) -> str:
    aside = f"{_one(draw, 'aside')} , " if draw.random() < 0.3 else ""
    last = _clause(draw, good)
    kind = draw.random()
    if kind < 0.3:
        return f"{aside}{_clause(draw, not good)} but {last} ."
    return f"{aside}{last} and {_clause(draw, good)} ." if kind < 0.6 else f"{aside}{last} ."


def _clause(draw: np.random.Generator, good: bool) -> str:
    turned = draw.random() < 0.25
    quality = _one(draw, "good" if good != turned else "bad")
    degree = f"{_one(draw, 'degree')} " if draw.random() < 0.5 else ""
    mild = f"{_one(draw, 'mild')} " if draw.random() < 0.4 else ""
    return f"the {mild}{_one(draw, 'noun')} {_one(draw, 'is not' if turned else 'is')} {degree}{quality}"


def _one(draw: np.random.Generator, kind: str) -> str:
    words = _CHOICES[kind]
    return words[int(draw.integers(len(words)))]


def read_sentence_polarity(folder: str | os.PathLike[str]) -> tuple[list[str], np.ndarray]:
    """The sentences of ``rt-polarity.neg`` and ``rt-polarity.pos`` in a folder: texts, labels 0 and 1, int64 (N,).

    One sentence a line, in UTF-8 or, as first published, in Latin-1; empty lines are left out.  Source: Pang & Lee
    2005, "Seeing stars: exploiting class relationships for sentiment categorization with respect to rating scales".

    Raises: ``DataError`` for a file without sentences; ``OSError`` where one cannot be read.
    """
    texts: list[str] = []
    counts = []
    for ending in ("neg", "pos"):
        path = Path(folder) / f"rt-polarity.{ending}"
        content = path.read_bytes()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if not lines:
            raise DataError(f"{path} has no sentences")
        texts += lines
        counts.append(len(lines))
    return texts, np.repeat(np.arange(2), counts).astype(np.int64)
