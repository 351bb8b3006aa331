"""Decode text files: by the byte order mark, as UTF-8, or by a guess with a note."""

from __future__ import annotations

import codecs
import re

from xpnet.data.errors import DataError
from xpnet.data.suggest import did_you_mean

_MARKS = (  # UTF-32 first, because its mark starts with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"%PDF": "a PDF",
    b"SQLite": "a database",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ": "packed by xz",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
}
_COMMON = ("utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp1251", "shift_jis", "gb18030", "big5", "euc-kr")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def check_encoding(encoding: str) -> str:
    """The encoding itself.  Raises: ``ValueError`` for an unknown encoding, or a codec that is not for text."""
    try:
        known = codecs.lookup(encoding)._is_text_encoding
    except (LookupError, ValueError):
        known = False
    if not known:
        near = did_you_mean(encoding, _COMMON)
        raise ValueError(f"unknown encoding {encoding!r}{near}; some that are known: {', '.join(_COMMON)}")
    return encoding


def decode(name: str, content: bytes, encoding: str | None = None) -> tuple[str, str, list[str]]:
    """The text, its encoding, and notes on guesses.

    Without ``encoding`` the order is: the byte order mark; UTF-16 if every other byte is zero; UTF-8; Windows-1252 or
    Latin-1, with a note.

    Raises: ``DataError`` for a file that is not text, or not in this encoding; ``ValueError`` for an unknown encoding.
    """
    if encoding is not None:
        return _strictly(name, content, _without_mark(content, check_encoding(encoding))), encoding, []
    for start, what in _BINARY.items():
        if content.startswith(start):
            raise DataError(f"{name} is {what}, not a text file: save it as a CSV in UTF-8")
    for mark, marked in _MARKS:
        if content.startswith(mark):
            text = _strictly(name, content, marked)
            if text and not any(map(str.isascii, text)):  # every table has line ends, delimiters or digits
                raise DataError(f"{name} is not text in UTF-8, nor in {marked.upper()} as its first bytes say")
            said = [] if marked == "utf-8-sig" else [f"{name} is in {marked.upper()}"]
            return _no_zero(name, text), marked, said
    if wide := _wide(content):
        return _no_zero(name, _strictly(name, content, wide)), wide, [f"{name} is in {wide.upper()}, without a mark"]
    try:
        return _no_zero(name, content.decode("utf-8")), "utf-8", []
    except UnicodeDecodeError as error:
        return _single_bytes(name, content, error)


def _without_mark(content: bytes, encoding: str) -> str:
    """The content without the byte order mark of UTF-8."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" and content.startswith(codecs.BOM_UTF8) else encoding


def _strictly(name: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, UnicodeError) as error:
        shown = encoding.removesuffix("-sig").upper()
        raise DataError(
            f"{name} is not text in {shown} ({error}): save it as a CSV in UTF-8, or say its encoding with encoding= "
            "(--encoding)"
        ) from error


def _no_zero(name: str, text: str) -> str:
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name}: line {line} holds a zero byte: it is not a CSV file")
    return text


def _wide(content: bytes) -> str:
    """Detect UTF-16 without a mark: most characters of a table are ASCII, so every other byte is zero."""
    head = content[:4096]
    if len(content) % 2 or len(content) < 4:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 0.4 * len(head) and not even:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * len(head) and not odd else ""


def _single_bytes(name: str, content: bytes, error: UnicodeDecodeError) -> tuple[str, str, list[str]]:
    repaired = content.decode("utf-8", errors="replace")
    line = content.count(b"\n", 0, error.start) + 1
    wrong = repaired.count("\ufffd")
    right = sum(ord(c) > 127 for c in repaired) - wrong
    if right > wrong:
        raise DataError(
            f"{name} is not text in UTF-8 from line {line} on ({error}), though it is elsewhere: correct the line, "
            "or say its encoding with encoding= (--encoding)"
        )
    try:
        encoding, text = "cp1252", content.decode("cp1252")
    except UnicodeDecodeError:
        encoding, text = "latin-1", content.decode("latin-1")
    if len(_CONTROL.findall(text)) > len(text) // 200:
        raise DataError(f"{name} is not text in UTF-8 ({error}): it is not a CSV file")
    text = _no_zero(name, text)
    word = next(word for word in re.findall(r"[^\s,;|\t\"]+", text) if not word.isascii()) if not text.isascii() else ""
    said = f"{name} is not in UTF-8: read as {encoding}, e.g. {word[:30]!r} in line {line}"
    return text, encoding, [f"{said}; if this is wrong, use --encoding"]
