"""What ci/gpu says and returns, with a stub in Python's place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "ci" / "gpu"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed: ci/gpu not run")

STUB = """#!/bin/sh
case "$*" in
  -c*why_unavailable*) echo "{reason}" ;;
  -c*) echo "a GPU" ;;
  *) echo "backend=$XPNET_TEST_BACKEND $*"; case "$*" in *"{failing}"*) exit 1 ;; esac ;;
esac
"""


def ci_gpu(folder: Path, *arguments: str, reason: str = "", failing: str = "nothing") -> tuple[int, str]:
    """Run it, where the backend's reason for not working is this and this step fails."""
    python = folder / "python"
    python.write_text(STUB.format(reason=reason, failing=failing))
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "OUT": str(folder / "logs"), "PATH": "/usr/bin:/bin"}
    environment.pop("XPNET_TEST_BACKEND", None)
    done = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--require"], 3)])
def test_without_a_gpu_it_says_that_it_did_nothing(tmp_path: Path, arguments: list[str], status: int) -> None:
    assert ci_gpu(tmp_path, *arguments, reason="no driver") == (
        status,
        "no usable GPU here: nothing was tested (no driver)\n",
    )


def test_with_a_gpu_it_runs_tests_and_benchmarks_and_keeps_logs(tmp_path: Path) -> None:
    status, said = ci_gpu(tmp_path)
    assert status == 0
    assert "backend=cupy -m pytest" in said
    assert "benchmarks/mlp_step.py --backend cupy" in said
    assert said.endswith(f"all passed (logs in {tmp_path / 'logs'})\n")
    assert (tmp_path / "logs" / "gpu-tape.log").read_text() == "backend= benchmarks/tape.py --backend cupy\n"


@pytest.mark.parametrize(("failing", "step"), [("-m pytest", "tests"), ("tape.py", "tape")])
def test_a_failing_step_fails_the_run(tmp_path: Path, failing: str, step: str) -> None:
    status, said = ci_gpu(tmp_path, failing=failing)
    assert status == 1
    assert f"failed: {step}" in said


def test_an_unknown_argument_is_wrong_use(tmp_path: Path) -> None:
    assert ci_gpu(tmp_path, "--bogus") == (2, "usage: ci/gpu [--require]\n")
