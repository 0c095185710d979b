"""Sentences by `sentencex`, at checked offsets."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from itertools import pairwise

import sentencex  # type: ignore[import-untyped]

from attnmass.text.segmentation.places import place_without_space
from attnmass.text.segmentation.spans import readable, stripped

# sentencex takes time that grows with the square of the text's length where quotes stay open, or
# where there are no spaces: a longer paragraph is passed in parts.
_WINDOW = 4_000
# Enough of a paragraph to tell its script.
_SAMPLE = 1_000

# Words before a dotted name that are not a sentence by themselves.
_MOST_WORDS = 5

_SPACE = re.compile(r"\s")

# First code point of each range, and the language whose rules are used for it. Latin is English
# unless the caller knows better, and so is a script that is not here.
_SCRIPTS = (
    (0x0000, None),
    (0x0041, "en"),
    (0x0370, "el"),
    (0x0400, "ru"),
    (0x0530, "hy"),
    (0x0590, "en"),
    (0x0600, "ar"),
    (0x0780, "en"),
    (0x0900, "hi"),
    (0x0980, "bn"),
    (0x0A00, "pa"),
    (0x0A80, "gu"),
    (0x0B00, "en"),
    (0x0B80, "ta"),
    (0x0C00, "te"),
    (0x0C80, "kn"),
    (0x0D00, "ml"),
    (0x0D80, "en"),
    (0x1000, "my"),
    (0x10A0, "en"),
    (0x1200, "am"),
    (0x13A0, "en"),
    (0x2000, None),
    (0x2C00, "en"),
    (0x3041, "ja"),
    (0x3100, "zh"),
    (0xA000, "en"),
    (0xF900, "zh"),
    (0xFB00, "en"),
    (0xFB50, "ar"),
    (0xFE00, None),
    (0x20000, "zh"),
)
_STARTS = [start for start, _ in _SCRIPTS]

# Thai, Lao, Tibetan and Khmer: there white space ends a phrase, and sentencex knows no mark that
# ends a sentence. Their digits are left out: a number has white space around it inside a phrase.
_PHRASED = "\u0e00-\u0e4f\u0e5a-\u0ecf\u0eda-\u0f1f\u0f34-\u0fff\u1780-\u17df\u17ea-\u17ff"
_PHRASE_END = re.compile(rf"(?<=[{_PHRASED}])\s+(?=[{_PHRASED}])")


def detect_language(text: str) -> str:
    """The language whose rules fit the script that most letters of the text are in.

    Scripts are told apart; languages that share one are not: Latin is English, Cyrillic is
    Russian, Arabic letters are Arabic, Devanagari is Hindi.
    """
    if text.isascii():
        return "en"
    counts: Counter[str] = Counter()
    for char in text[:_SAMPLE]:
        language = _SCRIPTS[bisect_right(_STARTS, ord(char)) - 1][1]
        if language is not None and char.isalpha():
            counts[language] += 1
    if not counts:
        return "en"
    # Japanese is mostly Chinese characters in titles and names; Chinese never has any kana.
    if counts["ja"]:
        counts["ja"] += counts.pop("zh", 0)
    return max(counts, key=counts.__getitem__)


def split_sentences(text: str, language: str | None = None) -> list[tuple[int, int]]:
    """Sentences of one paragraph; line breaks in it are white space like any other.

    A sentence has no white space at either end, and between two of them there is nothing else.
    In Thai, Lao, Khmer and Tibetan, the spans are phrases: what is between white space that has
    letters of the script on both sides.

    Args:
        text: The paragraph.
        language: A language code such as `de`; `None` to go by the script. A region or script after
            the language is ignored; an unknown language has English rules.
    """
    # One character for one: every offset into this is an offset into the text. White space is
    # plain spaces, because sentencex would itself put "\n\n" for "\n\r\n" and counts a no-break
    # space as one byte.
    plain = _SPACE.sub(" ", readable(text))
    code = detect_language(plain) if language is None else re.split("[-_]", language)[0].lower()
    spans: list[tuple[int, int]] = []
    for start, end in _joined(plain, _cut(plain, code)):
        cuts = [start, *(match.end() for match in _PHRASE_END.finditer(plain, start, end)), end]
        for left, right in pairwise(cuts):
            left, right = stripped(text, left, right)
            if left < right:
                spans.append((left, right))
    return spans


def ends_sentence(text: str) -> bool:
    """Whether the text ends, closing brackets and quotes aside, in what sentencex calls an end."""
    tail = readable(text[-_SAMPLE:]).rstrip()
    while tail and (tail[-1] in "\"'*_`" or unicodedata.category(tail[-1]) in ("Pe", "Pf")):
        tail = tail[:-1].rstrip()
    # One letter before the mark, so that the mark is not a sentence by itself.
    last = sentencex.get_sentence_boundaries("en", "a" + _SPACE.sub(" ", tail[-1:]))
    return bool(tail) and last[-1]["boundary_symbol"] is not None


def _cut(text: str, language: str) -> list[tuple[int, int]]:
    """Sentences of a text of any length, white space after a sentence included."""
    spans: list[tuple[int, int]] = []
    start = 0
    while len(text) - start > _WINDOW:
        pieces = _pieces(text[start : start + _WINDOW], language)
        if len(pieces) > 1:
            pieces.pop()  # it may continue after the window: the next one begins with it
        else:
            # No sentence is that long: cut where there is white space, if there is any.
            space = text.rfind(" ", start, start + _WINDOW)
            end = start + _WINDOW
            place = space + 1 if space > start else place_without_space(text, start, end)
            pieces = [place - start]
        for length in pieces:
            spans.append((start, start + length))
            start += length
    for length in _pieces(text[start:], language):
        spans.append((start, start + length))
        start += length
    return spans


def _joined(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The sentences, with those of one dotted name (`System.Drawing.Image`) as one.

    sentencex takes a full stop before a capital for an end, even where nothing is between them.
    """
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined:
            begin = joined[-1][0]
            if end - begin <= _WINDOW and _is_dotted(text, begin, start, end):
                joined[-1] = (begin, end)
                continue
        joined.append((start, end))
    return joined


def _is_dotted(text: str, begin: int, place: int, end: int) -> bool:
    """Whether a full stop between two "sentences" is inside a name, and not an end.

    An end that only lacks its space is told from that where possible: a lower-case word or a
    number, the first of its kind, before a word with one capital, after some more words than a name
    would have (`in a severe crisis.Indonesia was`).
    """
    if text[place] == "~" and place - 1 > begin and text[place - 1] == ".":  # TeX: `Eq.~(2)`
        return True
    if text[place - 1] != "." or place - 2 < begin or not text[place - 2].isalnum():
        return False
    if not (text[place].isdigit() or text[place].lower() != text[place].upper()):
        return False
    words = text[max(begin, place - _SAMPLE) : place - 1].split(" ")
    after = text[place : min(end, place + _SAMPLE)].split(" ", 1)[0].rstrip(",.;:!?)")
    return not (
        len(words) > _MOST_WORDS
        and words[-1].isalnum()
        and words[-1] == words[-1].lower()
        and after == after.capitalize()
    )


def _pieces(text: str, language: str) -> list[int]:
    """Lengths of the pieces that sentencex cuts the text into; of the whole if it does not fit."""
    try:
        pieces = sentencex.segment(language, text)
    except BaseException as error:
        # A Rust panic is not an `Exception`, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return [len(text)]
    return [len(piece) for piece in pieces] if "".join(pieces) == text else [len(text)]
