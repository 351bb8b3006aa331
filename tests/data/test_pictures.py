"""Pictures become images like those of the training."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from xpnet._extras import MissingExtraError
from xpnet.data import load_digits
from xpnet.data.images import read_image, to_digit
from xpnet.data.images.pictures import PictureRecipe

DIGITS = tuple("0123456789")
RNG = np.random.default_rng


def garments(n=30, size=(28, 28)):
    """Textured blocks that touch the edges of a black image, as Fashion-MNIST's clothes do."""
    rng = RNG(1)
    images = np.zeros((n, *size), np.uint8)
    images[:, 1:, 6:-5] = rng.integers(60, 256, (n, size[0] - 1, size[1] - 11))
    return images


def as_picture(image):
    return image if image.ndim == 2 else image.transpose(1, 2, 0)


def drawn(text="7", side=200, size=140):
    """White ink on black, uint8 (side, side)."""
    image = Image.new("L", (side, side), 0)
    ImageDraw.Draw(image).text((60, 20), text, fill=255, font=ImageFont.load_default(size))
    return np.asarray(image)


# -- what a dataset is like ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inverted", [False, True])
def test_digits_are_known_by_their_classes_and_their_place(inverted):
    pytest.importorskip("sklearn")
    images = load_digits()[0].inputs
    recipe = PictureRecipe.fit(255 - images if inverted else images, DIGITS)
    assert recipe == PictureRecipe((8, 8), 1, digits=True, ground="light" if inverted else "dark")
    assert not PictureRecipe.fit(images, tuple("abcdefghij")).digits


def test_what_fills_its_frame_is_no_digit_whatever_its_classes_are_called():
    assert PictureRecipe.fit(garments(), DIGITS) == PictureRecipe((28, 28), 1, digits=False, ground="dark")
    corner = np.zeros((30, 28, 28), np.uint8)
    corner[:, 2:12, 2:9] = 255  # a digit that stands anywhere must not be put in the middle
    assert not PictureRecipe.fit(corner, DIGITS).digits


@pytest.mark.parametrize(("shape", "size", "channels"), [
    ((9, 3, 12, 10), (12, 10), 3), ((9, 1, 12, 10), (12, 10), 1), ((9, 12, 10), (12, 10), 1), ((1, 1, 1), (1, 1), 1),
])  # fmt: skip
def test_size_and_channels(shape, size, channels):
    recipe = PictureRecipe.fit(RNG(0).integers(80, 170, shape).astype(np.uint8), DIGITS)
    assert recipe == PictureRecipe(size, channels)


def test_a_state_comes_back_and_a_wrong_one_is_refused():
    recipe = PictureRecipe((28, 20), 3, ground="light")
    assert PictureRecipe.from_state(recipe.state()) == recipe
    for change in ({"size": [0, 3]}, {"size": 28}, {"channels": 2}, {"ground": "grey"}, {"digits": 1}, {"more": 0}):
        with pytest.raises(ValueError, match=r"size must be|expected"):
            PictureRecipe.from_state({**recipe.state(), **change})
    with pytest.raises(ValueError, match="digits are square and grey"):
        PictureRecipe((28, 20), digits=True)


# -- pictures of the right size stay as they are ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["garments", "inverted garments", "colour", "grey photos", "digits", "inverted digits"]
)
def test_a_test_image_comes_back_exactly(kind):
    if "digits" in kind:
        pytest.importorskip("sklearn")
        images, classes = load_digits()[1].inputs[:60], DIGITS
    else:
        images, classes = garments(), ("a", "b")
    if kind == "colour":
        images = RNG(0).integers(0, 256, (20, 3, 32, 32)).astype(np.uint8)
    if kind == "grey photos":
        images = RNG(0).integers(80, 256, (20, 10, 14)).astype(np.uint8)
    images = 255 - images if "inverted" in kind else images
    recipe = PictureRecipe.fit(images, classes)
    for image in images:
        np.testing.assert_array_equal(recipe(as_picture(image)), image)
        if image.ndim == 2:
            np.testing.assert_array_equal(recipe(np.stack([image] * 3, axis=-1)), image)  # grey, saved as RGB


def test_an_enlarged_digit_comes_back_exactly():
    pytest.importorskip("sklearn")
    recipe = PictureRecipe((8, 8), digits=True, ground="dark")
    for image in load_digits()[1].inputs[:20]:
        np.testing.assert_array_equal(recipe(image.repeat(5, axis=0).repeat(5, axis=1)), image)


@pytest.mark.parametrize("factor", [2, 10])
@pytest.mark.parametrize("colour", [False, True])
def test_an_enlarged_image_comes_back_exactly(factor, colour):
    image = RNG(0).integers(0, 256, (3, 16, 16)).astype(np.uint8) if colour else garments(1)[0]
    recipe = PictureRecipe(image.shape[-2:], 3 if colour else 1)
    big = as_picture(image).repeat(factor, axis=0).repeat(factor, axis=1)
    np.testing.assert_array_equal(recipe(big), image)


def test_other_sizes_keep_their_aspect():
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 200
    plain = PictureRecipe((10, 10))(wide)
    assert (plain == 200).all()  # the middle is cut out
    padded = PictureRecipe((30, 30), ground="dark")(wide)
    assert padded[:10].max() == padded[20:].max() == 0
    assert (padded[10:20, 10:20] == 200).all()
    assert PictureRecipe((20, 40), 3)(np.full((5, 500), 7, np.uint8)).shape == (3, 20, 40)
    assert PictureRecipe((20, 40), ground="dark")(np.full((100_000, 1), 7, np.uint8)).shape == (20, 40)


