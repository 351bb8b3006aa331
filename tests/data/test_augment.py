"""Augmentation: each transform against its definition for one sample, written out slowly."""

from __future__ import annotations

import colorsys
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from tests.support.standin import no_traffic
from xpnet.data import Normalize, to_float
from xpnet.data.augment import (
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    Draw,
    ElasticDeformation,
    GaussianNoise,
    MixUp,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomVerticalFlip,
)
from xpnet.data.augment.mix import symmetric_beta
from xpnet.data.augment.warp import bilinear
from xpnet_backends import backend_of, get_backend

FIXTURE = np.load(Path(__file__).parents[1] / "fixtures" / "augment.npz")
SEED, EPOCH = 5, 3
INDEX = np.array([3, 0, 41, 7, 3, 1000])  # sample 3 twice


def images(channels=3, height=7, width=9, n=6, dtype="float32", seed=0):
    values = np.random.default_rng(seed).random((n, channels, height, width))
    return (values * 255).astype(dtype) if dtype == "uint8" else values.astype(dtype)


def numbers(path, sample):
    """The generator of one sample: NumPy's Philox, by the contract in words of its own."""
    key = [SEED, int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little")]
    counter = np.array([0, EPOCH, 0, sample], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64), counter=counter))


def uniform(name, sample, count, dtype="float32"):
    return numbers(f"data.augment.{name}", sample).random(count, dtype=dtype).astype("float64")


def normal(name, sample, count):
    half = (count + 1) // 2
    u = uniform(name, sample, 2 * half)
    radius, angle = np.sqrt(-2 * np.log(1 - u[:half])), 2 * math.pi * u[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def run(transform, x, backend, index=INDEX, epoch=EPOCH, seed=SEED):
    y = transform(backend.asarray(x), Draw(seed, epoch, backend.asarray(index)))
    assert backend_of(y) is backend
    return backend.to_numpy(y)


# -- the definitions, for one image (C, H, W) ----------------------------------------------------------------------------


def naive_horizontal(image, sample):
    return image[:, :, ::-1] if uniform("RandomHorizontalFlip.chosen", sample, 1)[0] < 0.4 else image


def naive_vertical(image, sample):
    return image[:, ::-1] if uniform("RandomVerticalFlip.chosen", sample, 1)[0] < 0.4 else image


def naive_crop(size, padding, mode, **options):
    def crop(image, sample):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode, **options)
        p, q = size or image.shape[1:]
        u = uniform("RandomCrop.corner", sample, 2)
        top, left = int(u[0] * (padded.shape[1] - p + 1)), int(u[1] * (padded.shape[2] - q + 1))
        return padded[:, top : top + p, left : left + q]

    return crop


def pixel_between(plane, row, column, fill):
    """Bilinear, one pixel."""
    top, left = math.floor(row), math.floor(column)
    total = 0.0
    for i, weight_i in ((top, 1 - (row - top)), (top + 1, row - top)):
        for j, weight_j in ((left, 1 - (column - left)), (left + 1, column - left)):
            inside = 0 <= i < plane.shape[0] and 0 <= j < plane.shape[1]
            total += weight_i * weight_j * (plane[i, j] if inside else fill)
    return total


def naive_affine(image, sample):
    """torchvision's construction: rotation, shear, scale about the centre, then the shift; inverted."""
    u = uniform("RandomAffine.affine", sample, 6)
    h, w = image.shape[1:]
    ranges = [(-30, 50), (-10, 20), (5, 15)]
    angle, s, t = (math.radians(low + (high - low) * a) for (low, high), a in zip(ranges, u[:3], strict=True))
    zoom = 0.5 + 1.5 * u[3]
    right, down = round((2 * u[4] - 1) * 0.2 * w), round((2 * u[5] - 1) * 0.3 * h)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shear_y, shear_x = np.array([[1, 0], [-math.tan(t), 1]]), np.array([[1, -math.tan(s)], [0, 1]])
    forward = zoom * turn @ shear_y @ shear_x
    centre = np.array([(w - 1) / 2, (h - 1) / 2])
    y = np.empty_like(image)
    for i in range(h):
        for j in range(w):
            source = np.linalg.solve(forward, np.array([j, i]) - centre - [right, down]) + centre
            y[:, i, j] = [pixel_between(plane, source[1], source[0], 0.25) for plane in image]
    return y


