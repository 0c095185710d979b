"""The words of a query, where they have a part in what chunks are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attnmass.engine.asking import Asked
from attnmass.options.checks import finite
from attnmass.profiles import HeadProfile
from attnmass.profiles.texts import ordinary_rarity
from attnmass.text.inputs import Inputs
from attnmass.text.prompt import chunk_text
from attnmass.text.words import QueryWords, bm25


@dataclass(frozen=True, slots=True)
class Said:
    """What texts say of a query's words.

    Attributes:
        words: The query's.
        found: Which of them each distinct text says, as `QueryWords.found`.
    """

    words: QueryWords
    found: Sequence[int]

    @property
    def shares(self) -> list[float]:
        """The share of them that each text says."""
        return [self.words.share(one) for one in self.found]


def words_of(query: str, profile: HeadProfile) -> QueryWords | None:
    """The query's words; `None` where the profile leaves them aside."""
    rule = profile.relevance
    counts = rule is not None and rule.counts_words
    return QueryWords(query, ordinary_rarity()) if counts else None


def words_said(query: str, inputs: Inputs, profile: HeadProfile) -> Said | None:
    """Which of the query's words each distinct text says; `None` as `words_of`."""
    words = words_of(query, profile)
    return None if words is None else Said(words, [words.found(text) for text in _texts(inputs)])


def words_found(
    query: str, inputs: Inputs, asked: Asked, profile: HeadProfile
) -> list[float] | None:
    """BM25 of each distinct text; `None` where words have no part in the order.

    They have where the profile weighs them, `fuse` is `"auto"`, and not all chunks have a
    retriever's score.
    """
    rule, given = profile.fuse_rule, asked.retrieval_scores
    if rule is None or rule.words is None or asked.fuse != "auto":
        return None
    if given is not None and all(finite(given[index]) is not None for index in inputs.places):
        return None
    return bm25(query, _texts(inputs), ordinary_rarity())


def _texts(inputs: Inputs) -> list[str]:
    found = {place: chunk_text(inputs.chunks[index]) for index, place in inputs.places.items()}
    return [found[place] for place in range(len(found))]
