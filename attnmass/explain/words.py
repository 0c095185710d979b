"""Tokens brought to words: what people read, and what is shaded."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attnmass.results.trace import Floats, Integers

_SPACE, _LETTER, _OTHER = range(3)
_JOINERS = "\u200c\u200d"
_APOSTROPHES = "'\u2019"

# Scripts that put no space between words; there, what the tokenizer takes for a piece is a word.
_UNSPACED = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


class Links(NamedTuple):
    """Which tokens count for which words.

    Attributes:
        tokens: Index of a token, `[link]`.
        words: Index of a word, `[link]`.
        shares: How much of the token counts for the word, `[link]`; 1 in sum for each token.
    """

    tokens: Integers
    words: Integers
    shares: npt.NDArray[np.float64]


def find_words(text: str, offsets: Integers, cuts: Iterable[int] = ()) -> tuple[Integers, Links]:
    """Cut a text into words and say which tokens count for them.

    A word is a run of letters, digits, their marks and apostrophes between them; a run of other
    characters (punctuation, symbols, emoji) is also a word. White space is a word where a token is
    nothing but white space. Where a script has no spaces, words end where tokens end.

    A token counts for the words that its characters are in, in proportion to how many are in each,
    leaving out the white space around it, so that all words together have all its mass.

    Args:
        text: What was tokenized.
        offsets: `[start, end)` of each token in characters into it, `[token, 2]`. A token of no
            characters counts where the character before it is.
        cuts: Where no word may continue, such as the bounds of sentences.

    Returns:
        `[start, end)` of each word, in order, `[word, 2]`, and the links.
    """
    start, end = _cores(text, offsets)
    bounds = _cells(text, {*start.tolist()}, {*cuts})
    begins = bounds[:, 0]
    first = np.searchsorted(begins, start, side="right") - 1
    last = np.searchsorted(begins, end, side="left")
    counts = last - first
    tokens = np.repeat(np.arange(len(offsets)), counts)
    places = np.arange(len(tokens)) - np.repeat(np.cumsum(counts) - counts, counts)
    cells = np.repeat(first, counts) + places
    low = np.maximum(bounds[cells, 0], start[tokens])
    high = np.minimum(bounds[cells, 1], end[tokens])
    shares = (high - low) / (end - start)[tokens]
    used = np.array([not text[a:b].isspace() for a, b in bounds.tolist()], dtype=bool)
    used[cells] = True
    numbers = np.cumsum(used) - 1
    return bounds[used], Links(tokens, numbers[cells], shares)


def by_word(masses: Floats, links: Links, n_words: int) -> Floats:
    """Sum attention on tokens to attention on words.

    Args:
        masses: `[..., token]`.
        links: From `find_words`.
        n_words: How many words there are.

    Returns:
        `[..., word]`.
    """
    flat = masses.reshape(-1, masses.shape[-1]).astype(np.float64)
    found = np.zeros((n_words, len(flat)))
    np.add.at(found, links.words, (flat[:, links.tokens] * links.shares).T)
    shaped: Floats = found.T.astype(np.float32).reshape(*masses.shape[:-1], n_words)
    return shaped


def _cores(text: str, offsets: Integers) -> tuple[Integers, Integers]:
    """Tokens without the white space around them, unless they are nothing else; never empty."""
    space = np.array([char.isspace() for char in text], dtype=bool)
    solid = np.flatnonzero(~space)
    start = np.minimum(offsets[:, 0], len(text) - 1)
    start = np.where(offsets[:, 0] < offsets[:, 1], start, np.maximum(offsets[:, 0] - 1, 0))
    end = np.minimum(np.maximum(offsets[:, 1], start + 1), len(text))
    low = np.searchsorted(solid, start, side="left")
    high = np.searchsorted(solid, end, side="left")
    has = low < high
    ends = np.append(solid, 0)  # so that there is something to look up where there is no core
    return np.where(has, ends[np.minimum(low, len(solid))], start), np.where(
        has, ends[high - 1] + 1, end
    )


def _cells(text: str, token_starts: set[int], cuts: set[int]) -> Integers:
    """Runs of characters of one kind that cover the text, white space included, `[cell, 2]`."""
    kinds = _kinds(text)
    bounds = [0]
    for place in range(1, len(text)):
        cut = kinds[place] != kinds[place - 1] or place in cuts
        if cut or (place in token_starts and _ends_unspaced(text[place - 1], text[place])):
            bounds.append(place)
    return np.array(list(zip(bounds, [*bounds[1:], len(text)], strict=True)), dtype=np.int64)


def _kinds(text: str) -> list[int]:
    kinds: list[int] = []
    for place, char in enumerate(text):
        before = kinds[-1] if kinds else _OTHER
        if char.isspace():
            kinds.append(_SPACE)
        elif char.isalnum() or char == "_":
            kinds.append(_LETTER)
        elif before != _SPACE and _joins(char):
            kinds.append(before)
        elif char in _APOSTROPHES and before == _LETTER and text[place + 1 : place + 2].isalnum():
            kinds.append(_LETTER)
        else:
            kinds.append(_OTHER)
    return kinds


def _joins(char: str) -> bool:
    """Whether a character is drawn together with the one before it."""
    return char in _JOINERS or unicodedata.category(char)[0] == "M"


def _ends_unspaced(before: str, char: str) -> bool:
    """Whether a token that begins with `char` is a separate word with no space before it."""
    return _unspaced(before) and _unspaced(char) and not _joins(char)


def _unspaced(char: str) -> bool:
    point = ord(char)
    return point >= _UNSPACED[0][0] and any(low <= point <= high for low, high in _UNSPACED)
