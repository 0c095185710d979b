"""Markers of sources: what one must look like, and which ones are in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise, takewhile

_NO_MARK = re.compile("[0-9,]|{n}")
_DIGITS = re.compile("[0-9]+")
_MAX_DIGITS = 9  # longer ones are no numbers of sources


def checked_marker(marker: str) -> str:
    """A marker, once it is known to be one.

    Raises:
        ValueError: If it is malformed.
    """
    before, number, after = marker.partition("{n}")
    around = before + after
    if not (number and before.strip() and after.strip()) or _NO_MARK.search(around):
        raise ValueError(
            "marker must have '{n}' once, between characters that are neither digits nor commas, "
            f"such as '[{{n}}]', not {marker!r}"
        )
    return marker


def numbers_in(marker: str, text: str) -> Iterator[int]:
    """The numbers of all markers, in order.

    A marker has one number, or several with commas or semicolons between them, each of these after
    the marker's label (the `S` of `[S{n}]`) or not. Numbers are looked at once, from left to right:
    a regular expression for the whole would go over a list again from each of its numbers, and the
    text is not ours.
    """
    before, _, after = marker.partition("{n}")
    digits = [found.span() for found in _DIGITS.finditer(text)]
    gaps = pairwise([0, *(place for span in digits for place in span), len(text)])
    around = [text[start:end] for start, end in gaps][::2]  # [number + 1]
    fits = [end - start <= _MAX_DIGITS for start, end in digits]
    label = "".join(takewhile(_is_of_word, reversed(before)))[::-1]
    taken = number = 0  # characters of the gap before, by the marker that ended there
    while number < len(digits):
        if not fits[number] or not _opens(around[number][taken:], before):
            number, taken = number + 1, 0
            continue
        last = number
        while last + 1 < len(digits) and fits[last + 1] and _joins(around[last + 1], label):
            last += 1
        for end in range(last, number - 1, -1):
            closing = _closes(around[end + 1], after)
            if closing is not None:
                yield from (int(text[slice(*digits[n])]) for n in range(number, end + 1))
                number, taken = end + 1, closing
                break
        else:  # from none of the others either
            number, taken = last + 1, 0


def _is_of_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _opens(gap: str, before: str) -> bool:
    """Whether the text before a number ends as a marker begins, white space aside."""
    solid, mark = gap.rstrip(), before.rstrip()
    return solid.endswith(mark) and gap[len(solid) :].startswith(before[len(mark) :])


def _joins(gap: str, label: str) -> bool:
    """Whether two numbers with this between them are in one list."""
    rest = gap.lstrip()
    return rest[:1] in (",", ";") and rest[1:].lstrip() in ("", label)


def _closes(gap: str, after: str) -> int | None:
    """Where a marker ends in the text after a number, `None` if it does not."""
    solid, mark = gap.lstrip(), after.lstrip()
    lead = gap[: len(gap) - len(solid)]
    ends = solid.startswith(mark) and lead.endswith(after[: len(after) - len(mark)])
    return len(lead) + len(mark) if ends else None
