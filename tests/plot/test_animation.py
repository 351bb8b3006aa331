from __future__ import annotations

import sys

import numpy as np
import pytest

from xpnet import plot
from xpnet._extras import MissingExtraError


def frames(count=4):
    for k in range(count):
        yield plot.lines({"a": [0, k], "b": [1, 2]})


def test_frames_times_and_the_same_bytes(tmp_path):
    from PIL import Image

    plot.save_gif(frames(), tmp_path / "a.gif", seconds=0.1, hold=2)
    plot.save_gif(frames(), tmp_path / "b.gif", seconds=0.1, hold=2)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 4
        assert image.info["loop"] == 0
        times = []
        for k in range(4):
            image.seek(k)
            times.append(image.info["duration"])
    assert times == [100, 100, 100, 2000]
    assert (tmp_path / "a.gif").stat().st_size < 60_000


def test_small_marks_keep_their_colour(tmp_path):
    from PIL import Image

    def predict(points):
        return points[:, 0]

    x = [[0.0, 0.0], [1.0, 1.0]]
    plot.save_gif([plot.decision_boundary(predict, x, [0, 1])] * 2, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        found = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    for color in [(0, 0x72, 0xB2), (0xD5, 0x5E, 0), (255, 255, 255)]:
        assert np.abs(found - color).max(axis=1).min() < 12


@pytest.mark.parametrize(("figures", "name", "options", "message"), [
    ([], "a.gif", {}, "no figures"), (frames(), "a.png", {}, r"'a.png' must end in .gif"),
    (frames(), "a.gif", {"colors": 1}, "colors in 2..256"), (frames(), "a.gif", {"seconds": 0}, "positive times"),
])  # fmt: skip
def test_what_cannot_be_saved(figures, name, options, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        plot.save_gif(figures, name, **options)


def test_figures_of_two_sizes(tmp_path):
    other, _ = plot.panels(["a"])
    with pytest.raises(ValueError, match="must have one size"):
        plot.save_gif([*frames(1), other], tmp_path / "a.gif")


def test_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match="saving an animation needs PIL"):
        plot.save_gif(frames(1), tmp_path / "a.gif")
