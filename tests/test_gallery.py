"""The gallery's checker, and the gallery itself."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def load_checker():
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "ci/gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = load_checker()


@pytest.fixture
def house(tmp_path):
    """A checkout with two examples, and a page for one of them."""
    (tmp_path / "examples").mkdir()
    (tmp_path / "docs/gallery").mkdir(parents=True)
    for name in ("01_perceptron", "02_xor"):
        (tmp_path / f"examples/{name}.py").write_text('"""About."""')
    (tmp_path / "docs/gallery/01_perceptron.md").write_text("# 01 Perceptron\n\n![seen](01_perceptron.png)\n")
    (tmp_path / "docs/gallery/01_perceptron.png").write_bytes(b"png")
    return tmp_path


def test_what_is_there_is_right():
    assert gallery.errors(ROOT) == []


def test_missing_pages_count_once_all_are_there(house):
    assert gallery.errors(house, complete=False) == []
    (house / "docs/gallery.md").write_text(gallery.index(house))
    assert gallery.errors(house, complete=True) == [
        "docs/gallery/02_xor.md is missing: every numbered example has its page"
    ]
    (house / "docs/gallery.md").write_text("old")
    assert "not up to date" in gallery.errors(house, complete=True)[-1]


def test_the_index(house):
    assert gallery.index(house).endswith("\n\n- 01 [Perceptron](gallery/01_perceptron.md)\n")


def test_pictures_and_names(house):
    page, picture = house / "docs/gallery/01_perceptron.md", house / "docs/gallery/01_perceptron.png"
    picture.write_bytes(bytes(100_000))
    assert gallery.errors(house, complete=False) == [
        "docs/gallery/01_perceptron.md: 01_perceptron.png has 100,000 bytes, fewer than 100,000 are wanted"
    ]
    picture.unlink()
    assert gallery.errors(house, complete=False) == [
        "docs/gallery/01_perceptron.md: the picture 01_perceptron.png does not exist"
    ]
    page.write_text("# 01\n")
    assert gallery.errors(house, complete=False) == ["docs/gallery/01_perceptron.md shows no picture"]
    page.rename(page.with_name("03_visualiser.md"))
    assert (
        gallery.errors(house, complete=False)[0]
        == "docs/gallery/03_visualiser.md: there is no examples/03_visualiser.py"
    )