def naive_elastic(image, sample):
    h, w = image.shape[1:]
    field = 2 * uniform("ElasticDeformation.field", sample, 2 * h * w).reshape(2, h, w) - 1
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2)  # 4 sigma
    kernel /= kernel.sum()
    y, offset = np.empty_like(image), np.zeros_like(field)
    for i in range(h):
        for j in range(w):
            for k in range(h):
                for m in range(w):
                    if abs(i - k) <= 6 and abs(j - m) <= 6:
                        offset[:, i, j] += 20 * kernel[6 + i - k] * kernel[6 + j - m] * field[:, k, m]
            y[:, i, j] = [pixel_between(p, i + offset[0, i, j], j + offset[1, i, j], 0.0) for p in image]
    return y


def naive_jitter(image, sample):
    u = uniform("ColorJitter.amounts", sample, 4)
    order = numbers("data.augment.ColorJitter.order", 0).permutation(4)
    weights = np.array([0.2989, 0.587, 0.114])[:, None, None]
    for k in order:
        gray = (weights * image).sum(axis=0)
        if k == 0:
            image = (0.6 + 0.8 * u[0]) * image
        elif k == 1:
            f = 0.2 + 1.3 * u[1]
            image = f * image + (1 - f) * gray.mean()
        elif k == 2:
            f = 2.5 * u[2]
            image = f * image + (1 - f) * gray
        else:
            turned = np.empty_like(image)
            for i in range(image.shape[1]):
                for j in range(image.shape[2]):
                    h, s, v = colorsys.rgb_to_hsv(*image[:, i, j])
                    turned[:, i, j] = colorsys.hsv_to_rgb((h - 0.3 + 0.6 * u[3]) % 1.0, s, v)
            image = turned
        image = image.clip(0, 1)
    return image


def naive_noise(image, sample):
    z = normal("GaussianNoise.noise", sample, image.size).reshape(image.shape)
    return (image + 0.1 + 0.2 * z).clip(0, 1)


def erased_box(image, sample):
    h, w = image.shape[1:]
    u = uniform("RandomErasing.box", sample, 22)
    for k in range(10):
        area, ratio = h * w * (0.1 + 0.7 * u[k]), math.exp(math.log(0.3) + math.log(3.3 / 0.3) * u[10 + k])
        height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if height < h and width < w:
            top, left = int(u[20] * (h - height + 1)), int(u[21] * (w - width + 1))
            return slice(top, top + height), slice(left, left + width)
    return slice(0, 0), slice(0, 0)


def naive_erasing(image, sample):
    y = image.copy()
    if uniform("RandomErasing.chosen", sample, 1)[0] < 0.7:
        y[:, *erased_box(image, sample)] = 2
    return y


def naive_random_erasing(image, sample):
    y, box = image.copy(), (slice(None), *erased_box(image, sample))
    y[box] = normal("RandomErasing.value", sample, image.size).reshape(image.shape)[box]
    return y


def naive_cutout(image, sample):
    y = image.copy()
    u = uniform("Cutout.centre", sample, 2)
    i, j = int(u[0] * image.shape[1]), int(u[1] * image.shape[2])
    y[:, max(i - 2, 0) : max(i + 3, 0), max(j - 2, 0) : max(j + 3, 0)] = 7
    return y


MOVES = {  # and so for bytes as well
    "horizontal": (RandomHorizontalFlip(0.4), naive_horizontal),
    "vertical": (RandomVerticalFlip(0.4), naive_vertical),
    "crop smaller": (RandomCrop((5, 4)), naive_crop((5, 4), 0, "constant")),
    "crop padded": (RandomCrop(padding=3), naive_crop(None, 3, "constant")),
    "crop filled": (RandomCrop(6, padding=2, fill=1), naive_crop((6, 6), 2, "constant", constant_values=1)),
    "crop edge": (RandomCrop(padding=8, padding_mode="edge"), naive_crop(None, 8, "edge")),
    "crop reflect": (RandomCrop(padding=6, padding_mode="reflect"), naive_crop(None, 6, "reflect")),
    "crop symmetric": (RandomCrop(padding=7, padding_mode="symmetric"), naive_crop(None, 7, "symmetric")),
    "erasing": (RandomErasing(0.7, (0.1, 0.8), (0.3, 3.3), 2), naive_erasing),
    "cutout": (Cutout(5, 7), naive_cutout),
}
VALUES = {
    "affine": (RandomAffine((-30, 50), (0.2, 0.3), (0.5, 2.0), (-10, 20, 5, 15), 0.25), naive_affine),
    "elastic": (ElasticDeformation(20.0, 1.5), naive_elastic),
    "jitter": (ColorJitter(0.4, (0.2, 1.5), 1.5, 0.3), naive_jitter),
    "noise": (GaussianNoise(0.1, 0.2), naive_noise),
    "erasing random": (RandomErasing(1.0, (0.1, 0.8), value="random"), naive_random_erasing),
}
ALL = MOVES | VALUES


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_moves_equal_their_definition_exactly(backend, name, dtype):
    transform, naive = MOVES[name]
    x = images(dtype=dtype)
    y = run(transform, x, backend)
    assert y.dtype == dtype
    for image, sample, found in zip(x, INDEX, y, strict=True):
        np.testing.assert_array_equal(found, naive(image, sample))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_equal_their_definition(backend, name, dtype):
    transform, naive = VALUES[name]
    x = images(dtype=dtype)
    y = run(transform, x, backend)
    assert y.dtype == dtype
    tolerance = 2e-5 if dtype == "float32" else 2e-6 if "random" in name or name == "noise" else 1e-12
    for image, sample, found in zip(x, INDEX, y, strict=True):
        np.testing.assert_allclose(found, naive(image.astype("float64"), sample), atol=tolerance)


