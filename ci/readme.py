"""Run the README's Python blocks (default), or print the commands of one of its sections.

``python ci/readme.py`` executes every ```python block, in order, with one namespace per section.
``python ci/readme.py --commands tests`` prints the ```sh block under the heading that contains "tests".
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def sections() -> list[tuple[str, str]]:
    """Headings and the text under each."""
    parts = re.split(r"^##+ (.*)$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return list(zip(["", *parts[1::2]], [parts[0], *parts[2::2]], strict=True))


def commands(word: str) -> str:
    """The shell commands of the section whose heading contains ``word``."""
    for heading, text in sections():
        if word.lower() in heading.lower():
            found = [code for language, code in BLOCK.findall(text) if language == "sh"]
            if found:
                return found[0]
    raise SystemExit(f"README.md has no sh block under a heading with {word!r}")


def run_blocks() -> int:
    """Execute the Python blocks; returns how many there were."""
    count = 0
    for heading, text in sections():
        namespace: dict[str, object] = {"__name__": "__readme__"}
        for language, code in BLOCK.findall(text):
            if language == "python":
                print(f"-- README: {heading or 'top'} ({len(code.splitlines())} lines)", flush=True)
                exec(compile(code, f"README.md: {heading}", "exec"), namespace)
                count += 1
    return count


if __name__ == "__main__":
    if sys.argv[1:2] == ["--commands"]:
        print(commands(sys.argv[2]), end="")
    elif not run_blocks():
        raise SystemExit("README.md shows no Python: nothing was run")
