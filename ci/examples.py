"""Run every example on small settings, offline, and say how long each took.

python ci/examples.py [NAME ...]    all of them, or those whose names contain one of NAME

An example fails where it ends with an error, leaves no metrics.json, or does not end within a minute.  One that takes
longer than 10 s is reported as slow: on a busy machine that says little, but on a quiet one it is too long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
HERE = [str(ROOT), str(ROOT / "backends")]  # this checkout, installed or not
OFFLINE = {"train_mnist.py": ["--dataset", "digits"], "train_cnn.py": ["--dataset", "digits"]}
SLOW, TOO_LONG = 10.0, 60.0  # seconds


def run(script: Path) -> tuple[float, str]:
    """The seconds that a script took, and what is wrong with it."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "--quick", "--out", folder, *OFFLINE.get(script.name, [])]
        environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(HERE)}
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=TOO_LONG, env=environment
            )
        except subprocess.TimeoutExpired:
            return TOO_LONG, f"it did not end within {TOO_LONG:.0f} s"
        seconds = time.perf_counter() - started
        if done.returncode:
            return seconds, f"it ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return seconds, _metrics(Path(folder) / "metrics.json")


def _metrics(path: Path) -> str:
    """What is wrong with the numbers that an example left."""
    if not path.exists():
        return "it left no metrics.json in --out"
    found = json.loads(path.read_text())
    return "" if found.get("quick") is True else "its metrics.json does not say that the run was quick"


def main(names: list[str]) -> int:
    """Returns the number of examples that failed."""
    scripts = [p for p in sorted(EXAMPLES.glob("*.py")) if not names or any(name in p.name for name in names)]
    if not scripts:
        raise SystemExit("no examples were found")
    failed = slow = 0
    for script in scripts:
        seconds, wrong = run(script)
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
