"""Run every example on small settings, offline."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
PLAIN = ["--backend", "numpy", "--epochs", "1", "--dataset", "digits"]
SMALL = {"train_mnist.py": PLAIN, "train_cnn.py": PLAIN}


def main() -> int:
    """Returns the number of examples that failed."""
    failed = 0
    scripts = sorted(p for p in EXAMPLES.glob("*.py") if not p.name.startswith("_"))
    if not scripts:
        raise SystemExit("no examples were found")
    for script in scripts:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(script), *SMALL.get(script.name, ["--quick", "--out", folder])]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        print(f"{script.name:32}{'ok' if done.returncode == 0 else 'FAILED':8}{time.perf_counter() - started:6.1f}s")
        if done.returncode:
            failed += 1
            print(done.stdout, done.stderr, sep="\n")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
