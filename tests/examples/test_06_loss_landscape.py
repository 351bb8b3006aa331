"""The loss landscape: that its figures are what its text says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "06_loss_landscape.py"
pytestmark = pytest.mark.slow


def run(*options):
    return subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True)


def test_its_figures(tmp_path):
    done = run("--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["around"]["loss"] < 0.5 * found["around"]["loss_at_the_edge"]
    assert found["wall to a solution from another start"] > found["wall to itself, trained further"]
    plain, normalised = found["step of 0.3, plain"], found["step of 0.3, filter-normalised"]
    assert normalised["network"] == pytest.approx(normalised["rescaled_twin"], rel=0.01)
    assert plain["rescaled_twin"] > 2 * plain["network"]
    assert 0.5 < sum(found["explained_variance"]) < 1
    assert {path.stem for path in tmp_path.glob("*.png")} == {
        "1_contours", "1_surface", "2_line", "3_paths", "4_contours", "4_surface",
    }  # fmt: skip


def test_wrong_use(tmp_path):
    done = run("--quick", "--out", str(tmp_path), "--blocks", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("argument --blocks: expected 1 to 50 blocks, got 0")
