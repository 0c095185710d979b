"""What spans are chosen from, and what was chosen: plain frozen data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from attnmass.text.segmentation import Segment

Place = tuple[int, int]  # chunk, span


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk whose spans are up for choice.

    Attributes:
        text: The chunk's text.
        segments: Its spans, in reading order.
        scores: What they are ordered by, one score for each.
        masses: Their attention mass, one for each.
        render: What the reader gets of the chunk, given the text that is kept of it.
        leans_on: For a span, the earlier one that it leans on, if any.
        index: Position in the input: of spans with equal scores, those with the lower one go first.
        irrelevant: The spans of too little relevance.
        must: The spans that must stay.
    """

    text: str
    segments: Sequence[Segment]
    scores: Sequence[float]
    masses: Sequence[float]
    render: Callable[[str], str]
    leans_on: Mapping[int, int] = field(default_factory=dict)
    index: int = 0
    irrelevant: frozenset[int] = frozenset()
    must: frozenset[int] = frozenset()

    def taking_part(self, keep_titles: bool) -> list[int]:
        """Spans that are chosen in their own right: not headings that come with what they head."""
        body = [i for i, segment in enumerate(self.segments) if segment.kind != "heading"]
        return body if keep_titles and body else list(range(len(self.segments)))


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen from the candidates.

    Attributes:
        reasons: For each candidate, for each span, why it is kept or dropped, as in `Span.reason`.
        kept: For each candidate, for each span, `[start, end)` as it is kept, else `None`.
        texts: For each candidate its kept text.
        n_tokens: Tokens of what the reader gets.
        duplicate_of: For spans that were dropped as duplicates, what they repeat.
        missed: The best span that `max_tokens` left no room for.
        missed_tokens: How many tokens that one takes by itself.
        over: By how many tokens what must stay exceeds `max_tokens`; 0 where it does not.
    """

    reasons: tuple[tuple[str, ...], ...]
    kept: tuple[tuple[tuple[int, int] | None, ...], ...]
    texts: tuple[str, ...]
    n_tokens: int
    duplicate_of: Mapping[Place, Place] = field(default_factory=dict)
    missed: Place | None = None
    missed_tokens: int = 0
    over: int = 0
