import numpy as np
import pytest

from xpnet.data import load_photographs, read_image, write_image


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_what_was_written_is_read(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    write_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_wrong_use(tmp_path):
    with pytest.raises(ValueError, match=r"expected uint8 .* got float64 \(5, 7\)"):
        write_image(tmp_path / "a.png", np.zeros((5, 7)))
    with pytest.raises(ValueError, match=r"got uint8 \(5, 7, 4\)"):
        write_image(tmp_path / "a.png", np.zeros((5, 7, 4), np.uint8))
    with pytest.raises(ValueError, match=r"must end in \.png"):
        write_image(tmp_path / "a.jpg", np.zeros((5, 7), np.uint8))


def test_the_embedded_photographs():
    photographs = load_photographs()
    assert {name: (x.dtype, x.shape) for name, x in photographs.items()} == dict.fromkeys(
        ("temple", "flower"), (np.uint8, (427, 640, 3))
    )
