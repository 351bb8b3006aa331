"""``xpnet backends``: which backends work on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Any

from xpnet.cli.parser import Commands
from xpnet_backends import backend_names, get_backend, why_unavailable


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet backends``."""
    parser = commands.add_parser("backends", help="what can compute here, and why not", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print each backend with versions and device; for an unusable one, the reason and the fix."""
    found: dict[str, dict[str, Any]] = {}
    for name in backend_names():
        reason = why_unavailable(name)
        if reason is None:
            found[name] = {"usable": True, **get_backend(name).describe()}
        else:
            found[name] = {"usable": False, "reason": reason}
    if arguments.json:
        print(json.dumps({"backends": found, "auto": get_backend("auto").name}, indent=2))
        return
    for name, facts in found.items():
        print(f"{name:8}{'usable' if facts['usable'] else 'not usable'}")
        for key, value in facts.items():
            if key != "usable":
                print(f"        {key}: {value}")
    print(f"auto    takes {get_backend('auto').name}")
