"""Words and characters of a text in any script, by Unicode's rules.

Both use grapheme clusters: a letter keeps its marks, an emoji its skin tone and everything joined to it.  The tables
come from Python's ``unicodedata``; only the properties that it lacks are defined here.

Source: Unicode Standard Annex #29, "Unicode Text Segmentation".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner, used in Persian and Indic words, and between emoji
_SEPARATOR = 0x200B  # zero-width space: the end of a word in scripts without spaces
_INVISIBLE = [
    0x00AD, 0x034F, 0x061C, 0x180E, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164,
    0xFEFF, 0xFFA0, *range(0x1D173, 0x1D17B), 0xE0001,
]  # fmt: skip
"""Soft hyphen, direction marks, byte order mark and other characters without width, which are removed from words."""
_CLEANED: dict[int, str | None] = {_SEPARATOR: " ", **dict.fromkeys(_INVISIBLE)}

# Characters that extend the previous cluster, besides marks (categories Mn, Mc, Me): joiners, Thai and Lao AM,
# halfwidth voiced marks, skin tones, tags of flags.
_EXTENDING = "\u200c\u200d\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_FLAG_LETTERS = "\U0001f1e6-\U0001f1ff"
_PICTURES = (  # Extended_Pictographic, by blocks
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a-\u23ff\u24c2\u25aa\u25ab\u25b6\u25c0"
    "\u25fb-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff\U0001fc00-\U0001fffd"
)
# Scripts without spaces, in which each cluster is a token: ideographs and Hiragana; Thai, Lao, Burmese, Khmer, Tai.
# Their digits are not included.
_ALONE = (
    "\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309d-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00016ff0-\U00018d08\U0001b001-\U0001b11f\U0001b132-\U0001b152\U0001b170-\U0001b2fb\U00020000-\U0003fffd"
    "\u0e01-\u0e30\u0e32\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0ebd-\u0ec6\u0edc-\u0edf\u1000-\u103f\u1050-\u108f"
    "\u109e\u109f\u1780-\u17dc\u1950-\u1974\u1980-\u19c9\u1a20-\u1a54\u1aa7\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaadf"
    "\U00011700-\U0001171a\U00011740-\U00011746"
)
_KATAKANA = (
    "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d\U0001aff0-\U0001affe\U0001b000\U0001b120-\U0001b122"
    "\U0001b155\U0001b164-\U0001b167"
)
# Signs inside a word: apostrophes, Catalan's middle dot, Hebrew's geresh and gershayim.
_INSIDE = "'\u2019\uff07\u00b7\u0387\u2027\u05f3\u05f4"
_HEBREW = "\u05d0-\u05ea"
# Consonants and viramas of the scripts whose conjuncts are one cluster (rule GB9c).
_CONSONANTS = (
    "\u0915-\u0939\u0958-\u095f\u0978-\u097f\u0995-\u09b9\u09dc-\u09df\u09f0\u09f1\u0a95-\u0ab9\u0af9\u0b15-\u0b39"
    "\u0b5c-\u0b5f\u0b71\u0c15-\u0c39\u0c58-\u0c5a\u0d15-\u0d3a"
)
_VIRAMAS = "\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d"
_JAMO = (
    "\u1100-\u115f\ua960-\ua97c",
    "\u1160-\u11a7\ud7b0-\ud7c6",
    "\u11a8-\u11ff\ud7cb-\ud7fb",
)  # leading, vowel, last
_SYLLABLES = "\uac00-\ud7a3"
_OPEN = "".join(chr(0xAC00 + 28 * i) for i in range(399))  # syllables without a trailing consonant
_PREPENDED = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # belong to the next cluster
_CONTROLS = r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"

_ASCII_WORD = re.compile(r"\w+(?:(?:'|(?<=\d)[.,](?=\d))\w+)*|[^\w\s]")


def normalised(text: str, *, lower: bool) -> str:
    """The text in composed form (NFC), with ``lower`` in lower case, so that equal texts have equal characters."""
    if text.isascii():
        return text.lower() if lower else text
    text = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", text.lower()) if lower else text


def words(text: str) -> list[str]:
    """Words and signs, without spaces and characters of no width.

    A word is a run of letters, digits, marks and underscores, with inner apostrophes and, between digits, points and
    commas.  In scripts without spaces each cluster is a token; a run of Katakana is one token.

    >>> words("don't pay 1,000 for l'été हिन्दी 東京")
    ["don't", 'pay', '1,000', 'for', "l'été", 'हिन्दी', '東', '京']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text)
    found = (token.strip(JOINERS) for token in _word_pattern().findall(text.translate(_CLEANED)))
    return [token for token in found if token]


def clusters(text: str) -> list[str]:
    """User-perceived characters: a letter with its marks, an emoji with everything joined to it.

    >>> clusters("né👍🏽")
    ['n', 'é', '👍🏽']
    """
    return list(text) if text.isascii() and "\r" not in text else _cluster_pattern().findall(text)


@lru_cache(maxsize=1)
def _marks() -> str:
    """Marks and other characters that extend a cluster, as the inside of a regular-expression set."""
    parts: list[list[int]] = []
    for i in range(0x300, 0x20000):  # all later marks are variation selectors
        if unicodedata.category(chr(i))[0] != "M":
            continue
        if parts and parts[-1][1] == i - 1:
            parts[-1][1] = i
        else:
            parts.append([i, i])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in parts) + "\U000e0100-\U000e01ef" + _EXTENDING


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    mark, other = f"[{_marks()}]", f"[{_marks()}{_ALONE}{_KATAKANA}]"
    letter = rf"(?!{other})\w"
    run = f"(?:{letter}{mark}*)+"
    hebrew = f'(?<=[{_HEBREW}])"(?=[{_HEBREW}])'
    joined = rf"(?:[{_INSIDE}](?={letter})|(?<=\d)[.,\u066b\u066c](?=\d)|{hebrew})"
    return re.compile(
        f"{run}(?:{joined}{run})*"  # words
        f"|(?:[{_KATAKANA}]{mark}*)+"
        f"|{_picture()}"
        rf"|[^\s\w{_marks()}]{mark}*"  # signs
        f"|[{_ALONE}]{mark}*"
        f"|{mark}+"  # without a base character
    )


def _picture() -> str:
    """The pattern of flags, and of emoji with everything joined to them."""
    mark = f"[{_marks()}]"
    return f"[{_FLAG_LETTERS}]{{2}}{mark}*|[{_PICTURES}]{mark}*(?:(?<=\u200d)[{_PICTURES}]{mark}*)*"


@lru_cache(maxsize=1)
def _cluster_pattern() -> re.Pattern[str]:
    mark, (leading, vowel, trailing) = f"[{_marks()}]", _JAMO
    middle = f"(?:[{vowel}]+|[{_OPEN}][{vowel}]*|[{_SYLLABLES}])"
    syllable = f"[{leading}]*{middle}[{trailing}]*|[{leading}]+|[{trailing}]+"
    conjunct = f"[{_CONSONANTS}](?:{mark}*(?<=[{_VIRAMAS}])[\u200d]?[{_CONSONANTS}])*"
    any_other = f"(?:{_picture()}|{syllable}|{conjunct}|[^{_CONTROLS}])"
    return re.compile(rf"\r\n|[{_PREPENDED}]*{any_other}{mark}*|[{_CONTROLS}]")