@pytest.mark.parametrize("name", ALL)
def test_the_input_stays_as_it_is(backend, name):
    x = images()
    here = backend.asarray(x.copy())
    ALL[name][0](here, Draw(SEED, EPOCH, backend.asarray(INDEX)))
    np.testing.assert_array_equal(backend.to_numpy(here), x)


IDENTITIES = [
    RandomHorizontalFlip(0.0),
    RandomVerticalFlip(0.0),
    RandomCrop(),
    RandomCrop((7, 9)),
    RandomAffine(0),
    RandomAffine(0.0, (0, 0), (1, 1), 0),
    ElasticDeformation(0.0),
    ColorJitter(),
    ColorJitter((1, 1), (1, 1), (1, 1), (0, 0)),
    GaussianNoise(sigma=0.0),
    RandomErasing(0.0),
    RandomErasing(1.0, (0, 0)),
    Cutout(0),
    Compose([]),
    RandomApply([RandomAffine(90)], p=0.0),
]


@pytest.mark.parametrize("transform", IDENTITIES, ids=repr)
def test_identity_settings_change_nothing(backend, transform):
    x = images()
    np.testing.assert_array_equal(run(transform, x, backend), x)


def test_flips_are_exact():
    x, numpy = images(), get_backend("numpy")
    np.testing.assert_array_equal(run(RandomHorizontalFlip(1.0), x, numpy), x[..., ::-1])
    np.testing.assert_array_equal(run(RandomVerticalFlip(1.0), x, numpy), x[..., ::-1, :])


# -- warping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (-90, 1), (180, 2), (270, -3), (360, 0)])
def test_right_angles(backend, degrees, turns):
    x = images(height=8, width=8)
    y = run(RandomAffine((degrees, degrees)), x, backend)
    np.testing.assert_allclose(y, np.rot90(x, turns, axes=(2, 3)), atol=1e-5)


def test_zoom_by_two_and_whole_shifts(backend):
    x = images(height=8, width=8, dtype="float64")
    half = run(RandomAffine(0, scale=(0.5, 0.5)), x, backend)  # every pixel of the result lies between four
    np.testing.assert_allclose(half[:, :, 2:6, 2:6], x.reshape(-1, 3, 4, 2, 4, 2).mean(axis=(3, 5)), rtol=1e-12)
    assert not half[:, :, :2].any()
    moved = run(RandomAffine(0, translate=(0.25, 0.5)), x, backend)
    shifts = set()
    for image, found in zip(x, moved, strict=True):
        fits = []
        for down in range(-4, 5):
            for right in range(-2, 3):
                expected = np.zeros((3, 8, 8))
                rows, columns = (slice(max(d, 0), 8 + min(d, 0)) for d in (down, right))
                source = (slice(max(-d, 0), 8 + min(-d, 0)) for d in (down, right))
                expected[:, rows, columns] = image[:, *source]
                fits += [(down, right)] if (expected == found).all() else []
        assert len(fits) == 1
        shifts.add(fits[0])
    assert len(shifts) == 5  # of six samples, one of them twice


def test_sampling_is_pytorchs(backend):
    x, row, column = (backend.asarray(FIXTURE[name]) for name in ("x", "row", "column"))
    found = backend.to_numpy(bilinear(backend.xp, x, row, column))
    np.testing.assert_allclose(found, FIXTURE["sampled"], rtol=1e-10, atol=1e-14)


