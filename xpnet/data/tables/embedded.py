"""The tables included in scikit-learn, in the form of a table read from a file."""

from __future__ import annotations

from typing import Any

from xpnet._extras import require
from xpnet.data.suggest import did_you_mean
from xpnet.data.tables.reader import Table

EMBEDDED = {"breast-cancer": "diagnosis", "iris": "species", "wine": "cultivar"}
"""Their names, and the name of the column of classes."""


def embedded_table(name: str) -> Table:
    """One of the tables in ``EMBEDDED``: numbers as text, with the class in the last column.

    Sources: Wolberg, Street & Mangasarian 1993 (breast cancer), Fisher 1936 (iris), Aeberhard & Forina 1991 (wine);
    UCI machine learning repository, CC BY 4.0.

    Raises: ``ValueError`` for another name; ``MissingExtraError`` without scikit-learn.
    """
    if name not in EMBEDDED:
        raise ValueError(f"name must be one of {', '.join(EMBEDDED)}, got {name!r}{did_you_mean(name, EMBEDDED)}")
    loaders: Any = require("sklearn.datasets", extra="sklearn", purpose=f"loading the embedded {name} table")
    found = getattr(loaders, f"load_{name.replace('-', '_')}")()
    columns = {str(column): [repr(float(v)) for v in found.data[:, i]] for i, column in enumerate(found.feature_names)}
    columns[EMBEDDED[name]] = [str(found.target_names[label]) for label in found.target]
    return Table(name, columns, list(range(2, 2 + len(found.target))))
