"""Split a text into rows and cells: detect the delimiter, and remove comments and empty lines at the end."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from xpnet.data.errors import DataError
from xpnet.data.tables.numbers import looks_numeric

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "bar": "|", "space": " ",
          "spaces": " ", "whitespace": " "}  # fmt: skip
_PREFERRED = "\t;|,"  # in order of preference: rarer in texts and numbers first
_UNQUOTED = "\t|"  # files with these delimiters may contain literal quotes
_SAMPLE = 1 << 17  # characters used for guesses
_SEP = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_WORD = re.compile(r'"(?:[^"]|"")*"|\S+')
_DASHES = r"[ \t]*(?:-{2,}|:-+:?|-+:)[ \t]*"
_RULE = re.compile(rf"[ \t]*[|+]?{_DASHES}(?:[|+]{_DASHES})*[|+]?[ \t]*")  # |---|:--:|
_COUNTED = re.compile(r"\(\d+ rows?\)|\d+ rows? in set.*", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?\d+,\d+")

Rows = list[tuple[int, list[str]]]  # first line of each row, and its cells


def check_delimiter(delimiter: str) -> str:
    """A delimiter as a character; "tab" and "space" are names.  Raises: ``ValueError`` for an invalid one."""
    found = _NAMES.get(delimiter.casefold(), delimiter)
    if len(found) != 1 or found in '"\r\n\0' or found.isalnum() or found in "+-.":
        raise ValueError(
            f"the delimiter must be one character such as ',' ';' '|', or 'tab' or 'space', got {delimiter!r}"
        )
    return found


def read_rows(name: str, text: str, delimiter: str | None) -> tuple[Rows, str, list[str]]:
    """All rows of a text, the delimiter, and notes.

    The delimiter is the one that splits many lines into equally many cells, with the csv rules for quotes.  A first
    line ``sep=;``, as Excel writes it, sets it.

    Raises: ``DataError`` with the line: a ragged or empty row, an open quote, no rows at all.
    """
    text, first = text.replace("\r\r\n", "\r\n").removesuffix("\x1a"), 1  # the end-of-file mark of old programs
    text, ruled = _without_rules(text, delimiter)
    if named := _SEP.match(text):
        text, first, delimiter = text[named.end() :], 2, delimiter or named[1]
    guessed = delimiter is None
    delimiter = delimiter or guess_delimiter(text)
    rows, notes = _parse(name, text, delimiter, first)
    if ruled:
        rows = [(line, row) for line, row in rows if any(row)]
        notes.append("the lines that are drawn around the cells are left out")
    if guessed and delimiter != ",":
        notes.insert(0, f"the cells of {name} are divided by {DELIMITERS[delimiter]}")
    rows = _without_comments(rows, notes)
    rows = _without_tails(rows, notes)
    _check_shape(name, rows)
    return rows, delimiter, notes


def _without_rules(text: str, delimiter: str | None) -> tuple[str, bool]:
    """Without what is drawn around the cells in Markdown, and in what psql and mysql print; and whether there was any.

    The lines keep their numbers: those that are left out become empty.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    ruled = [i for i, line in enumerate(lines) if ("+" in line or (i == 1 and "|" in line)) and _RULE.fullmatch(line)]
    if delimiter not in (None, "|") or not ruled or ruled[0] > 1:
        return text, False
    drawn = set(ruled) | {i for i, line in enumerate(lines[-4:], len(lines[:-4])) if _COUNTED.fullmatch(line)}
    kept = ["" if i in drawn else line.strip() for i, line in enumerate(lines)]
    if all(line.startswith("|") and line.endswith("|") for line in kept if line):
        kept = [line[1:-1] for line in kept]
    return "\n".join(kept), True


# -- the delimiter ---------------------------------------------------------------------------------------------------


def guess_delimiter(text: str) -> str:
    """The delimiter that splits the lines into equally many cells; a comma if there is none."""
    sample = text[:_SAMPLE]
    cut = len(sample) < len(text)
    found = {d: _sample_rows(sample, d, cut) for d in _PREFERRED}
    shares = {d: _evenness(rows) for d, rows in found.items()}
    best = max(shares.values())
    if best >= 0.5:
        even = [d for d in _PREFERRED if shares[d] == best]
        chosen = min(even, key=lambda d: _mixed(found[d], d, even))
        return " " if chosen == "\t" and _is_aligned(sample, found[chosen]) else chosen
    words = [_words(line) for line in _lines(sample)]
    short = len(words) > 2 and 2 <= len(words[0]) == len(words[1]) - 1
    named = words[1:] if short else words  # R's header is one name short
    if _evenness(named) == 1.0 and len(words) > 1:
        return " "
    unquoted = re.sub(r'"[^"]*"', "", next(iter(_lines(sample)), ""))
    return max(",;\t|", key=unquoted.count)


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]


def _words(line: str) -> list[str]:
    return [word[1:-1].replace('""', '"') if word[0] == word[-1] == '"' and len(word) > 1 else word
            for word in _WORD.findall(line)]  # fmt: skip


def _sample_rows(sample: str, delimiter: str, cut: bool) -> list[list[str]]:
    rows = []
    try:
        for _, row in _quoted("", sample, delimiter, 1):
            rows.append(row)
    except DataError:
        if delimiter in _UNQUOTED:
            rows = [line.split(delimiter) for line in _lines(sample)]
        elif not cut:
            rows = []  # not by the rules of CSV
    rows = rows[:-1] if cut and len(rows) > 1 else rows
    return [row for row in rows if any(row)]


