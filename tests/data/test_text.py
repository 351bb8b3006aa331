"""Tokens, vocabularies and padded rows."""

import json
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpnet.data import Tokenizer, Vocabulary, pad_sequences
from xpnet.data.text import words
from xpnet.data.text.vocabulary import WORDS

WITHOUT_JOINERS = dict.fromkeys(map(ord, words.JOINERS))
TOKENS = st.lists(st.text(min_size=1, max_size=4), max_size=8)


@pytest.mark.parametrize(("text", "options", "expected"), [
    ("It's a 'test', really!", {}, ["it's", "a", "'", "test", "'", ",", "really", "!"]),
    ("laddish and juvenile , only", {}, ["laddish", "and", "juvenile", ",", "only"]),
    ("Straße ÜBER 2", {}, ["straße", "über", "2"]),
    ("Ab c", {"lower": False}, ["Ab", "c"]),
    ("Ab c", {"level": "char"}, ["a", "b", " ", "c"]),
    ("a-b c", {"pattern": r"\S+"}, ["a-b", "c"]),
    ("", {}, []),
    (" \t\n", {}, []),
])  # fmt: skip
def test_tokens(text, options, expected):
    assert Tokenizer(**options)(text) == expected
    again = Tokenizer.from_state(json.loads(json.dumps(Tokenizer(**options).state())))
    assert again(text) == expected


@given(st.text(max_size=40))
def test_no_sign_is_lost_and_no_space_kept(text):
    tokens = Tokenizer(lower=False)(text)
    seen = re.sub(r"\s", "", unicodedata.normalize("NFC", text).translate(dict.fromkeys(words._CLEANED)))
    assert "".join(tokens).translate(WITHOUT_JOINERS) == seen.translate(WITHOUT_JOINERS)
    assert all(tokens)
    assert "".join(Tokenizer(lower=False, level="char")(text)) == unicodedata.normalize("NFC", text)
    old = Tokenizer(WORDS, lower=False)(text)
    assert "".join(old) == re.sub(r"\s", "", text)
    if text.isascii() and not re.search(r"\d[.,]\d", text):
        assert tokens == old


@pytest.mark.parametrize(("text", "expected"), [
    ("हिन्दी में", ["हिन्दी", "में"]),
    ("বাংলা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം", ["বাংলা", "தமிழ்", "తెలుగు", "ಕನ್ನಡ", "മലയാളം"]),
    ("العربيّة عَرَبِيّ", ["العربيّة", "عَرَبِيّ"]),
    ("Tie\u0302\u0301ng Vie\u0323\u0302t", ["tiếng", "việt"]),
    ("İstanbul", ["i\u0307stanbul"]),
    ("cafe\u0301 café", ["café", "café"]),
    ("\u1112\u1161\u11ab\uae00 한글", ["한글", "한글"]),
    ("\u212bngström \u00c5", ["ångström", "å"]),
    ("a\u200bb", ["a", "b"]),
    ("\ufeffhello co\u00adoperate \u2060x\u200e", ["hello", "cooperate", "x"]),
    ("\u200b \u200c \u200d \ufeff \u2060 \u00ad \u200e \u034f \u061c", []),
    ("می\u200cخواهم ab\u200d", ["می\u200cخواهم", "ab"]),
    ("l'été don’t rock'n'roll '90s 90's", ["l'été", "don’t", "rock'n'roll", "'", "90s", "90's"]),
    ("3.14 1,000.5 1. 2, a.b x,y ١٬٠٠٠", ["3.14", "1,000.5", "1", ".", "2", ",", "a", ".", "b", "x", ",", "y", "١٬٠٠٠"]),
    ("#tag @me foo_bar a-b", ["#", "tag", "@", "me", "foo_bar", "a", "-", "b"]),
    ("https://x.org/é", ["https", ":", "/", "/", "x", ".", "org", "/", "é"]),
    ("👩\u200d👩\u200d👧 👍🏽👍 🇩🇪🇫🇷 ❤️ 1️⃣!", ["👩\u200d👩\u200d👧", "👍🏽", "👍", "🇩🇪", "🇫🇷", "❤️", "1️⃣", "!"]),
    ("🤷🏽\u200d♂️", ["🤷🏽\u200d♂️"]),
    ("東京2020日本", ["東", "京", "2020", "日", "本"]),
    ("ひらカタカナ漢abc", ["ひ", "ら", "カタカナ", "漢", "abc"]),
    ("ｶﾞｷﾞ ラーメン", ["ｶﾞｷﾞ", "ラーメン"]),
    ("ที่นี่ ๑๒๓", ["ที่", "นี่", "๑๒๓"]),
    ("ភាសា", ["ភា", "សា"]),
    ("한국어 단어", ["한국어", "단어"]),
    ('צה"ל צה״ל "שלום"', ['צה"ל', "צה״ל", '"', "שלום", '"']),
    ("col·lecció", ["col·lecció"]),
    ("Straße STRASSE ẞ ΣΊΣΥΦΟΣ ŒUVRE", ["straße", "strasse", "ß", "σίσυφος", "œuvre"]),
    ("𝒳𝒴 ½ x²", ["𝒳𝒴", "½", "x²"]),
    ("\u0301a \u0301", ["\u0301", "a", "\u0301"]),
    ("=\u0338 a\ud800b", ["≠", "a", "\ud800", "b"]),
    ("x\u2028y\u00a0z\u3000w", ["x", "y", "z", "w"]),
])  # fmt: skip
def test_words_of_all_scripts(text, expected):
    assert Tokenizer()(text) == expected
    for form in ("NFC", "NFD"):
        assert Tokenizer()(unicodedata.normalize(form, text)) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("né ne\u0301", ["n", "é", " ", "n", "é"]),
    ("हिन्दी", ["हि", "न्दी"]),
    ("क्ष क्\u200cष க்ஷ", ["क्ष", " ", "क्\u200c", "ष", " ", "க்", "ஷ"]),
    ("👩\u200d👧a👍🏽👍", ["👩\u200d👧", "a", "👍🏽", "👍"]),
    ("🇩🇪🇫🇷🇮", ["🇩🇪", "🇫🇷", "🇮"]),
    ("ก็ำ", ["ก็ำ"]),
    ("한각", ["한", "각"]),
    ("\u1100\u1100\u1161\u11a8\u11a8", ["\u1100각\u11a8"]),
    ("a\r\nb\n\r", ["a", "\r\n", "b", "\n", "\r"]),
    ("é\r\né", ["é", "\r\n", "é"]),
    ("a\u200bb", ["a", "\u200b", "b"]),
])  # fmt: skip
def test_characters_of_all_scripts(text, expected):
    assert Tokenizer(level="char", lower=False)(text) == expected


