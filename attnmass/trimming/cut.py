"""Where a text may be cut short: at a word's end."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable

# Scripts that are written without spaces (Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese,
# Yi), with their punctuation, and emoji.
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff]"
)
_JOINER = "\u200d"


def longest_beginning(text: str, fits: Callable[[str], bool]) -> int:
    """Length of the longest beginning that fits and consists of whole words.

    In scripts without spaces, and between emoji, every character with its marks is a word.

    Args:
        text: The text, without white space at its ends.
        fits: Whether a beginning fits; if one does, so does every shorter one.

    Returns:
        0 where not even the first word fits.
    """
    ends = [end for end in range(1, len(text) + 1) if _is_word_end(text, end)]
    known = bisect_left(ends, True, key=lambda end: not fits(text[:end]))
    return ends[known - 1] if known else 0


def _is_word_end(text: str, end: int) -> bool:
    before, after = text[end - 1], text[end : end + 1]
    if before.isspace():
        return False
    if not after or after.isspace():
        return True
    if before == _JOINER or unicodedata.category(after) in ("Mn", "Mc", "Me", "Cf", "Sk"):
        return False
    return bool(_UNSPACED.match(before) or _UNSPACED.match(after))
