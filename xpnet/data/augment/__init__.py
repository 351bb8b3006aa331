"""Random changes to a batch of images, on either backend.

A transform is called with images (N, C, H, W) and a ``Draw``, which provides the random numbers of these samples of a
dataset in one epoch.  So the changes of a sample depend only on (seed, epoch, its index), not on its batch, its
position in the batch, or earlier draws.  ``DataLoader(transform=, mix=)`` creates the draws.

>>> from xpnet_backends import get_backend
>>> xp = get_backend("numpy").xp
>>> images = xp.arange(4.0).reshape(2, 1, 1, 2)
>>> augment = Compose([RandomHorizontalFlip(p=0.5), RandomCrop(padding=1)])
>>> augment(images, Draw(seed=0, epoch=3, index=xp.arange(2))).shape
(2, 1, 1, 2)
"""

from xpnet.data.transforms import Normalize

from .base import Draw, ImageTransform, Transform
from .color import ColorJitter, GaussianNoise
from .compose import AnyTransform, Compose, RandomApply, Step
from .erase import Cutout, RandomErasing
from .geometry import RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
from .mix import CutMix, Mix, MixUp
from .warp import ElasticDeformation, RandomAffine

__all__ = [
    "AnyTransform", "ColorJitter", "Compose", "CutMix", "Cutout", "Draw", "ElasticDeformation", "GaussianNoise",
    "ImageTransform", "Mix", "MixUp", "Normalize", "RandomAffine", "RandomApply", "RandomCrop", "RandomErasing",
    "RandomHorizontalFlip", "RandomVerticalFlip", "Step", "Transform",
]  # fmt: skip
