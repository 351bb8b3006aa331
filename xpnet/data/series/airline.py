"""Example series: the airline passengers, and columns of CSV files."""

from __future__ import annotations

import os

import numpy as np

from xpnet.data.errors import DataError
from xpnet.data.tables.reader import read_table

_PASSENGERS = """
112 118 132 129 121 135 148 148 136 119 104 118  115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166  171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201  204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278  284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336  340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405  417 391 419 461 472 535 622 606 508 461 390 432
"""


def load_airline_passengers() -> np.ndarray:
    """International airline passengers in thousands, monthly from January 1949 to December 1960: (144,).

    Source: Box and Jenkins 1976, "Time series analysis: forecasting and control", series G.
    """
    return np.array(_PASSENGERS.split(), dtype=np.float64)


def read_series(path: str | os.PathLike[str], column: str | None = None) -> np.ndarray:
    """A numeric column of a CSV file with a header, oldest first; by default the last column.  (T,), float64.

    Raises: ``DataError`` with the line of a cell that is missing or not a number; ``OSError``.
    """
    table = read_table(path)
    name = table.names[-1] if column is None else column
    values = table.numbers(name)
    if missing := np.flatnonzero(np.isnan(values)).tolist():
        raise DataError(f"{table.place(missing[0], name)}: a value is missing: fill it: a series has no gaps")
    return values