def test_rotation_is_pytorchs(backend):
    for k, degrees in enumerate(FIXTURE["degrees"].tolist()):
        y = run(RandomAffine((degrees, degrees)), FIXTURE["x"][k : k + 1], backend, index=np.array([9]))
        np.testing.assert_allclose(y[0], FIXTURE["turned"][k], rtol=1e-10, atol=1e-12)


def test_elastic_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    x = images(channels=1, height=20, width=16, n=1, dtype="float64")[0, 0]
    field = 2 * uniform("ElasticDeformation.field", 4, 2 * x.size).reshape(2, *x.shape) - 1
    offset = [50 * ndimage.gaussian_filter(u, 2.5, mode="constant") for u in field]
    at = np.indices(x.shape) + offset
    expected = ndimage.map_coordinates(x, at, order=1, mode="grid-constant", cval=0.5)
    transform = ElasticDeformation(50.0, 2.5, fill=0.5)
    found = run(transform, x[None, None], get_backend("numpy"), index=np.array([4]))
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-12)


def test_far_outside_is_fill(backend):
    x = images(n=1)
    row = backend.asarray(np.array([[[-1e30, 1e30, -1.0, 7.0]]], dtype="float32"))
    y = backend.to_numpy(bilinear(backend.xp, backend.asarray(x), row, row * 0, fill=3.0))
    assert (y == 3.0).all()


# -- colour ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hue", [-0.5, -0.2, 1 / 3, 0.5])
def test_hue_against_the_standard_library(backend, hue):
    x = images(dtype="float64")
    x[0, :, 0, :4] = [[0, 1, 0.5, 0.5], [0, 1, 0.5, 0.2], [0, 1, 0.2, 0.5]]  # black, white, and ties
    y = run(ColorJitter(hue=(hue, hue)), x, backend)
    expected = np.empty_like(x)
    for n, i, j in np.ndindex(len(x), *x.shape[2:]):
        h, s, v = colorsys.rgb_to_hsv(*x[n, :, i, j])
        expected[n, :, i, j] = colorsys.hsv_to_rgb((h + hue) % 1.0, s, v)
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_grey_images_have_brightness_and_contrast_only(backend):
    x = images(channels=1)
    np.testing.assert_array_equal(run(ColorJitter(saturation=0.5, hue=0.5), x, backend), x)
    contrast = run(ColorJitter(contrast=(0.0, 0.0)), x, backend)
    means = np.broadcast_to(x.mean(axis=(1, 2, 3), keepdims=True), x.shape)
    np.testing.assert_allclose(contrast, means, rtol=1e-5)


def test_the_order_of_colour_changes_is_drawn_each_epoch():
    jitter, x, numpy = ColorJitter((0.5, 0.5), (1.6, 1.6)), images(), get_backend("numpy")
    ways = {run(jitter, x, numpy, epoch=epoch).tobytes() for epoch in range(12)}
    assert len(ways) == 2  # brightness first, or contrast first


# -- mixing ----------------------------------------------------------------------------------------------------------


def mixed(mix, backend, x, other, labels, other_labels, index=INDEX):
    draw = Draw(SEED, EPOCH, backend.asarray(index))
    y, targets = mix(*(backend.asarray(a) for a in (x, labels, other, other_labels)), draw)
    return backend.to_numpy(y), backend.to_numpy(targets)


def naive_share(alpha, sample):
    u, v = uniform("beta", sample, 2, "float64")
    with np.errstate(over="ignore"):
        t = math.sqrt((1 - u) ** (-1 / alpha) - 1) * math.cos(2 * math.pi * v)  # Student's t over √(2α)
    return 0.5 + 0.5 * t / math.sqrt(1 + t * t)


