"""Run every example with small settings, offline, and print how long each took.

python ci/examples.py [NAME ...] [--backend NAME] [--jobs N]    all of them, or those whose names contain one of NAME

An example fails if it exits with an error, writes no metrics.json, or does not end within a minute (two minutes on a
GPU, which compiles kernels first).  ``--jobs`` sets how many run at a time, each in its own process.  An example that
takes longer than 10 s is reported as slow; on a busy machine this means little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
HERE = [str(ROOT), str(ROOT / "backends")]  # this checkout, installed or not
OFFLINE = {"train_mnist.py": ["--dataset", "digits"], "train_cnn.py": ["--dataset", "digits"]}
SLOW, TOO_LONG, TOO_LONG_ON_A_GPU = 10.0, 60.0, 120.0  # seconds


def run(script: Path, backend: str | None = None) -> tuple[float, str]:
    """The seconds that a script took, and its error, or "" if it succeeded."""
    started = time.perf_counter()
    limit = TOO_LONG if backend in (None, "numpy") else TOO_LONG_ON_A_GPU
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "--quick", "--out", folder, *OFFLINE.get(script.name, [])]
        command += [] if backend is None else ["--backend", backend]
        environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(HERE)}
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit, env=environment)
        except subprocess.TimeoutExpired:
            return limit, f"it did not end within {limit:.0f} s"
        seconds = time.perf_counter() - started
        if done.returncode:
            return seconds, f"it ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return seconds, _metrics(Path(folder) / "metrics.json")


def _metrics(path: Path) -> str:
    """What is wrong with an example's metrics.json, or ""."""
    if not path.exists():
        return "it left no metrics.json in --out"
    found = json.loads(path.read_text())
    return "" if found.get("quick") is True else "its metrics.json does not say that the run was quick"


def main(arguments: list[str]) -> int:
    """Returns the number of examples that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--backend", help="where they compute (default: their own)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many run at a time (default: 1)")
    options = parser.parse_args(arguments)
    names = options.names
    scripts = [p for p in sorted(EXAMPLES.glob("*.py")) if not names or any(name in p.name for name in names)]
    if not scripts:
        raise SystemExit("no examples were found")
    failed = slow = 0
    pool = ThreadPoolExecutor(max(1, options.jobs))
    for script, (seconds, wrong) in zip(scripts, pool.map(partial(run, backend=options.backend), scripts), strict=True):
        verdict = "FAILED" if wrong else "slow" if seconds > SLOW else "ok"
        print(f"{script.name:32}{verdict:8}{seconds:6.1f}s", flush=True)
        failed += bool(wrong)
        slow += verdict == "slow"
        if wrong:
            print(wrong)
    print(f"{len(scripts)} examples, {failed} failed, {slow} slower than {SLOW:.0f} s")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
