"""What spans are chosen from, and what was chosen: plain frozen data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from attnmass.text.segmentation import Segment


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk whose spans are up for choice.

    Attributes:
        text: The chunk's text.
        segments: Its spans, in reading order.
        scores: What they are ordered by, one for each.
        masses: Their attention mass, one for each.
        render: What the reader gets of the chunk, given the text that is kept of it.
        leans_on: For a span the earlier one that it leans on, if any.
        index: Position in the input: of spans with equal scores those of the lower one go first.
    """

    text: str
    segments: Sequence[Segment]
    scores: Sequence[float]
    masses: Sequence[float]
    render: Callable[[str], str]
    leans_on: Mapping[int, int] = field(default_factory=dict)
    index: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen of the candidates.

    Attributes:
        reasons: For each candidate, for each span, why it is kept or dropped, as in `Span.reason`.
        kept: For each candidate, for each span, `[start, end)` as it is kept, else `None`.
        texts: For each candidate its kept text.
        n_tokens: Tokens of what the reader gets.
    """

    reasons: tuple[tuple[str, ...], ...]
    kept: tuple[tuple[tuple[int, int] | None, ...], ...]
    texts: tuple[str, ...]
    n_tokens: int