LABELS, OTHERS = np.array([0, 1, 2, 3, 0, 1]), np.array([3, 3, 2, 1, 0, 0])


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_mixup_is_its_definition(backend, alpha, p):
    x, other = images(dtype="float64"), images(dtype="float64", seed=1)
    y, targets = mixed(MixUp(4, alpha, p), backend, x, other, LABELS, OTHERS)
    for k, sample in enumerate(INDEX):
        share = naive_share(alpha, sample) if uniform("chosen", sample, 1)[0] < p else 1.0
        np.testing.assert_allclose(y[k], share * x[k] + (1 - share) * other[k], atol=1e-12)
        expected = share * np.eye(4)[LABELS[k]] + (1 - share) * np.eye(4)[OTHERS[k]]
        np.testing.assert_allclose(targets[k], expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_cutmix_is_its_definition(backend, dtype):
    x, other = images(dtype=dtype), images(dtype=dtype, seed=1)
    y, targets = mixed(CutMix(4, 1.0, 0.8), backend, x, other, LABELS, OTHERS)
    assert (y.dtype, targets.dtype) == (dtype, np.float32)
    h, w = x.shape[2:]
    for k, sample in enumerate(INDEX):
        share = naive_share(1.0, sample) if uniform("chosen", sample, 1)[0] < 0.8 else 1.0
        u, half = uniform("centre", sample, 2), 0.5 * math.sqrt(1 - share)
        i, j, tall, wide = int(u[0] * h), int(u[1] * w), int(half * h), int(half * w)
        rows, columns = slice(max(i - tall, 0), min(i + tall, h)), slice(max(j - wide, 0), min(j + wide, w))
        expected = x[k].copy()
        expected[:, rows, columns] = other[k][:, rows, columns]
        np.testing.assert_array_equal(y[k], expected)
        kept = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (h * w)
        weights = kept * np.eye(4)[LABELS[k]] + (1 - kept) * np.eye(4)[OTHERS[k]]
        np.testing.assert_allclose(targets[k], weights, atol=1e-6)


def test_targets_that_are_numbers_already_are_mixed(backend):
    x = images()
    values = np.linspace(0, 1, 12).reshape(6, 2)
    y, targets = mixed(MixUp(), backend, x, x, values, values[::-1])
    np.testing.assert_allclose(y, x, atol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1) + targets[::-1].sum(axis=1), 2 * values.sum(axis=1).mean(), atol=1)
    assert targets.dtype == np.float64


def test_mixed_targets_go_into_the_loss(backend):
    from xpnet import Tensor
    from xpnet.nn import functional as F

    draw = Draw(SEED, EPOCH, backend.asarray(INDEX))
    x, labels, others = (backend.asarray(a) for a in (images(), LABELS, OTHERS))
    _, targets = MixUp(4)(x, labels, x, others, draw)
    logits = backend.asarray(np.random.default_rng(0).standard_normal((6, 4)).astype("float32"))
    share = (targets * (labels[:, None] == backend.xp.arange(4))).sum(axis=1)
    share = backend.xp.where(labels == others, 1.0, share)
    whole = F.cross_entropy(Tensor(logits), targets)
    parts = [F.cross_entropy(Tensor(logits), t, reduction="none").data for t in (labels, others)]
    assert float(whole) == pytest.approx(float((share * parts[0] + (1 - share) * parts[1]).mean()), rel=1e-5)


# -- statistics ------------------------------------------------------------------------------------------------------

MANY = 4000


def many():
    return Draw(1, 0, np.arange(MANY))


def test_flips_come_as_often_as_said():
    x = np.broadcast_to(np.arange(2, dtype="float32"), (MANY, 1, 1, 2))
    for p in (0.1, 0.5, 0.9):
        flipped = RandomHorizontalFlip(p)(x, many())[:, 0, 0, 0]
        assert abs(flipped.mean() - p) < 4 * math.sqrt(p * (1 - p) / MANY)


def test_crops_come_from_everywhere_equally_often():
    x = np.broadcast_to(np.arange(9, dtype="float32").reshape(3, 3), (MANY, 1, 3, 3))
    counts = np.bincount(RandomCrop(1)(x, many()).ravel().astype(int), minlength=9)
    assert ((counts - MANY / 9) ** 2 / (MANY / 9)).sum() < 26.1  # chi-squared, 8 degrees of freedom, 0.1 %


