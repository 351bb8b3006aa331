from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from xpnet._extras import MissingExtraError
from xpnet.data import DataError, load_mnist
from xpnet.data.images import read_image, show_digit, to_digit

RNG = np.random.default_rng


def saved(image, path, **options):
    image.save(path, **options)
    return read_image(path)


def drawn(text="7", side=200, ground=255, ink=0, at=(60, 20), size=140):
    """A digit as a program would draw it."""
    image = Image.new("L", (side, side), ground)
    ImageDraw.Draw(image).text(at, text, fill=ink, font=ImageFont.load_default(size))
    return np.asarray(image)


def correlation(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def pasted(digit, rng):
    """A 28x28 digit as in a photo: larger, somewhere, dark or light, unevenly lit, with noise."""
    side = int(rng.integers(40, 300))
    big = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255
    height, width = (int(side * rng.uniform(1, 2.5)) for _ in range(2))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    ink = np.zeros((height, width))
    ink[top : top + side, left : left + side] = big * rng.uniform(90, 160)
    light = np.linspace(-20, 20, height)[:, None] * rng.uniform(-1, 1) + np.linspace(-20, 20, width) * rng.uniform(
        -1, 1
    )
    photo = (40 + ink if rng.random() < 0.5 else 215 - ink) + light + rng.normal(0, 8, ink.shape)
    return Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tiff", "webp", "pgm"])
def test_grey_pixels_come_back(tmp_path, suffix):
    pixels = RNG(0).integers(0, 256, (7, 5)).astype(np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    found = saved(Image.fromarray(pixels), tmp_path / f"x.{suffix}", **options)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found if found.ndim == 2 else found[..., 0], pixels)


def test_colours_come_back(tmp_path):
    pixels = RNG(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(saved(Image.fromarray(pixels), tmp_path / "x.png"), pixels)


def test_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(40), np.arange(30)).astype(np.uint8) * 3
    found = saved(Image.fromarray(smooth), tmp_path / "x.jpg", quality=95)
    assert found.shape == (40, 30)
    assert np.abs(found.astype(int) - smooth).max() <= 6


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(tmp_path, mode):
    image = Image.new(mode, (4, 3), (10, 0) if mode == "LA" else (10, 20, 30, 0))
    image.putpixel((1, 2), (10, 255) if mode == "LA" else (10, 20, 30, 255))
    found = saved(image, tmp_path / "x.png")
    assert found.shape == ((3, 4) if mode == "LA" else (3, 4, 3))
    assert np.unique(found[0]).tolist() == [255]
    assert found[2, 1].tolist() == (10 if mode == "LA" else [10, 20, 30])


def test_palettes_with_and_without_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([200, 100, 50, 1, 2, 3])
    image.putpixel((1, 0), 1)
    assert saved(image, tmp_path / "x.png").tolist() == [[[200, 100, 50], [1, 2, 3]]]
    assert saved(image, tmp_path / "y.png", transparency=0).tolist() == [[[255, 255, 255], [1, 2, 3]]]


def test_16_bits_become_8(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    assert saved(Image.fromarray(values), tmp_path / "x.png").tolist() == [[0, 1, 127, 255]]


@pytest.mark.parametrize("kind", ["uint16", "int32"])
def test_grey_levels_in_an_image_of_more_bits(tmp_path, kind):
    values = np.array([[0, 7, 200, 255]], dtype=kind)
    assert saved(Image.fromarray(values), tmp_path / "x.tiff").tolist() == [[0, 7, 200, 255]]


def test_other_kinds_of_numbers(tmp_path):
    assert saved(Image.fromarray(np.array([[0, 65535]], np.int32)), tmp_path / "i.tiff").tolist() == [[0, 255]]
    floats = np.array([[-1.0, 0.0, np.nan, 1.0]], np.float32)
    assert saved(Image.fromarray(floats), tmp_path / "f.tiff").tolist() == [[0, 128, 128, 255]]
    assert saved(Image.fromarray(np.array([[False, True]])), tmp_path / "b.png").tolist() == [[0, 255]]


def test_the_camera_s_orientation_is_applied(tmp_path):
    image = Image.fromarray(np.repeat(np.uint8([[0], [250]]), 16, axis=0).repeat(48, axis=1))  # 32 high, 48 wide
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    found = saved(image, tmp_path / "x.jpg", exif=exif)
    assert found.shape == (48, 32)
    assert found[:, 0].min() > 200  # the lower half came to the left
    assert found[:, -1].max() < 50


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such image file: check its name and folder: .*nowhere\.png"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="is a folder: give the image files in it"):
        read_image(tmp_path)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.png is an empty file"):
        read_image(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("this is no picture")
    with pytest.raises(
        DataError, match=r"text\.png is no image: it starts with b'this is '; expected one of PNG, JPEG"
    ):
        read_image(tmp_path / "text.png")
    (tmp_path / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match="is no image: it starts with b'%!PS-Ado'"):
        read_image(tmp_path / "x.eps")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "webp", "bmp"])
@pytest.mark.parametrize("part", [0.3, 0.8])
def test_truncated_files(tmp_path, suffix, part):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(RNG(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"x\.{suffix} is (truncated or damaged|no image)"):
        read_image(path)


@pytest.mark.parametrize("limit", [3000, 100])  # Pillow warns above the limit, and refuses above twice the limit
def test_decompression_bombs(tmp_path, monkeypatch, limit):
    path = tmp_path / "big.png"
    Image.new("L", (64, 64)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match=r"big\.png is too large: .*4096 pixels.*make it smaller"):
        read_image(path)


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r'reading images needs PIL.*pip install "xpnet\[plot\]"'):
        read_image(tmp_path / "x.png")


# -- digits ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist():
    import os

    if not os.environ.get("XPNET_DATA"):
        pytest.skip("set XPNET_DATA to a folder with mnist/ to run the tests on real digits")
    return load_mnist(download=False)[1].inputs


def test_mnist_comes_back_nearly_unchanged(mnist):
    same = [correlation(to_digit(image), image) for image in mnist[:200]]
    assert min(same) > 0.99


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_photos_of_mnist_digits(tmp_path, mnist, suffix):
    rng, found = RNG(0), []
    for digit in mnist[:50]:
        pasted(digit, rng).save(tmp_path / f"x.{suffix}")
        found.append(correlation(to_digit(read_image(tmp_path / f"x.{suffix}")), digit))
    assert np.mean(found) > 0.88
    assert np.min(found) > 0.5


@pytest.mark.parametrize("text", list("0123456789"))
def test_drawn_digits_look_the_same_however_they_are_drawn(text):
    usual = to_digit(drawn(text))
    for other in (
        drawn(text, ground=0, ink=255),
        drawn(text, ground=200, ink=90),
        drawn(text, ground=20, ink=60),
        drawn(text, side=900, at=(500, 100), size=300),
        drawn(text, side=3000, at=(2000, 1500), size=200),
        np.stack([drawn(text)] * 3, axis=-1),
    ):
        assert correlation(to_digit(other), usual) > 0.8  # a pixel's shift costs 0.1


@pytest.mark.parametrize(("ink", "ground"), [
    ((0, 0, 255), (0, 0, 0)), ((255, 255, 0), (255, 255, 255)), ((200, 0, 0), (0, 0, 0)), ((0, 0, 90), (0, 0, 0)),
])  # fmt: skip
def test_ink_that_is_about_as_bright_as_its_ground(ink, ground):
    shares = [np.asarray(Image.fromarray(drawn(ground=0, ink=255)).resize((n, n))) / 255.0 for n in (28, 140)]
    found = [to_digit(np.rint(x[..., None] * ink + (1 - x[..., None]) * ground).astype(np.uint8)) for x in shares]
    assert min(digit.max() for digit in found) >= 200
    assert correlation(found[1], to_digit(np.rint(255 * shares[1]).astype(np.uint8))) > 0.98


def test_the_digit_is_placed_as_in_mnist():
    for text in "0123456789":
        digit = to_digit(drawn(text))
        assert digit.shape == (28, 28)
        assert digit.dtype == np.uint8
        assert digit.max() == 255
        assert digit[0].max() == digit[:, 0].max() == 0
        rows, columns = (np.flatnonzero((digit > 50).any(axis=axis)) for axis in (1, 0))
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
        for axis in (0, 1):
            mass = digit.sum(axis=1 - axis, dtype=float)
            assert mass @ np.arange(28) / mass.sum() == pytest.approx(14, abs=0.75)


def test_thin_lines_do_not_fade():
    image = Image.new("L", (800, 800), 255)
    ImageDraw.Draw(image).line([(200, 150), (550, 150), (350, 650)], fill=0, width=5)
    digit = to_digit(np.asarray(image))
    assert digit.max() == 255
    assert 60 <= (digit > 100).sum() <= 140  # strokes of about two pixels


def test_stray_marks_are_left_out():
    clean = drawn("3")
    dusty = clean.copy()
    dusty[5:9, 190:195] = dusty[180:184, 4:8] = 0
    assert correlation(to_digit(dusty), to_digit(clean)) > 0.99


def test_a_strong_shadow_is_no_ink():
    y, x = np.mgrid[:200, :200] / 200
    photo = np.clip(drawn("5", ground=230, ink=90) * (1 - 0.5 * x - 0.2 * y * y), 0, 255).astype(np.uint8)
    assert correlation(to_digit(photo), to_digit(drawn("5"))) > 0.9


def test_small_digits_fill_the_image():
    digit = to_digit(drawn("8"), size=8)
    assert digit.shape == (8, 8)
    assert digit.max() == 255
    assert digit[0].max() > 50
    assert digit[-1].max() > 50


def test_scikit_learn_s_digits_are_recognised_again():
    sklearn = pytest.importorskip("sklearn.datasets")
    images = np.rint(sklearn.load_digits().images[:50] * 255 / 16).astype(np.uint8)
    found = [correlation(to_digit(image, size=8), image) for image in images]
    assert np.mean(found) > 0.95
    big = [np.asarray(Image.fromarray(255 - image).resize((160, 160))) for image in images]
    again = [correlation(to_digit(image, size=8), small) for image, small in zip(big, images, strict=True)]
    assert np.mean(again) > 0.85


def test_no_digit():
    noise = RNG(0).normal(128, 3, (100, 100)).astype(np.uint8)
    shade = np.broadcast_to(np.linspace(40, 220, 100).astype(np.uint8), (100, 100))
    for image in (np.zeros((28, 28), np.uint8), np.full((300, 200, 3), 255, np.uint8), noise, shade):
        with pytest.raises(ValueError, match="no digit found: the image is blank or too faint; draw it in one colour"):
            to_digit(image)
    speck = np.zeros((100, 100), np.uint8)
    speck[50:52, 50:52] = 255
    with pytest.raises(ValueError, match="no digit found: there are only specks"):
        to_digit(speck)
    with pytest.raises(ValueError, match="no digit found: the image has only 2x5 pixels"):
        to_digit(np.zeros((5, 2), np.uint8))


def test_wrong_arguments():
    for image in (np.zeros((28, 28)), np.zeros((28, 28, 4), np.uint8), np.zeros(784, np.uint8)):
        with pytest.raises(ValueError, match=r"expected pixels, uint8 \(H, W\) or \(H, W, 3\), got"):
            to_digit(image)
    for size in (0, 3, 28.0):
        with pytest.raises(ValueError, match="size must be a whole number of at least 4 pixels"):
            to_digit(drawn(), size=size)


# -- showing ---------------------------------------------------------------------------------------------------------


def test_show_digit_shows_two_pixels_in_a_character():
    image = np.array([[0, 255, 0, 255, 100], [0, 255, 255, 0, 100]], np.uint8)
    assert show_digit(image) == " █▄▀░"
    assert show_digit(image, ascii=True) == " @==-"


def test_show_digit_has_the_shape_of_the_image():
    digit = to_digit(drawn("4"))
    for plain in (False, True):
        lines = show_digit(digit, ascii=plain).split("\n")
        assert [len(line) for line in lines] == [28] * 14
    assert show_digit(digit, ascii=True).isascii()
    assert len(show_digit(np.zeros((7, 3), np.uint8)).split("\n")) == 4


def test_show_digit_refuses_what_is_no_grey_image():
    with pytest.raises(ValueError, match=r"expected grey pixels, uint8 \(H, W\), got float64 \(28, 28\)"):
        show_digit(np.zeros((28, 28)))
