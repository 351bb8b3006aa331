"""``xpnet example``: the numbered examples, from a checkout or an installed package."""

from __future__ import annotations

import argparse
import ast
import runpy
import sys
from pathlib import Path

import xpnet
from xpnet.cli.parser import Commands
from xpnet.cli.settings import UsageError
from xpnet.data.suggest import did_you_mean


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet example``."""
    parser = commands.add_parser(
        "example",
        help="run a numbered example, or list them",
        description="The examples explain themselves as they run; pictures and metrics.json go to out/NAME.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="?", default="list", help="an example: 01, perceptron or 01_perceptron (or list)"
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="its options: --quick, ...")


def run(arguments: argparse.Namespace) -> None:
    """List the examples, or run one with the options that follow its name."""
    scripts = find_examples()
    if arguments.name != "list":
        run_script(choose(arguments.name, scripts), arguments.options)
        return
    if arguments.options:
        raise UsageError(f"xpnet example list takes no options, got {' '.join(arguments.options)}")
    width = max(map(len, scripts))
    for name, script in scripts.items():
        print(f"{name:{width}}  {headline(script)}")
    print("\nrun one:  xpnet example 01 [--quick] [--seed N] [--backend NAME] [--out DIR]")


def find_examples() -> dict[str, Path]:
    """The scripts by name, in order: from the wheel, otherwise from beside the package in a checkout.

    Raises: ``FileNotFoundError`` if there are none.
    """
    package = Path(xpnet.__file__).parent
    for folder in (package / "_examples", package.parent / "examples"):
        scripts = sorted(folder.glob("[0-9][0-9]_*.py"))
        if scripts:
            return {script.stem: script for script in scripts}
    raise FileNotFoundError("the examples are not part of this installation: install xpnet from its wheel or a clone")


def choose(name: str, scripts: dict[str, Path]) -> Path:
    """The script called ``name``, which is its number, its name, or both.  Raises: ``UsageError``."""
    wanted = name.removesuffix(".py").replace("-", "_")
    wanted = wanted.zfill(2) if wanted.isdecimal() else wanted
    for full, script in scripts.items():
        number, _, title = full.partition("_")
        if wanted in (full, number, title):
            return script
    near = did_you_mean(wanted, [*scripts, *(full.partition("_")[2] for full in scripts)])
    raise UsageError(f"there is no example {name!r}{near} (xpnet example list shows them all)")


def headline(script: Path) -> str:
    """The first line of a script's docstring."""
    lines = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").splitlines()
    return lines[0] if lines else ""


def run_script(script: Path, options: list[str]) -> None:
    """Run a script as ``python SCRIPT OPTIONS`` would, in this process.

    Raises: ``SystemExit`` with the script's own status, if it exits with one.
    """
    before = sys.argv
    sys.argv = [str(script), *options]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before