def test_affine_parameters_fill_their_ranges():
    transform = RandomAffine((-20, 40), (0.5, 0.25), (0.5, 2.0))
    a, b, c, d, right, down = (v.ravel() for v in transform.parameters(np, many(), 20, 10, "float64"))
    angle, zoom = np.degrees(np.arctan2(b, a)), 1 / np.hypot(a, b)
    for values, low, high in ((angle, -20, 40), (zoom, 0.5, 2.0), (right, -5, 5), (down, -5, 5)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * MANY)
    np.testing.assert_allclose(a * d - b * c, 1 / zoom**2)
    assert (right == np.rint(right)).all()


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1.0, 3.0, 50.0])
def test_beta_is_beta(alpha):
    stats = pytest.importorskip("scipy.stats")
    values = symmetric_beta(many(), alpha)
    assert values.min() >= 0
    assert values.max() <= 1
    if alpha > 0.1:  # below, most values are 0 or 1 to all digits
        assert stats.kstest(values, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert values.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_partners_are_any_samples():
    partners = MixUp().partners(many(), 7)
    counts = np.bincount(partners)
    assert len(counts) == 7
    assert ((counts - MANY / 7) ** 2 / (MANY / 7)).sum() < 22.5  # 6 degrees of freedom, 0.1 %


def test_erased_areas_and_shapes():
    ones = np.ones((MANY, 1, 100, 100), dtype="uint8")
    erased = RandomErasing(0.6, (0.1, 0.2), (0.5, 2.0))(ones, many()) == 0
    area, chosen = erased.mean(axis=(1, 2, 3)), erased.any(axis=(1, 2, 3))
    assert abs(chosen.mean() - 0.6) < 4 * math.sqrt(0.24 / MANY)
    assert 0.095 < area[chosen].min() < 0.105
    assert 0.195 < area[chosen].max() < 0.205
    assert area[chosen].mean() == pytest.approx(0.15, abs=0.003)
    height, width = erased.any(axis=3).sum(axis=(1, 2)), erased.any(axis=2).sum(axis=(1, 2))
    ratio = np.log(height[chosen] / width[chosen])
    assert abs(ratio.mean()) < 0.04
    assert ratio.std() == pytest.approx(2 * math.log(2) / math.sqrt(12), abs=0.02)


def test_a_box_that_never_fits_is_left_out(backend):
    x = images()
    np.testing.assert_array_equal(run(RandomErasing(1.0, (1.0, 1.0)), x, backend), x)


def test_two_transforms_in_a_row_are_independent():
    x = np.broadcast_to(np.arange(4, dtype="float32").reshape(2, 2), (MANY, 1, 2, 2))
    for flips in ([RandomHorizontalFlip(), RandomVerticalFlip()], [RandomVerticalFlip(), RandomHorizontalFlip()]):
        corners = np.bincount(Compose(flips)(x, many())[:, 0, 0, 0].astype(int), minlength=4)
        assert ((corners - MANY / 4) ** 2 / (MANY / 4)).sum() < 16.3  # 3 degrees of freedom, 0.1 %
    twice = Compose([RandomHorizontalFlip(), RandomHorizontalFlip()])(x, many())
    assert abs((twice == x).all(axis=(1, 2, 3)).mean() - 0.5) < 4 * 0.5 / math.sqrt(MANY)


# -- whose numbers ---------------------------------------------------------------------------------------------------


EVERYTHING = Compose([
    RandomCrop(padding=2),
    RandomHorizontalFlip(),
    RandomApply([RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 10), ElasticDeformation(8.0, 2.0)], p=0.7),
    RandomVerticalFlip(),
    to_float,
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    GaussianNoise(),
    Normalize([[[0.5]], [[0.4]], [[0.3]]], [[[0.2]], [[0.3]], [[0.4]]]),
    RandomErasing(),
    RandomErasing(value="random"),
    Cutout(3),
])  # fmt: skip


@pytest.mark.parametrize("transform", [*(t for t, _ in ALL.values()), EVERYTHING], ids=[*ALL, "everything"])
def test_a_sample_alone_is_the_sample_in_a_batch_to_the_bit(backend, transform):
    x, index = images(n=40, height=10, width=12), np.random.default_rng(1).integers(0, 50_000, 40)
    whole = run(transform, x, backend, index=index)
    order = np.random.default_rng(2).permutation(40)
    for size in (1, 7, 32):
        for part in np.split(order, range(size, 40, size)):
            np.testing.assert_array_equal(run(transform, x[part], backend, index=index[part]), whole[part])


def test_the_same_sample_twice_is_the_same_twice(backend):
    x = images()
    whole = run(EVERYTHING, x, backend)
    assert not np.array_equal(whole[0], whole[4])  # the same numbers, another image
    same = run(EVERYTHING, x[[0, 0]], backend, index=INDEX[[0, 4]])
    np.testing.assert_array_equal(same[0], same[1])


def test_seed_and_epoch_change_everything(backend):
    x = images()
    first = run(EVERYTHING, x, backend)
    for other in ({"epoch": EPOCH + 1}, {"seed": SEED + 1}, {"index": INDEX + 1}):
        y = run(EVERYTHING, x, backend, **other)
        assert all(not np.array_equal(a, b) for a, b in zip(first, y, strict=True))


