"""What attention tells of the spans of chunks: the model's side of trimming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from attnmass.engine.leaning import Leaner
from attnmass.layouts import LayoutOptions, QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment, segment
from attnmass.trimming import Leaning, ScoredText
from attnmass.trimming.scored import scored_text
from attnmass.trimming.scores import best_possible


@dataclass(frozen=True)
class Texts:
    """The chunks of one call, as the model read them.

    Attributes:
        profile: The heads that are read.
        leaner: Looks inside chunks.
        inputs: The chunks.
        options: Bounds on a forward pass.
        language: Of the split into sentences; `None` is by script.
    """

    profile: HeadProfile
    leaner: Leaner
    inputs: Inputs
    options: LayoutOptions
    language: str | None
    _segments: dict[int, tuple[Segment, ...]] = field(default_factory=dict)

    def segments(self, index: int) -> tuple[Segment, ...]:
        """The spans of a chunk, found once."""
        if index not in self._segments:
            text = self.inputs.chunks[index].text
            self._segments[index] = segment(text, language=self.language)
        return self._segments[index]


class Look:
    """One query's look at them, as `attnmass.engine.choosing.Looked` has it."""

    def __init__(self, texts: Texts, attention: QueryAttention, scores: Sequence[float]) -> None:
        """Nothing is worked out yet.

        Args:
            texts: The chunks.
            attention: The query's, on those that were read.
            scores: The chunks', in input order.
        """
        self._texts = texts
        self._attention = attention
        self._masses = attention.beyond_null
        self._scores = scores

    def scored(self, index: int) -> ScoredText:
        """See `Looked.scored`."""
        texts = self._texts
        return scored_text(
            texts.inputs,
            index,
            self._masses[texts.inputs.places[index]],
            self._scores[index],
            texts.segments(index),
            texts.profile,
            self._attention.beside,
        )

    def bound(self, index: int) -> float:
        """See `Looked.bound`."""
        sums, profile = self._attention.sums, self._texts.profile
        if sums is None:
            return float("inf")
        mass = sums[self._texts.inputs.places[index]] @ sums.new_tensor(profile.span_weights)
        return best_possible(float(mass), self._scores[index], profile.span_rule)

    def leaning(
        self, chunks: Sequence[RankedChunk], scored: Mapping[int, ScoredText]
    ) -> Mapping[int, Leaning]:
        """See `Looked.leaning`."""
        texts = self._texts
        return texts.leaner.leaning(chunks, scored, texts.inputs, texts.options)