def test_the_opposite_ground_is_inverted_in_other_sizes_only():
    recipe = PictureRecipe.fit(garments(), ("a",))
    big = garments(1)[0].repeat(4, axis=0).repeat(4, axis=1)
    assert not recipe.inverts(big)
    assert recipe.inverts(255 - big)
    np.testing.assert_array_equal(recipe(255 - big), garments(1)[0])
    np.testing.assert_array_equal(recipe(255 - garments(1)[0]), 255 - garments(1)[0])
    photo = RNG(0).integers(90, 160, (50, 50)).astype(np.uint8)
    assert not recipe.inverts(photo)


def test_grey_for_colour_and_colour_for_grey():
    grey = RNG(0).integers(0, 256, (8, 8)).astype(np.uint8)
    np.testing.assert_array_equal(PictureRecipe((8, 8), 3)(grey), np.stack([grey] * 3))
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert np.unique(PictureRecipe((8, 8))(red)).tolist() == [76]  # ITU-R 601


def test_digits_are_found_in_either_polarity():
    for ground in ("dark", "light"):
        recipe = PictureRecipe((28, 28), digits=True, ground=ground)
        expected = to_digit(drawn()) if ground == "dark" else 255 - to_digit(drawn())
        for picture in (drawn(), 255 - drawn()):
            np.testing.assert_allclose(recipe(picture).astype(int), expected, atol=1)
    with pytest.raises(ValueError, match="no digit found"):
        PictureRecipe((28, 28), digits=True, ground="dark")(np.zeros((90, 90), np.uint8))


def test_without_pillow_images_of_the_right_size_pass(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    image = garments(1)[0]
    np.testing.assert_array_equal(PictureRecipe.fit(garments(), ("a",))(image), image)
    with pytest.raises(MissingExtraError, match="reading images needs PIL"):
        PictureRecipe((28, 28))(image.repeat(2, axis=0))


# -- transparency ----------------------------------------------------------------------------------------------------


def saved(pixels, path, mode=None):
    Image.fromarray(pixels, *([mode] if mode else [])).save(path)
    return read_image(path)


@pytest.mark.parametrize("tone", [(255, 255, 255), (0, 0, 0), (230, 220, 90), (20, 30, 120), (128, 128, 128)])
@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_ink_on_a_transparent_ground_is_no_blank(tmp_path, tone, suffix):
    layers = [np.full((200, 200), value, np.uint8) for value in tone]
    image = np.dstack([*layers, drawn()])
    Image.fromarray(image).save(tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    found = read_image(tmp_path / f"x.{suffix}")
    assert int(found.max()) - int(found.min()) >= 120
    assert np.corrcoef(to_digit(found).ravel(), to_digit(drawn()).ravel())[0, 1] > 0.97


def test_white_with_alpha_gives_exactly_the_image(tmp_path):
    image = garments(1)[0]
    np.testing.assert_array_equal(saved(np.dstack([np.full_like(image, 255), image]), tmp_path / "la.png"), image)
    rgba = saved(np.dstack([np.full_like(image, 255)] * 3 + [image]), tmp_path / "rgba.png")
    np.testing.assert_array_equal(rgba, np.stack([image] * 3, axis=-1))


def test_a_palette_with_white_ink_on_a_transparent_entry(tmp_path):
    image = Image.new("P", (200, 200))
    image.putpalette([255, 255, 255, 255, 255, 255])
    image.putdata(np.where(drawn() > 99, 1, 0).ravel().tolist())
    for suffix in ("png", "gif"):
        image.save(tmp_path / f"x.{suffix}", transparency=0)
        found = read_image(tmp_path / f"x.{suffix}")
        assert found[0, 0].max() == 0
        assert found.max() == 255


@pytest.mark.parametrize("board", [False, True])
def test_paper_with_transparent_margins_keeps_its_tone(tmp_path, board):
    paper = np.full((300, 300), 255, np.uint8)
    paper[50:250, 50:250] = 255 - drawn()
    paper = 255 - paper if board else paper
    alpha = np.zeros((300, 300), np.uint8)
    alpha[30:270, 30:270] = 255
    found = saved(np.dstack([paper, paper, paper, alpha]), tmp_path / "x.png")
    assert found[0, 0].tolist() == ([0, 0, 0] if board else [255, 255, 255])
    assert np.corrcoef(to_digit(found).ravel(), to_digit(drawn()).ravel())[0, 1] > 0.97


def test_nothing_visible_is_a_blank(tmp_path):
    assert (saved(np.zeros((9, 9, 4), np.uint8), tmp_path / "x.png") == 255).all()


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    pixels = RNG(0).integers(0, 256, (9, 9, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    np.testing.assert_array_equal(saved(pixels, tmp_path / "x.png"), pixels[..., :3])


def test_the_first_frame_of_an_animation(tmp_path):
    first, second = garments(1)[0], np.full((28, 28), 9, np.uint8)
    for name in ("x.gif", "x.png"):
        Image.fromarray(first).save(tmp_path / name, save_all=True, append_images=[Image.fromarray(second)])
        found = read_image(tmp_path / name)
        np.testing.assert_array_equal(found if found.ndim == 2 else found[..., 0], first)


def test_cmyk(tmp_path):
    Image.fromarray(drawn()).convert("RGB").convert("CMYK").save(tmp_path / "x.tif")
    found = read_image(tmp_path / "x.tif")
    np.testing.assert_array_equal(found, np.stack([drawn()] * 3, axis=-1))
