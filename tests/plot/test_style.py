from __future__ import annotations

import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from xpnet import plot
from xpnet._extras import MissingExtraError, require
from xpnet.plot.style import DPI, fit

HISTORY = {"train_loss": [0.9, 0.5], "val_loss": [0.8, 0.6]}


def test_importing_plot_does_not_import_matplotlib():
    code = "import sys, xpnet.plot, xpnet.data.images; print([m for m in ('matplotlib', 'PIL') if m in sys.modules])"
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_save_writes_a_png_of_the_figure_s_size(tmp_path):
    figure = plot.curves(HISTORY)
    plot.save(figure, tmp_path / "curves.png")
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert (width / DPI, height / DPI) == pytest.approx(tuple(figure.get_size_inches()), abs=1 / DPI)
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_the_same_figure_gives_the_same_bytes_in_any_thread(tmp_path):
    def draw(number):
        plot.save(plot.curves(HISTORY), tmp_path / f"{number}.png")
        plot.save(plot.confusion([[5, 1], [2, 7]], "ab"), tmp_path / f"c{number}.png")
        return (tmp_path / f"{number}.png").read_bytes(), (tmp_path / f"c{number}.png").read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(draw, range(4)))) == 1


def test_no_window_and_no_global_state():
    from matplotlib import rcParams

    before = dict(rcParams)
    figure = plot.curves(HISTORY)
    assert type(figure.canvas).__name__ == "FigureCanvasAgg"
    assert figure.canvas.manager is None
    assert dict(rcParams) == before


def test_long_texts_become_smaller_and_then_shorter():
    figure, _ = plot.panels(["a"])
    plain, smaller, shorter = (figure.text(0, 0, "m" * n, fontsize=10) for n in (3, 12, 60))
    for text in (plain, smaller, shorter):
        fit(text, 1.2)
        assert text.get_window_extent(figure.canvas.get_renderer()).width <= 1.25 * figure.dpi
    assert (plain.get_fontsize(), plain.get_text()) == (10, "mmm")
    assert 7 <= smaller.get_fontsize() < 10
    assert smaller.get_text() == "m" * 12
    assert shorter.get_text().endswith("m…")


def test_only_png(tmp_path):
    with pytest.raises(ValueError, match=r"saved as PNG: .*curves.pdf' must end in \.png"):
        plot.save(plot.curves(HISTORY), tmp_path / "curves.pdf")


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(OSError, match="cannot write"):
        plot.save(plot.curves(HISTORY), tmp_path / "nowhere" / "curves.png")


@pytest.mark.parametrize(
    ("draw", "purpose"),
    [
        (lambda: plot.curves(HISTORY), "drawing training curves"),
        (lambda: plot.confusion([[1, 0], [0, 1]], "ab"), "drawing a confusion matrix"),
        (lambda: plot.predictions([[[0, 1], [1, 0]]], [1], [1]), "drawing predictions"),
    ],
)
def test_without_matplotlib(monkeypatch, draw, purpose):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as error:
        draw()
    assert str(error.value) == f'{purpose} needs matplotlib, which is not installed: pip install "xpnet[plot]"'


def test_require_gives_the_module_and_passes_on_what_it_cannot_explain():
    assert require("json", extra="plot", purpose="reading") is sys.modules["json"]
    assert issubclass(MissingExtraError, ImportError)


@pytest.mark.parametrize("names", ["猫犬", "🐶🍎", "أب", ["हिन्दी", "தமிழ்"]])
def test_names_in_scripts_that_no_font_has_are_drawn_without_a_warning(names, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot.save(plot.confusion([[3, 1], [0, 2]], names), tmp_path / "x.png")
        plot.save_gif([plot.confusion([[3, 1], [0, 2]], names)], tmp_path / "x.gif")
    assert (tmp_path / "x.png").stat().st_size > 1000
