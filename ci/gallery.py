"""The gallery: docs/gallery.md, the index of docs/gallery/NN_name.md, one page for each numbered example.

python ci/gallery.py            check the pages; exit 1 if there is an error
python ci/gallery.py --write    write the index from the headings of the pages, then check
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPLETE = True  # every numbered example has its page: a missing one is an error
LARGEST = 100_000  # bytes of a picture

HEAD = """# Gallery

The results of the numbered examples, with figures and commands. `xpnet example list` lists all examples, and
`xpnet example 01` runs one. Pictures and `metrics.json` are written to `out/NAME`.

All figures are for seed 0 on one machine with two cores. Another processor, number of threads or kernel adds numbers in
another order. Training amplifies these rounding differences until they are as large as those between seeds.

"""


def pages(root: Path) -> list[Path]:
    """The pages of the gallery, in order."""
    return sorted((root / "docs/gallery").glob("[0-9][0-9]_*.md"))


def index(root: Path) -> str:
    """The text of docs/gallery.md: a line for each page, with the heading of that page."""
    lines = []
    for page in pages(root):
        heading = re.match(r"#+\s*(.+)", page.read_text(encoding="utf-8"))
        title = heading.group(1).strip() if heading else page.stem
        title = re.sub(r"^\d\d\W*", "", title) or page.stem
        lines.append(f"- {page.stem[:2]} [{title}](gallery/{page.name})")
    return HEAD + "\n".join(lines) + ("\n" if lines else "")


def errors(root: Path, complete: bool = COMPLETE) -> list[str]:
    """Every fault of the gallery, one line each."""
    examples = {script.stem for script in (root / "examples").glob("[0-9][0-9]_*.py")}
    found = []
    for page in pages(root):
        if page.stem not in examples:
            found.append(f"docs/gallery/{page.name}: there is no examples/{page.stem}.py")
        found += _wrong_pictures(page)
    if complete:
        missing = sorted(examples - {page.stem for page in pages(root)})
        found += [f"docs/gallery/{name}.md is missing: every numbered example has its page" for name in missing]
        written = root / "docs/gallery.md"
        if not written.exists() or written.read_text(encoding="utf-8") != index(root):
            found.append("docs/gallery.md is not up to date: run python ci/gallery.py --write")
    return found


def _wrong_pictures(page: Path) -> list[str]:
    """A page shows at least one picture; all its pictures exist and are smaller than ``LARGEST``."""
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    if not pictures:
        return [f"docs/gallery/{page.name} shows no picture"]
    found = []
    for name in pictures:
        picture = page.parent / name
        if not picture.is_file():
            found.append(f"docs/gallery/{page.name}: the picture {name} does not exist")
        elif picture.stat().st_size >= LARGEST:
            size = f"{picture.stat().st_size:,} bytes, fewer than {LARGEST:,} are wanted"
            found.append(f"docs/gallery/{page.name}: {name} has {size}")
    return found


def main() -> int:
    """Write the index with ``--write``, then check the pages."""
    if "--write" in sys.argv[1:]:
        (ROOT / "docs/gallery.md").write_text(index(ROOT), encoding="utf-8")
    found = errors(ROOT)
    for line in found:
        print(line)
    waiting = [] if COMPLETE else sorted(set(errors(ROOT, complete=True)) - set(found))
    for line in waiting:
        print(f"not yet: {line}")
    print(f"gallery: {len(pages(ROOT))} pages, {len(found)} errors")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
