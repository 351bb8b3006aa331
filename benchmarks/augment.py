"""Images per second of each transform, at the size of CIFAR-10: batches of 128 images of 3x32x32 pixels.

The usual crop with flip is also timed on uint8 images, which a DataLoader over raw CIFAR-10 gives.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import in_turns, machine, parser, report

import xpnet
from xpnet.data import augment, to_float
from xpnet.data.augment import Draw
from xpnet_backends import Backend

BATCH, SHAPE = 128, (3, 32, 32)


def contestants(backend: Backend) -> dict[str, Callable[[], Any]]:
    """The transforms to time, each on one batch of a shuffled dataset of 50,000."""
    rng = np.random.default_rng(0)
    raw = backend.asarray(rng.integers(0, 256, (BATCH, *SHAPE)).astype("uint8"))
    labels = backend.asarray(rng.integers(0, 10, BATCH))
    draw = Draw(0, 0, backend.asarray(rng.permutation(50_000)[:BATCH]))
    images = to_float(raw)
    recipe = augment.Compose([augment.RandomCrop(padding=4), augment.RandomHorizontalFlip()])
    transforms: dict[str, tuple[augment.Transform, Any]] = {
        "crop and flip, uint8": (recipe, raw),
        "crop and flip": (recipe, images),
        "RandomHorizontalFlip": (augment.RandomHorizontalFlip(), images),
        "RandomCrop(padding=4)": (augment.RandomCrop(padding=4), images),
        "RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 10)": (
            augment.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 10),
            images,
        ),
        "ElasticDeformation(34, 4)": (augment.ElasticDeformation(34.0, 4.0), images),
        "ColorJitter(0.4, 0.4, 0.4)": (augment.ColorJitter(0.4, 0.4, 0.4), images),
        "ColorJitter(hue=0.1)": (augment.ColorJitter(hue=0.1), images),
        "RandomErasing(1.0)": (augment.RandomErasing(1.0), images),
        "Cutout(16)": (augment.Cutout(16), images),
        "GaussianNoise": (augment.GaussianNoise(), images),
    }
    mixes = {"MixUp": augment.MixUp(10), "CutMix": augment.CutMix(10)}
    made: dict[str, Callable[[], Any]] = {}
    for name, (transform, x) in transforms.items():
        made[name] = lambda transform=transform, x=x: transform(x, draw)  # type: ignore[misc]
    for name, mix in mixes.items():
        made[name] = lambda mix=mix: mix(images, labels, images, labels, draw)  # type: ignore[misc]
    return {name: _waiting(backend, run) for name, run in made.items()}


def _waiting(backend: Backend, run: Callable[[], Any]) -> Callable[[], None]:
    def timed() -> None:
        run()
        backend.synchronize()

    return timed


def main() -> None:
    """Time the transforms."""
    options = parser(__doc__).parse_args()
    backend = xpnet.get_backend(options.backend)
    seconds = in_turns(contestants(backend), options.rounds, 5)
    figures = {name: round(BATCH / statistics.median(values)) for name, values in seconds.items()}
    report({"images a second": figures, "backend": backend.describe(), "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
