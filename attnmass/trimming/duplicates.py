"""Spans that repeat what another chunk already says, as overlapping chunks and copies do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from attnmass.trimming.candidates import Place

# Two texts are nearly the same where they share this much of their runs of `_RUN` words (Jaccard's
# index; Broder, "On the resemblance and containment of documents", 1997) and have the same numbers.
# A text with one different word in its middle is not taken for the same unless it has about 60
# words.
THRESHOLD = 0.9

_RUN = 3
# Words, numbers with their sign and marks, and signs that change what is said, such as those of
# currencies; other punctuation means the same in any form.
_WORD = re.compile(
    r"[-+\u2212]?\d(?:[.,:/-]?\d)*|[^\W\d]+"
    r"|[^\w\s.,;:!?'\"()\[\]{}<>*_`#|~\u00ab\u00bb\u2010-\u2027\u2039\u203a\u3001-\u3011\u30fb"
    r"\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f-]"
)
_MOST = 16  # texts that one is compared with, at most, for each of its runs that is looked up


Words = tuple[str, ...]
_Bucket = dict[int, dict[Place, None]]  # places by their chunk, in the order in which they came


@dataclass(frozen=True, slots=True)
class _Text:
    words: Words
    runs: frozenset[Words]
    numbers: Words


class Copies:
    """Texts that were taken, by what they say; looking one up takes time linear in its length."""

    def __init__(self) -> None:
        self._same: dict[Words, _Bucket] = {}
        self._runs: dict[Words, _Bucket] = {}
        self._texts: dict[Place, _Text] = {}

    def add(self, place: Place, text: str) -> None:
        """Remember a text; one without words is like no other."""
        found = _read(text)
        if not found.words:
            return
        self._texts[place] = found
        for bucket in self._buckets(found):
            bucket.setdefault(place[0], {})[place] = None

    def remove(self, place: Place) -> None:
        """Forget what was added under a place, if anything was."""
        found = self._texts.pop(place, None)
        for bucket in () if found is None else self._buckets(found):
            del bucket[place[0]][place]
            if not bucket[place[0]]:
                del bucket[place[0]]

    def same(self, chunk: int, text: str) -> Place | None:
        """Where another chunk has the same, apart from case, white space and punctuation."""
        return next(_elsewhere(chunk, self._same.get(_words(text), {})), None)

    def like(self, chunk: int, text: str) -> Place | None:
        """Where another chunk has the same, or nearly the same, see `THRESHOLD`."""
        found = _read(text)
        same = next(_elsewhere(chunk, self._same.get(found.words, {})), None)
        if same is not None:
            return same
        for run in _rarest(found.runs):
            for other in islice(_elsewhere(chunk, self._runs.get(run, {})), _MOST):
                if _alike(found, self._texts[other]):
                    return other
        return None

    def _buckets(self, text: _Text) -> Iterator[_Bucket]:
        yield self._same.setdefault(text.words, {})
        for run in _rarest(text.runs):
            yield self._runs.setdefault(run, {})


def _read(text: str) -> _Text:
    words = _words(text)
    starts = range(len(words) - _RUN + 1)
    runs = frozenset(words[start : start + _RUN] for start in starts)
    numbers = sorted(word for word in words if any(map(str.isdigit, word)))
    return _Text(words, runs, tuple(numbers))


def _words(text: str) -> Words:
    return tuple(_WORD.findall(text.casefold()))


def _rarest(runs: frozenset[Words]) -> list[Words]:
    """The longest of a text's runs, which are rare: two texts that are alike share at least one.

    Texts that share this much cannot differ in all of the first runs in any order that both follow
    (Chaudhuri et al., "A primitive operator for similarity joins in data cleaning", 2006).
    """
    enough = len(runs) - int(THRESHOLD * len(runs) - 1e-9)
    return sorted(runs, key=lambda run: (-sum(map(len, run)), run))[:enough]


def _alike(one: _Text, other: _Text) -> bool:
    if one.numbers != other.numbers:
        return False
    together = len(one.runs & other.runs)
    return together >= THRESHOLD * (len(one.runs) + len(other.runs) - together)


def _elsewhere(chunk: int, bucket: _Bucket) -> Iterator[Place]:
    """Places of other chunks."""
    return (place for other, places in bucket.items() if other != chunk for place in places)
