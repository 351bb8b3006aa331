"""A run that is killed at any moment and resumed ends bit for bit as an uninterrupted one."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest

import xpnet
from tests.support.process import environment
from tests.support.process import python as run

pytestmark = pytest.mark.slow

OPTIONS = ["--epochs", "12", "--dropout", "0.2", "--batch-size", "32", "--seed", "5", "--backend", "numpy"]

# Runs the command line, and kills itself at the n-th call of a function that a checkpoint's write goes through.
KILL_IN_WRITE = """
import os, signal, sys
name, count = sys.argv[1], int(sys.argv[2])
whole = getattr(os, name)
def replacement(*args, **kwargs):
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)
setattr(os, name, replacement)
from xpnet.cli import main
sys.exit(main(sys.argv[3:]))
"""


def write_table(path):
    """A small table of images, in which each class has its own bright region."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 1000)
    pixels = rng.integers(0, 120, (1000, 64))
    pixels[np.arange(1000), labels * 6] += 100
    header = ",".join(["label", *(f"pixel{i}" for i in range(64))])
    np.savetxt(path, np.column_stack([labels, pixels]), fmt="%d", delimiter=",", header=header, comments="")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The table, the folder of the uninterrupted run, and its duration in seconds."""
    table = tmp_path_factory.mktemp("whole") / "table.csv"
    write_table(table)
    folder = table.with_name("run")
    started = time.perf_counter()
    done = run("-m", "xpnet", "train", str(table), *OPTIONS, "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return table, folder, time.perf_counter() - started


def assert_same_result(folder, whole):
    for name in ("history.csv", "best.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = xpnet.load(folder / "last.safetensors"), xpnet.load(whole / "last.safetensors")
    assert ours.keys() == theirs.keys()
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert not [p for p in folder.iterdir() if p.name.endswith(".part") and p.stat().st_size == 0]


def finish(table, folder):
    """Resume until the run is complete; start it again if it was killed before its settings were written."""
    if not (folder / "config.json").exists():
        done = run("-m", "xpnet", "train", str(table), *OPTIONS, "--out", str(folder))
    else:
        done = run("-m", "xpnet", "train", "--resume", str(folder))
    assert done.returncode == 0, done.stderr


def test_killed_at_random_moments(tmp_path, uninterrupted):
    table, whole, _ = uninterrupted
    rng = random.Random(0)
    for i in range(6):
        folder = tmp_path / f"run{i}"
        process = subprocess.Popen(
            [sys.executable, "-m", "xpnet", "train", str(table), *OPTIONS, "--out", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        wait_for_epochs(folder, rng.randint(1, 8), process)
        time.sleep(rng.uniform(0.0, 0.02))
        process.kill()
        assert process.wait() == -9, "the run was over before it could be killed: the test shows nothing"
        finish(table, folder)
        assert_same_result(folder, whole)


def wait_for_epochs(folder, count, process):
    """Until so many epochs stand in the history, or the process ends."""
    history = folder / "history.csv"
    while process.poll() is None and not (history.exists() and history.read_text().count("\n") > count):
        time.sleep(0.002)


@pytest.mark.parametrize(("function", "count"), [
    ("fsync", 3), ("fsync", 8), ("fsync", 13), ("fsync", 21), ("fsync", 30),
    ("replace", 2), ("replace", 3), ("replace", 4), ("replace", 9), ("replace", 14),
])  # fmt: skip
def test_killed_inside_a_checkpoint_write(tmp_path, uninterrupted, function, count):
    table, whole, _ = uninterrupted
    folder = tmp_path / "run"
    done = run("-c", KILL_IN_WRITE, function, str(count), "train", str(table), *OPTIONS, "--out", str(folder))
    assert done.returncode == -9
    finish(table, folder)
    assert_same_result(folder, whole)
