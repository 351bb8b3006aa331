"""``xpnet models``: the networks that ``--model`` knows."""

from __future__ import annotations

import argparse
import json

from xpnet.cli.parser import Commands
from xpnet.models import ZOO


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet models``."""
    parser = commands.add_parser("models", help="the networks that --model knows", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print each model with a description."""
    about = {"mlp": "linear layers and ReLU; --hidden sets their widths (default: 128)"}
    about |= {name: entry.about for name, entry in ZOO.items()}
    if arguments.json:
        print(json.dumps(about, indent=2))
        return
    for name, text in about.items():
        print(f"{name:10}{text}")