def test_no_traffic_on_a_device():
    standin = get_backend("standin")
    x, labels, index = (standin.asarray(a) for a in (images(), LABELS, INDEX))
    draw = Draw(SEED, EPOCH, index)
    EVERYTHING(x, draw)  # Normalize brings its numbers over, once
    with no_traffic():
        y = EVERYTHING(x, draw)
        MixUp(4)(y, labels, y[::-1], labels[::-1], draw)
        CutMix(4)(y, labels, y[::-1], labels[::-1], draw)
        MixUp(4).partners(draw, 10)
    for transform, _ in ALL.values():
        with no_traffic():
            transform(x, draw)


def test_an_empty_batch(backend):
    none = np.zeros(0, np.int64)
    assert run(EVERYTHING, images(n=0), backend, index=none).shape == (0, 3, 7, 9)


def test_transforms_say_what_they_are():
    assert repr(Compose([RandomCrop(padding=4), RandomHorizontalFlip()])) == (
        "Compose(transforms=(RandomCrop(size=None, padding=4, fill=0, padding_mode='constant'), "
        "RandomHorizontalFlip(p=0.5)))"
    )
    assert RandomCrop(padding=4) == RandomCrop(padding=4) != RandomCrop(padding=3)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "match"), [
    (lambda: RandomHorizontalFlip(1.5), r"RandomHorizontalFlip: p is a probability and must lie in 0\.\.1, got 1.5"),
    (lambda: RandomVerticalFlip(-0.1), r"must lie in 0\.\.1, got -0.1"),
    (lambda: RandomApply([], p=2), r"RandomApply: p is a probability and must lie in 0\.\.1, got 2"),
    (lambda: RandomErasing(float("nan")), "RandomErasing: p is a probability .* got nan"),
    (lambda: MixUp(p=2.0), r"MixUp: p is a probability and must lie in 0\.\.1, got 2.0"),
    (lambda: RandomCrop(0), r"size must be a positive whole number, or two \(H, W\), got 0"),
    (lambda: RandomCrop((3, 4, 5)), r"got \(3, 4, 5\)"),
    (lambda: RandomCrop(padding=-1), "padding must be a whole number of pixels >= 0, got -1"),
    (lambda: RandomCrop(padding_mode="wrap"), "padding_mode must be one of 'constant', 'edge', 'reflect', 'symmetric'"),
    (lambda: RandomAffine(-5), "degrees as a single number must be >= 0, got -5"),
    (lambda: RandomAffine((3, 1)), r"degrees must be a number or a range \(low, high\), got \(3, 1\)"),
    (lambda: RandomAffine(0, (0.1, 1.5)), r"translate must be two shares in 0\.\.1, got \(0.1, 1.5\)"),
    (lambda: RandomAffine(0, scale=(0, 1)), r"scale must be a range \(low, high\) above 0, got \(0, 1\)"),
    (lambda: RandomAffine(0, shear=(1, 2, 3)), r"shear must be a number or a range .*\(1, 2, 3\)"),
    (lambda: ElasticDeformation(sigma=0), "ElasticDeformation: sigma must be a positive number, got 0"),
    (lambda: ElasticDeformation(-1.0), "alpha must be a number of pixels >= 0, got -1.0"),
    (lambda: ColorJitter(-0.1), "brightness as a single number must be >= 0, got -0.1"),
    (lambda: ColorJitter(contrast=(-1, 1)), r"contrast must be a number or a range .* >= 0, got \(-1, 1\)"),
    (lambda: ColorJitter(hue=0.6), r"hue must be a number or a range \(low, high\) in -0.5\.\.0.5, got 0.6"),
    (lambda: GaussianNoise(sigma=-1), "sigma must be a number >= 0, got -1"),
    (lambda: RandomErasing(scale=(0.5, 0.1)), r"scale must be a range \(low, high\) in 0\.\.1, got \(0.5, 0.1\)"),
    (lambda: RandomErasing(ratio=(0, 1)), r"ratio must be a range \(low, high\) above 0, got \(0, 1\)"),
    (lambda: RandomErasing(value="pink"), "value must be a number or 'random', got 'pink'"),
    (lambda: Cutout(2.5), "Cutout: length must be a whole number of pixels >= 0, got 2.5"),
    (lambda: MixUp(alpha=0), "MixUp: alpha must be a positive number, got 0"),
    (lambda: CutMix(num_classes=0), "CutMix: num_classes must be a positive whole number, got 0"),
])  # fmt: skip
def test_wrong_settings(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(("transform", "x", "match"), [
    (RandomHorizontalFlip(), images()[:, 0], r"needs images \(N, C, H, W\), got shape \(6, 7, 9\): .* x\[:, None\]"),
    (RandomCrop(), images()[0, 0, 0], r"RandomCrop needs images \(N, C, H, W\), got shape \(9,\)"),
    (Cutout(1), images()[..., :0], r"got shape \(6, 3, 7, 0\)"),
    (RandomVerticalFlip(), images(n=2), r"the draw is for \(6,\) samples, but there are 2 images"),
    (RandomCrop(8), images(), "a crop of 8x8 is larger than the image of 7x9$"),
    (RandomCrop((12, 5), padding=2), images(), "a crop of 12x5 is larger than the image of 7x9 with padding 2"),
    (RandomCrop(padding=7, padding_mode="reflect"), images(), "padding 7 with mode 'reflect' mirrors more than the"),
    (RandomCrop(padding=8, padding_mode="symmetric"), images(), "padding 8 with mode 'symmetric' mirrors more"),
    (ColorJitter(0.1), images(channels=2), r"one channel or three \(RGB\), got 2 channels"),
    (RandomApply([RandomCrop(3)]), images(), r"turned float32\(6, 3, 7, 9\) into float32\(6, 3, 3, 3\)"),
])  # fmt: skip
def test_wrong_images(backend, transform, x, match):
    with pytest.raises(ValueError, match=match):
        run(transform, x, backend)


@pytest.mark.parametrize(
    "transform",
    [RandomAffine(10), ElasticDeformation(), ColorJitter(0.1), GaussianNoise(), RandomErasing(1.0, value="random")],
)
def test_bytes_are_refused_where_values_are_computed(backend, transform):
    with pytest.raises(TypeError, match=r"needs floating-point images, got uint8: put xpnet\.data\.to_float before it"):
        run(transform, images(dtype="uint8"), backend)


def test_lists_of_what():
    with pytest.raises(TypeError, match=r"Compose takes a list of transforms, got RandomCrop.*: put it into \[ \]"):
        Compose(RandomCrop())
    with pytest.raises(TypeError, match="RandomApply: 'flip' is no transform: it cannot be called"):
        RandomApply(["flip"])


def test_wrong_pairs(backend):
    x = images()
    with pytest.raises(ValueError, match="MixUp needs num_classes to mix class numbers, as in num_classes=10"):
        mixed(MixUp(), backend, x, x, LABELS, OTHERS)
    with pytest.raises(TypeError, match="MixUp needs floating-point images, got uint8"):
        mixed(MixUp(4), backend, images(dtype="uint8"), images(dtype="uint8"), LABELS, OTHERS)
    with pytest.raises(ValueError, match=r"CutMix: the partners have shape \(6, 3, 7, 8\), the images \(6, 3, 7, 9\)"):
        mixed(CutMix(4), backend, x, x[..., :8], LABELS, OTHERS)


def test_a_bad_pixel_is_seen_only_where_it_has_a_weight(backend):
    """At whole positions the neighbours have the weight 0."""
    x = np.arange(12.0, dtype="float32").reshape(1, 1, 3, 4)
    x[0, 0, 1, 1] = np.nan
    x[0, 0, 2, 3] = np.inf
    row, column = (backend.asarray(g[None].astype("float32")) for g in np.mgrid[0:3, 0:4])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(backend.to_numpy(bilinear(backend.xp, backend.asarray(x), row, column)), x)
        between = backend.to_numpy(bilinear(backend.xp, backend.asarray(x), row, column + 0.5))
    assert np.argwhere(np.isnan(between[0, 0])).tolist()[:2] == [[1, 0], [1, 1]]
    assert np.isfinite(between[0, 0, 0]).all()


def test_a_sample_that_is_not_mixed_does_not_see_its_partner(backend):
    x, bad = images(), np.full_like(images(), np.nan)
    with np.errstate(invalid="ignore"):
        y, targets = mixed(MixUp(4, 1.0, 0.5), backend, x, bad, LABELS, OTHERS)
    alone = np.isfinite(y).all(axis=(1, 2, 3))
    assert 0 < alone.sum() < len(x)
    np.testing.assert_array_equal(y[alone], x[alone])
    np.testing.assert_array_equal(targets[alone], np.eye(4)[LABELS[alone]])
    assert np.isnan(y[~alone]).all()