def test_a_tokenizer_that_an_older_version_saved_cuts_as_it_did():
    old = Tokenizer.from_state({"pattern": WORDS, "lower": True, "level": "word"})
    assert old("cafe\u0301 3.14") == ["cafe", "\u0301", "3", ".", "14"]
    assert Tokenizer.from_state({"pattern": WORDS, "lower": True, "level": "char"})("e\u0301") == ["e", "\u0301"]


def test_a_vocabulary_of_all_scripts_is_saved_and_loaded():
    text = "हिन्दी cafe\u0301 👩\u200d👧 東京 İstanbul می\u200cخواهم a\ud800"
    vocabulary = Vocabulary.build([Tokenizer()(text)])
    again = Vocabulary.from_state(json.loads(json.dumps(vocabulary.state())))
    tokenizer = Tokenizer.from_state(json.loads(json.dumps(Tokenizer().state())))
    assert again.tokens == vocabulary.tokens
    assert (
        again.encode(tokenizer(unicodedata.normalize("NFD", text))).tolist()
        == vocabulary.encode(Tokenizer()(text)).tolist()
    )
    assert 1 not in again.encode(tokenizer(text))


def test_the_most_frequent_first_and_equal_ones_by_alphabet():
    texts = [["b", "a", "b"], ["c", "a", "b", "d"]]
    assert Vocabulary.build(texts).tokens == ("<pad>", "<unk>", "b", "a", "c", "d")
    assert Vocabulary.build(texts, min_count=2).tokens == ("<pad>", "<unk>", "b", "a")
    assert Vocabulary.build(texts, max_size=3).tokens == ("<pad>", "<unk>", "b")
    assert Vocabulary.build(texts, policy="error").tokens == ("<pad>", "b", "a", "c", "d")
    assert "a" in Vocabulary.build(texts)
    assert "<pad>" not in Vocabulary.build(texts)


@given(st.lists(TOKENS, min_size=1).filter(lambda texts: any(set(t) - {"<pad>", "<unk>"} for t in texts)))
def test_round_trips(texts):
    vocabulary = Vocabulary.build(texts)
    for text in texts:
        numbers = vocabulary.encode(text)
        assert numbers.dtype == np.int64
        assert vocabulary.decode(numbers) == ["<unk>" if t == "<pad>" else t for t in text]
    again = Vocabulary.from_state(json.loads(json.dumps(vocabulary.state())))
    assert again.tokens == vocabulary.tokens
    for text in texts:
        np.testing.assert_array_equal(again.encode(text), vocabulary.encode(text))


def test_unknown_tokens():
    vocabulary = Vocabulary(["cat", "dog"])
    assert vocabulary.encode(["cat", "cow", "<pad>", "<unk>"]).tolist() == [2, 1, 1, 1]
    strict = Vocabulary(["cat", "dog"], policy="error")
    assert strict.encode(["dog"]).tolist() == [2]
    with pytest.raises(
        ValueError, match=r"token 'dogs' at 1 is not among the 3 of the vocabulary; did you mean 'dog'\?"
    ):
        strict.encode(["cat", "dogs"])
    with pytest.raises(ValueError, match=r"token '<pad>' at 0 is not among"):
        strict.encode(["<pad>"])
    assert vocabulary.decode([2, 0, 0]) == ["cat"]
    assert vocabulary.decode(np.array([2, 0]), skip_padding=False) == ["cat", "<pad>"]