def _evenness(rows: Sequence[Sequence[str]]) -> float:
    """The share of rows with the most frequent number of cells; 0 if that is one."""
    widths = Counter(map(len, rows))
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    return count / len(rows) if width > 1 else 0.0


def _mixed(rows: Sequence[Sequence[str]], delimiter: str, even: Sequence[str]) -> float:
    """The share of cells that contain another delimiter or a stray quote."""
    others = [d for d in even if d != delimiter]
    cells = [cell for row in rows[:500] for cell in row]
    mixed = sum(
        (any(d in cell for d in others) and not _DECIMAL.fullmatch(cell)) or cell.count('"') % 2 for cell in cells
    )
    return mixed / max(len(cells), 1)


def _is_aligned(sample: str, rows: Sequence[Sequence[str]]) -> bool:
    """Whether columns are aligned by runs of spaces, with an occasional tab (UCI's auto-mpg)."""
    lines = _lines(sample)
    words = [_words(line) for line in lines]
    return (
        _evenness(words) == 1.0
        and len(words[0]) > len(rows[0])
        and all(re.search(r"\S {2,}\S", line) for line in lines)
    )


# -- rows ------------------------------------------------------------------------------------------------------------


def _parse(name: str, text: str, delimiter: str, first: int) -> tuple[Rows, list[str]]:
    if delimiter == " ":
        lines = re.split(r"\r\n|\r|\n", text)
        return [(first + i, _words(line)) for i, line in enumerate(lines)], []
    try:
        quoted, problem = list(_quoted(name, text, delimiter, first)), None
    except DataError as error:
        quoted, problem = [], error
    if delimiter in _UNQUOTED and '"' in text:
        lines = re.split(r"\r\n|\r|\n", text)
        plain = [(first + i, [cell.strip() for cell in line.split(delimiter)]) for i, line in enumerate(lines)]
        filled = [row for _, row in plain if any(row)]
        fewer = len(filled) != sum(any(row) for _, row in quoted)  # a quote extends over line ends, or is invalid
        if fewer and len(set(map(len, filled))) == 1:
            return plain, [f"quotes in {name} are taken as part of the text"]
    if problem is not None:
        raise problem
    return quoted, []


def _quoted(name: str, text: str, delimiter: str, first: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    line = first
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{name}: line {line}: {error}: look for a quote that is not closed") from None
        yield line, [cell.strip() for cell in row]
        line = reader.line_num + first


def _without_comments(rows: Rows, notes: list[str]) -> Rows:
    """Remove lines above the table that start with ``#``, and a ``#`` before the names of a header."""
    usual = Counter(len(row) for _, row in rows if any(row)).most_common(1)
    width = usual[0][0] if usual else 1
    skipped = 0
    while rows and (not any(rows[0][1]) or (rows[0][1][0].startswith("#") and len(rows[0][1]) != width)):
        skipped += any(rows[0][1])
        rows = rows[1:]
    if skipped:
        notes.append(f"{skipped} line{'s' * (skipped > 1)} of comment (#) before the table left out")
    if (
        rows
        and rows[0][1][0].startswith("#")
        and len(rows[0][1][0]) > 1
        and not any(row[0].startswith("#") for _, row in rows[1:] if row)
    ):
        line, row = rows[0]
        rows = [(line, [row[0].lstrip("# "), *row[1:]]), *rows[1:]]
    return rows


def _without_tails(rows: Rows, notes: list[str]) -> Rows:
    """Remove the empty rows and columns that a spreadsheet leaves at the end of a table."""
    cells = 0
    while rows and not any(rows[-1][1]):
        cells += len(rows[-1][1]) > 1
        rows = rows[:-1]
    if cells:
        notes.append(f"{cells} row{'s' * (cells > 1)} of empty cells at the end left out")
    widest = max((len(row) for _, row in rows), default=0)
    used = max((i + 1 for _, row in rows for i, cell in enumerate(row) if cell), default=0)
    if 0 < used < widest and all(len(row) >= used or len(row) < 2 for _, row in rows):
        empty = widest - used
        notes.append(f"{empty} column{'s' * (empty > 1)} of empty cells at the end left out")
        rows = [(line, row[:used]) for line, row in rows]
    return rows


def _has_row_names(rows: Rows) -> bool:
    """Whether an unnamed first column has row names, as written by R: texts, or numbers from 1."""
    width = len(rows[0][1])
    if width < 2 or len(rows) < 4 or not all(len(row) == width + 1 for _, row in rows[1:]):
        return False
    names = [row[0] for _, row in rows[1:]]
    counted = [str(i) for i in range(1, len(rows))]
    return names == counted or (len(set(names)) == len(names) and not any(map(looks_numeric, names)))


def _check_shape(name: str, rows: Rows) -> None:
    """Raises: ``DataError`` for a row of another length, or an empty row."""
    if not rows:
        raise DataError(f"{name} has no rows")
    width = len(rows[0][1])
    if _has_row_names(rows):
        return
    for line, row in rows:
        if len(row) > 1 and not any(row):
            raise DataError(f"{name}: line {line} has only empty cells: delete it")
        if not any(row):
            raise DataError(f"{name}: line {line} is empty: delete it")
        if len(row) != width:
            raise DataError(f"{name}: line {line} has {len(row)} values, the first row has {width}")
