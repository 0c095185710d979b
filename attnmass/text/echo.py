"""Where a text repeats the question: that draws attention to itself, and answers nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WORD = re.compile(r"\w+")
_LEAST_WORDS = 3  # fewer are a topic, which texts may name
_LEAST_CHARACTERS = 8  # in a script without spaces, whose sentences are words
# Chinese and Japanese, Thai, Lao, Burmese and Khmer, which put no spaces between words.
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WHOLE = 0.8  # of a text's words; one that has so many of them from the query says nothing else
_LONG = 7  # words that no name has; what says them again is about the query, and not its subject
_HALF = 0.5  # the same share for these
_MARKS = ("?", "\uff1f", "\u061f", "\u037e", "\u055e", "\u1367")
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
    count there, and what stands around it does: so an entry of a list of frequent questions counts
    as its answer does. What is no question, such as a name, counts wherever it stands, but in a
    text that says nothing else, or, of seven words and more, that says less beside it.

    Attributes:
        query: The query.
    """

    query: str
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _rarest: str = field(init=False, repr=False, compare=False)
    _is_question: bool = field(init=False, repr=False, compare=False)

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
        if self._pattern is None or self._rarest not in text.lower():
            return []
        found = [match.span() for match in self._pattern.finditer(text)]
        if not found:
            return []
        per_echo, words = len(_WORD.findall(self.query)), len(_WORD.findall(text))
        inside = per_echo * len(found)
        if inside >= words:  # marks alone answer nothing
            return [(0, len(text))]
        enough = _HALF if per_echo >= _LONG else _WHOLE
        return found if self._is_question or inside >= enough * words else []
