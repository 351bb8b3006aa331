"""Recognise datasets in the format of MNIST by content, because they share file names and shapes."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
DIGITS = tuple(string.digits)
_MERGED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
EMNIST_CLASSES = {
    "digits": DIGITS,
    "mnist": DIGITS,
    "letters": tuple(string.ascii_uppercase),
    "balanced": _MERGED,
    "bymerge": _MERGED,
    "byclass": (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase),
}
"""The splits of EMNIST (Cohen et al. 2017, arXiv:1702.05373), table II."""


@dataclass(frozen=True)
class Member:
    """A published dataset: the names of its classes, its first labels, and MD5 sums of its compressed files."""

    name: str
    classes: tuple[str, ...]
    first_labels: tuple[str, ...] = ()
    md5: tuple[str, ...] = ()


FAMILY = {
    member.name: member
    for member in (
        Member("MNIST", DIGITS, ("50419213143536172869", "72104149590690159734")),
        Member("Fashion-MNIST", FASHION_CLASSES, ("90030272550955791064", "92116146574573412480")),
        Member(
            "KMNIST",  # Clanuwat et al. 2018, arXiv:1812.01718
            ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
            md5=(
                "bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
    )
}  # fmt: skip


def of_labels(labels: np.ndarray) -> str | None:
    """The dataset whose training or test labels begin like these; None if unknown, or for fewer than twenty."""
    if len(labels) < 20 or labels[:20].max() > 9:
        return None
    first = "".join(map(str, labels[:20].tolist()))
    return next((member.name for member in FAMILY.values() if first in member.first_labels), None)


def ink(images: np.ndarray) -> float:
    """The share of pixels that are not black, in some thousand images: about 0.19 for MNIST, 0.50 for Fashion-MNIST."""
    some = images[:: max(1, len(images) // 1000)]
    return float(np.count_nonzero(some) / max(some.size, 1))


def looks_like_fashion(images: np.ndarray, labels: np.ndarray) -> bool:
    """Whether shuffled images match Fashion-MNIST: equal numbers of each class, and half of the pixels not black."""
    counts = np.bincount(labels, minlength=10)
    even = len(counts) == 10 and len(labels) in (60_000, 10_000, 70_000) and bool((counts == len(labels) // 10).all())
    return even and images.shape[1:] == (28, 28) and 0.45 < ink(images) < 0.55
