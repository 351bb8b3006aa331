"""The digits that are included in scikit-learn; no download is needed."""

from __future__ import annotations

import numpy as np

from xpnet._extras import require
from xpnet.data.loading.dataset import ArrayDataset, train_val_split


def load_digits() -> tuple[ArrayDataset, ArrayDataset]:
    """1,797 real digits of 8x8 pixels, uint8 0..255, split at random into 1,438 for training and 359 for the test.

    The split is always the same.  Source: Alpaydin & Kaynak, "Optical recognition of handwritten digits", UCI 1998.

    Raises: ``MissingExtraError`` without scikit-learn.
    """
    digits = require("sklearn.datasets", extra="sklearn", purpose="loading the embedded digits").load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    classes = tuple(str(name) for name in digits.target_names)
    whole = ArrayDataset(images, digits.target.astype(np.int64), classes=classes, name="digits")
    return train_val_split(whole, 0.2, seed=0)
