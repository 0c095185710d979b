"""Where a text repeats the question: that draws attention to itself, and answers nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from attnmass.text.rarity import UNSPACED, Rarity, beginnings
from attnmass.text.segmentation import segment

_WORD = re.compile(r"\w+")
_LEAST_WORDS = 3  # fewer are a topic, which texts may name
_LEAST_CHARACTERS = 8  # in a script without spaces, whose sentences are words
_WHOLE = 0.8  # of a text's words; one that has so many of them from the query says nothing else
_LONG = 7  # words that no name has; what says them again is about the query, and not its subject
_HALF = 0.5  # the same share for these
_MARKS = ("?", "\uff1f", "\u061f", "\u037e", "\u055e", "\u1367")
_NEARLY = 0.75  # of what a query's words weigh; a question that has so much of it asks the same
_FURTHER = 6  # words that it may have beside them, or as many as the query has
_MOST = 10_000  # characters of a text that is looked at for this: few chunks are longer
# What questions begin with where nobody types the mark, as in search boxes.
_OPENERS = re.compile(
    r"\s*(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|am|do|does|did|can|could"
    r"|should|would|will|shall|has|have|had|may)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Echo:
    """One query, to be found in texts.

    A question that stands in a text word for word, in whatever case and punctuation, does not
    count there, and what stands around it does: so an entry in a list of frequent questions counts
    as its answer does. What is not a question, such as a name, counts wherever it stands, except in
    a text that says nothing else or, for a query of seven words or more, says less besides it.

    Nor does a text of nothing but questions count if one of them says nearly the same: it has the
    words of the query, or the rarest of them, in whatever order, and not more others, none of them
    a name or a number. With an answer below it, such a question counts: it says what the answer is
    about.

    Attributes:
        query: The query.
        rarity: How rare words are.
    """

    query: str
    rarity: Rarity
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _rarest: str = field(init=False, repr=False, compare=False)
    _is_question: bool = field(init=False, repr=False, compare=False)
    _weights: dict[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = _WORD.findall(self.query)
        dense = any(len(word) >= _LEAST_CHARACTERS and UNSPACED.search(word) for word in words)
        enough = len(words) >= _LEAST_WORDS or dense
        pattern = None
        if enough:
            # Bounded between the words, so that a search takes linear time.
            body = r"[\W_]{1,8}".join(map(re.escape, words))
            # Marks behind it are the query's own, with a space before them, too.
            marks = r"[^\w\s]{0,4}(?:\s{1,4}[^\w\s]{1,4}(?!\S))?"
            pattern = re.compile(rf"(?<!\w){body}(?!\w){marks}", re.IGNORECASE)
        set_slot = object.__setattr__  # the class is frozen
        set_slot(self, "_pattern", pattern)
        set_slot(self, "_rarest", max(words, key=len, default="").lower())
        asks = self.query.rstrip().endswith(_MARKS)
        set_slot(self, "_is_question", asks or _OPENERS.match(self.query) is not None)
        told = beginnings(self.query) if enough else ()
        set_slot(self, "_weights", {one: self.rarity(one) ** 2 for one in told})

    def without(self, text: str) -> str:
        """The text without what repeats the query, in time linear in the text."""
        left, at = [], 0
        for start, end in self.places(text):
            left.append(text[at:start])
            at = end
        return " ".join([*left, text[at:]])

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where a text repeats the query so that it does not count, `[start, end)` in characters.

        Takes time linear in the text.
        """
        found = self._repeated(text)
        nothing_else = found and not _has_words(text, found)  # marks alone answer nothing
        return [(0, len(text))] if nothing_else or self._only_asks(text) else found

    def _repeated(self, text: str) -> list[tuple[int, int]]:
        """Where it stands word for word."""
        if self._pattern is None or self._rarest not in text.lower():
            return []
        found = [match.span() for match in self._pattern.finditer(text)]
        if self._is_question or not found:
            return found
        per_echo, words = len(_WORD.findall(self.query)), len(_WORD.findall(text))
        enough = _HALF if per_echo >= _LONG else _WHOLE
        return found if per_echo * len(found) >= enough * words else []

    def _only_asks(self, text: str) -> bool:
        """Whether a text has nothing but questions, one of them nearly the query."""
        if not self._weights or len(text) > _MOST or not _asks(text):
            return False
        sentences = [text[one.start : one.end] for one in segment(text)]
        # A query of several sentences has some that ask nothing.
        told = set().union(*(beginnings(one) for one in sentences if not _asks(one)))
        asked = filter(_asks, sentences)
        return told <= self._weights.keys() and any(map(self._is_near, [text, *asked]))

    def _is_near(self, question: str) -> bool:
        """Whether a question says nearly the same, and names nothing that may be the answer."""
        words = _WORD.findall(question)
        told = [beginnings(word) for word in words]
        said = {one for each in told for one in each}
        same = sum(weight for one, weight in self._weights.items() if one in said)
        further = [
            place for place, each in enumerate(told) if self._weights.keys().isdisjoint(each)
        ]
        return (
            same >= _NEARLY * sum(self._weights.values())
            and len(further) <= max(_FURTHER, len(self._weights))
            and not any(_names(words[place]) for place in further if place)
        )


def _asks(text: str) -> bool:
    """Whether a text ends as a question does."""
    last = max(map(text.rfind, _MARKS))
    return last >= 0 and not _WORD.search(text, last)


def _names(word: str) -> bool:
    """Whether a word that does not begin a sentence may be a name or a number."""
    return word[0].isupper() or any(map(str.isdigit, word))


def _has_words(text: str, left_out: Sequence[tuple[int, int]]) -> bool:
    """Whether words stand beside these places."""
    starts = [0, *(end for _, end in left_out)]
    ends = [*(start for start, _ in left_out), len(text)]
    return any(_WORD.search(text, *gap) for gap in zip(starts, ends, strict=True))
