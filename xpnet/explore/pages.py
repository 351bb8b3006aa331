"""Self-contained HTML pages: a template of this package with the data it shows."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from .trace import Trace


def page(template: str, data: dict[str, Any]) -> str:
    """The template ``NAME.html`` of this package with ``data`` in it, as one self-contained file.

    Raises: ``ValueError`` for NaN and infinities, which JSON does not have.
    """
    text = resources.files(__package__).joinpath(f"{template}.html").read_text(encoding="utf-8")
    found = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("__DATA__", found.replace("<", "\\u003c"), 1)  # no "</script>" within the data


def simulator_page(
    record: Trace, title: str = "Backpropagation, step by step", about: str = "", most: int = 1024
) -> str:
    """A page that steps through a record, forward and backward, with numbers and formulas.

    The numbers of networks of Linear layers, activations and a loss can be edited in the page, which recomputes them.
    """
    return page("simulator", {"title": title, "about": about, "trace": record.to_dict(most)})
