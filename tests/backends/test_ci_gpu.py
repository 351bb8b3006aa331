"""What ci/gpu says and returns, with a stub in Python's place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "ci" / "gpu"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed: ci/gpu not run")

STUB = """#!/bin/sh
case "$*" in
  -c*why_unavailable*) echo "{reason}" ;;
  -c*) echo "a GPU" ;;
  *)
    echo "backend=$XPNET_TEST_BACKEND $*"
    case "$*" in *"{failing}"*) exit 1 ;; esac
    case "$*" in *"{hanging}"*) sleep 30 ;; esac ;;
esac
"""


def ci_gpu(
    folder: Path, *arguments: str, reason: str = "", failing: str = "nothing", hanging: str = "nothing", **settings: str
) -> tuple[int, str]:
    """Run the script with a backend that fails for ``reason``; one step fails and one hangs, if they are named."""
    python = folder / "python"
    python.write_text(STUB.format(reason=reason, failing=failing, hanging=hanging))
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XPNET_")}
    environment |= {"PYTHON": str(python), "OUT": str(folder / "logs"), "PATH": "/usr/bin:/bin"} | settings
    done = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def steps(said: str) -> list[str]:
    """The names of the steps that were run, in order."""
    return [name for name, rest in re.findall(r"^== ([\w-]+): (.*)$", said, re.MULTILINE) if "left out" not in rest]


def benchmarks() -> set[str]:
    return {p.stem for p in (ROOT / "benchmarks").glob("*.py")} - {"timing"}


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--require"], 3)])
def test_without_a_gpu_it_says_that_it_did_nothing(tmp_path: Path, arguments: list[str], status: int) -> None:
    assert ci_gpu(tmp_path, *arguments, reason="no driver") == (
        status,
        "no usable GPU here: nothing was tested (no driver)\n",
    )
    assert not (tmp_path / "logs").exists()


def test_with_a_gpu_it_runs_everything_the_most_telling_first_and_keeps_logs(tmp_path: Path) -> None:
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    status, said = ci_gpu(tmp_path, XPNET_DATA=str(tmp_path / "data"), WORKERS="5")
    logs = tmp_path / "logs"
    assert status == 0
    assert said.endswith(f"all passed (logs in {logs})\n")
    assert steps(said)[:4] == ["tests", "train-mnist", "evaluate-mnist", "examples"]
    assert {"mlp_step", "images", "tape"} <= set(steps(said)[4:])
    pytest_options = "-m pytest -p no:benchmark -p no:cacheprovider -n 5 tests"
    assert (logs / "gpu-tests.log").read_text() == f"backend=cupy {pytest_options}\n"
    assert "-m xpnet train mnist --backend cupy --out " in (logs / "gpu-train-mnist.log").read_text()
    assert (logs / "gpu-examples.log").read_text() == "backend= ci/examples.py --backend cupy --jobs 5\n"
    assert (logs / "gpu-tape.log").read_text() == "backend= benchmarks/tape.py --backend cupy\n"
    summary = (logs / "gpu-summary.log").read_text()
    assert re.search(r"^tests: ok, \d+ s$", summary, re.MULTILINE)
    assert "kernels: left out, it is about the CPU" in summary


def test_every_benchmark_is_run_or_said_to_be_about_the_cpu(tmp_path: Path) -> None:
    _, said = ci_gpu(tmp_path, DRY_RUN="1")
    run = set(re.findall(r"benchmarks/(\w+)\.py --backend cupy", said))
    about_the_cpu = set(re.findall(r"== (\w+): left out, it is about the CPU", said))
    assert run | about_the_cpu == benchmarks()
    assert not run & about_the_cpu
    for name in benchmarks():
        takes_a_backend = "on_the_cpu=True" not in (ROOT / "benchmarks" / f"{name}.py").read_text()
        assert takes_a_backend == (name in run), name


def test_without_mnist_it_trains_on_digits(tmp_path: Path) -> None:
    _, said = ci_gpu(tmp_path, DRY_RUN="1")
    assert steps(said)[1:3] == ["train-digits", "evaluate-digits"]
    assert "mnist: left out, XPNET_DATA names no folder with mnist/; digits take its place" in said


def test_a_dry_run_needs_no_gpu_and_runs_nothing(tmp_path: Path) -> None:
    status, said = ci_gpu(tmp_path, DRY_RUN="1", reason="no driver", failing="pytest")
    assert status == 0
    assert steps(said)[0] == "tests"
    assert "XPNET_TEST_BACKEND=cupy" in said
    assert "backend=" not in said.replace("backend=cupy", "")  # the stub was not called
    assert not (tmp_path / "logs").exists()


def test_there_are_as_many_workers_as_cores_but_13_at_most(tmp_path: Path) -> None:
    _, said = ci_gpu(tmp_path, DRY_RUN="1")
    workers = int(re.search(r"-n (\d+) tests", said)[1])  # type: ignore[index]
    assert 1 <= workers <= min(13, os.cpu_count() or 13)


@pytest.mark.parametrize(
    ("failing", "step"), [("-m pytest", "tests"), ("xpnet train", "train-digits"), ("tape.py", "tape")]
)
def test_a_failing_step_fails_the_run_and_stops_no_other(tmp_path: Path, failing: str, step: str) -> None:
    status, said = ci_gpu(tmp_path, failing=failing)
    assert status == 1
    assert f"failed: {step} (logs in" in said
    assert re.search(rf"^{step}: FAILED with 1, \d+ s$", said, re.MULTILINE)
    assert steps(said) == steps(ci_gpu(tmp_path, DRY_RUN="1")[1])
    assert (tmp_path / "logs" / "gpu-augment.log").exists()


def test_what_takes_too_long_is_cut_off_and_its_log_is_there(tmp_path: Path) -> None:
    started = time.monotonic()
    status, said = ci_gpu(tmp_path, hanging="ci/examples.py", BUDGET="2")
    assert time.monotonic() - started < 15
    assert status == 1
    assert re.search(r"^examples: CUT OFF after \d+ s$", said, re.MULTILINE)
    assert "tape: NOT RUN, the 2 s are over" in said
    assert re.search(r"failed: examples mlp_step .*tape", said)
    assert "ci/examples.py --backend cupy" in (tmp_path / "logs" / "gpu-examples.log").read_text()
    assert "CUT OFF" in (tmp_path / "logs" / "gpu-summary.log").read_text()


def test_all_steps_fit_into_eight_minutes(tmp_path: Path) -> None:
    text = SCRIPT.read_text()
    assert int(re.search(r"BUDGET:-(\d+)", text)[1]) < 480  # type: ignore[index]


def test_an_unknown_argument_is_wrong_use(tmp_path: Path) -> None:
    assert ci_gpu(tmp_path, "--bogus") == (2, "usage: ci/gpu [--require]\n")
