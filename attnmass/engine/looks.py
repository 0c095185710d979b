"""What attention tells of the spans of chunks: the model's side of trimming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from attnmass.engine.leaning import Leaner
from attnmass.engine.words import words_of
from attnmass.layouts import LayoutOptions, QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment, segment
from attnmass.trimming import Leaning, ScoredText
from attnmass.trimming.embedding import Embedder, with_cosines
from attnmass.trimming.scored import scored_text
from attnmass.trimming.scores import Floats, best_possible


@dataclass(frozen=True)
class Texts:
    """The chunks of one call, as the model read them.

    Attributes:
        profile: The heads that are read.
        leaner: Looks inside chunks.
        inputs: The chunks.
        options: Bounds on a forward pass.
        language: Of the split into sentences; `None` is by script.
        embedder: The caller's embedding model; `None` is attention alone.
    """

    profile: HeadProfile
    leaner: Leaner
    inputs: Inputs
    options: LayoutOptions
    language: str | None
    embedder: Embedder | None = None
    _segments: dict[int, tuple[Segment, ...]] = field(default_factory=dict)
    _vectors: dict[int, Floats] = field(default_factory=dict)

    def segments(self, index: int) -> tuple[Segment, ...]:
        """The spans of a chunk, found once."""
        if index not in self._segments:
            text = self.inputs.chunks[index].text
            self._segments[index] = segment(text, language=self.language)
        return self._segments[index]

    def vectors(self, embedder: Embedder, indices: Sequence[int]) -> Mapping[int, Floats]:
        """The vectors of the spans of chunks, `[span, size]` each.

        What was not embedded yet is embedded in one call, a text that is there twice once.
        """
        new = {
            index: [self.inputs.chunks[index].text[s.start : s.end] for s in self.segments(index)]
            for index in indices
            if index not in self._vectors
        }
        every = dict.fromkeys(text for texts in new.values() for text in texts)
        places = {text: place for place, text in enumerate(every)}
        if places:
            found = embedder.texts(list(places))
            for index, texts in new.items():
                self._vectors[index] = found[[places[text] for text in texts]]
        return self._vectors


class Look:
    """One query's look at them, as `attnmass.engine.choosing.Looked` has it."""

    def __init__(
        self, texts: Texts, attention: QueryAttention, scores: Sequence[float], query: str
    ) -> None:
        """Nothing is worked out yet.

        Args:
            texts: The chunks.
            attention: The query's, on those that were read.
            scores: The chunks', in input order.
            query: The query itself, for its words, and to be embedded.
        """
        self._texts = texts
        self._attention = attention
        self._masses = attention.beyond_null
        self._scores = scores
        self._query = query
        self._words = words_of(query, texts.profile)
        self._of_query: Floats | None = None

    def scored(self, indices: Sequence[int]) -> Mapping[int, ScoredText]:
        """See `Looked.scored`."""
        found = {index: self._by_attention(index) for index in indices}
        embedder, weight = self._texts.embedder, self._texts.profile.cosine_weight
        if embedder is None:
            return found
        spans = [index for index, one in found.items() if one.segments]
        vectors = self._texts.vectors(embedder, spans)
        for index in spans:
            cosines = embedder.cosines(self._vector(embedder), vectors[index])
            scores = with_cosines(found[index].scores, cosines, weight)
            found[index] = replace(found[index], scores=scores)
        return found

    def _vector(self, embedder: Embedder) -> Floats:
        if self._of_query is None:
            self._of_query = embedder.query(self._query)
        return self._of_query

    def _by_attention(self, index: int) -> ScoredText:
        texts = self._texts
        return scored_text(
            texts.inputs,
            index,
            self._masses[texts.inputs.places[index]],
            self._scores[index],
            texts.segments(index),
            texts.profile,
            self._attention.beside,
            self._words,
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