@pytest.mark.parametrize(("make", "match"), [
    (lambda: Tokenizer(level="sentence"), "level must be 'word' or 'char', got 'sentence'"),
    (lambda: Tokenizer("("), "is no regular expression"),
    (lambda: Vocabulary(["a"], policy="skip"), "policy must be 'unknown' or 'error', got 'skip'"),
    (lambda: Vocabulary(["a", "b", "a"]), "'a' is in the vocabulary twice"),
    (lambda: Vocabulary(["<pad>"]), "'<pad>' is in the vocabulary twice"),
    (lambda: Vocabulary([], padding="x", unknown="x"), "must differ, both are 'x'"),
    (lambda: Vocabulary.build([["a"]], min_count=0), "min_count must be at least 1, got 0"),
    (lambda: Vocabulary.build([]), "the vocabulary is empty: 0 different tokens"),
    (lambda: Vocabulary.build([["a"]], min_count=2), "empty: 1 different tokens, min_count 2"),
    (lambda: Vocabulary.build([["a"]], max_size=2), "max_size 2"),
    (lambda: Vocabulary.build(["a text"]), "got the str 'a text': cut it by a Tokenizer"),
    (lambda: Vocabulary(["a"]).encode("a b"), "takes a list of tokens, got the str 'a b'"),
    (lambda: Vocabulary(["a"]).decode([3]), r"number 3 at 0 is no token: the vocabulary has 0\.\.2"),
    (lambda: Vocabulary(["a"]).decode([0, -1]), "number -1 at 1 is no token"),
    (lambda: pad_sequences([]), "there are no sequences to pad"),
    (lambda: pad_sequences([[1], []]), "sequence 1 is empty: leave such texts out"),
    (lambda: pad_sequences([[1.5]]), r"sequence 0 must be a list of whole numbers, got float64 of shape \(1,\)"),
    (lambda: pad_sequences(["ab"]), "sequence 0 must be a list of whole numbers"),
    (lambda: pad_sequences([[[1, 2]]]), r"of shape \(1, 2\)"),
    (lambda: pad_sequences([[1]], 0), "length must be at least 1, got 0"),
    (lambda: pad_sequences([[1]], side="top"), "side must be 'left' or 'right'"),
    (lambda: pad_sequences([[1]], keep="all"), "keep 'first' or 'last'"),
])  # fmt: skip
def test_what_is_wrong(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_a_text_is_a_str():
    with pytest.raises(TypeError, match="a text must be a str, got bytes"):
        Tokenizer()(b"a")


@pytest.mark.parametrize(("options", "rows", "lengths"), [
    ({}, [[1, 2, 3], [4, 0, 0]], [3, 1]),
    ({"side": "left", "value": 9}, [[1, 2, 3], [9, 9, 4]], [3, 1]),
    ({"length": 2}, [[1, 2], [4, 0]], [2, 1]),
    ({"length": 2, "keep": "last"}, [[2, 3], [4, 0]], [2, 1]),
    ({"length": 4, "side": "left"}, [[0, 1, 2, 3], [0, 0, 0, 4]], [3, 1]),
])  # fmt: skip
def test_padding(options, rows, lengths):
    found, counts = pad_sequences([[1, 2, 3], np.array([4], dtype=np.int32)], **options)
    assert (found.tolist(), counts.tolist()) == (rows, lengths)
    assert found.dtype == counts.dtype == np.int64


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1), st.sampled_from(["left", "right"]))
def test_padding_is_undone_by_the_lengths(sequences, side):
    rows, lengths = pad_sequences(sequences, side=side)
    parts = [row[:n] if side == "right" else row[len(row) - n :] for row, n in zip(rows, lengths, strict=True)]
    assert [part.tolist() for part in parts] == sequences
    assert (rows > 0).sum() == lengths.sum()


def test_film_reviews(data_dir):
    path = data_dir / "sentiment/rt-polarity.pos"
    if not path.exists():
        pytest.skip("XPNET_DATA has no sentiment/")
    texts = [Tokenizer()(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(texts) == 5331
    assert texts == [Tokenizer(WORDS)(line) for line in path.read_text(encoding="utf-8").splitlines()]
    vocabulary = Vocabulary.build(texts, min_count=2)
    assert {".", "the", ","} <= set(vocabulary.tokens[2:6])
    assert all(vocabulary.decode(vocabulary.encode(text)) == [t if t in vocabulary else "<unk>" for t in text]
               for text in texts[:200])  # fmt: skip
