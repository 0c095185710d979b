"""The choice of spans for a query, from as few chunks as it takes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from attnmass.engine.asking import Asked
from attnmass.engine.leaning import Leaner
from attnmass.layouts import LayoutOptions, QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking
from attnmass.scoring.ranked import RankedChunk
from attnmass.scoring.selection import arranged, best_first
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment, segment
from attnmass.trimming import (
    Leaning,
    Render,
    ScoredText,
    TokenCounter,
    Trim,
    Trimmed,
    trim_chunks,
)
from attnmass.trimming.patterns import Search
from attnmass.trimming.scored import scored_text
from attnmass.trimming.scores import best_possible

_FIRST = 4  # chunks that are looked into at first where too little is relevant


@dataclass(frozen=True)
class Call:
    """What the queries of one call have in common.

    Attributes:
        profile: The heads that are read.
        leaner: Looks inside chunks.
        inputs: The chunks.
        asked: All that was asked for.
        trim: What of it is about trimming.
        options: Bounds on a forward pass.
        count: Counts the reader's tokens.
        render: What the reader gets of a chunk.
        least: Less relevance than this is too little; `None` where all is relevant.
    """

    profile: HeadProfile
    leaner: Leaner
    inputs: Inputs
    asked: Asked
    trim: Trim
    options: LayoutOptions
    count: TokenCounter
    render: Render
    least: float | None
    _segments: dict[int, tuple[Segment, ...]] = field(default_factory=dict)
    _must: dict[int, frozenset[int]] = field(default_factory=dict)

    @cached_property
    def n_tokens_before(self) -> int:
        """Tokens of all chunks as the reader would get them whole."""
        chunks = self.inputs.chunks
        return self.count.total([self.render(i, chunks[i].text) for i in self.inputs.tokens])

    @cached_property
    def _search(self) -> Search:
        return self.trim.patterns.look()

    def segments(self, index: int) -> tuple[Segment, ...]:
        """The spans of a chunk, found once."""
        if index not in self._segments:
            text = self.inputs.chunks[index].text
            self._segments[index] = segment(text, language=self.trim.language)
        return self._segments[index]

    def must(self, index: int) -> frozenset[int]:
        """The spans of a chunk that `must_keep` names."""
        if not self.trim.patterns:
            return frozenset()
        if index not in self._must:
            places = self._search.places(self.inputs.chunks[index].text)
            self._must[index] = _touched(self.segments(index), places) if places else frozenset()
        return self._must[index]

    def trimmed(self, ranking: Ranking, attention: QueryAttention) -> Ranking:
        """One query's ranking with its chunks trimmed; errors as `Trimmer.trim` has them."""
        found = _Choosing(self, ranking, attention).run()
        return replace(
            ranking,
            chunks=found.chunks,
            dropped=found.dropped,
            n_tokens_before=self.n_tokens_before,
            n_tokens_after=found.n_tokens_after,
            notes=(*ranking.notes, *found.notes),
        )


class _Choosing:
    """The choice for one query.

    A chunk that is not relevant is looked into only where it has what must stay, or where too
    little is relevant and it may have the best of the rest.
    """

    def __init__(self, call: Call, ranking: Ranking, attention: QueryAttention) -> None:
        self._call = call
        self._ranking = ranking
        self._attention = attention
        self._masses = attention.beyond_null
        self._scored: dict[int, ScoredText] = {}
        self._brought: set[int] = set()

    def run(self) -> Trimmed:
        """Choose."""
        call = self._call
        spare = self._spare()
        apart = {c.index for c in self._ranking.dropped if c.dropped == "min_relevance"}
        self._look_into(index for index in call.inputs.places if index not in apart)
        self._bring(index for index in spare if call.must(index))
        bounds = {index: self._bound(index) for index in spare if index not in self._brought}
        waiting = sorted(bounds, key=lambda index: -bounds[index])
        n_next = _FIRST
        while True:
            found = self._choose({}, final=not waiting)
            if not waiting or self._is_enough(found, bounds[waiting[0]]):
                break
            self._bring(waiting[:n_next])
            del waiting[:n_next]
            n_next *= 2
        if not call.trim.resolve_context:
            return found
        leans = call.leaner.leaning(found.chunks, self._scored, call.inputs, call.options)
        return self._choose(leans, final=not waiting)

    def _spare(self) -> list[int]:
        """Chunks that only want of relevance keeps from being among those to choose from."""
        top_n = self._call.asked.top_n
        room = None if top_n is None else max(0, top_n - len(self._ranking.chunks))
        return [
            chunk.index
            for chunk in self._ranking.dropped
            if chunk.dropped == "min_relevance" and chunk.skipped is None
        ][:room]

    def _bound(self, index: int) -> float:
        """What no span of a chunk scores more than."""
        sums, profile = self._attention.sums, self._call.profile
        if sums is None:
            return float("inf")
        mass = sums[self._call.inputs.places[index]] @ sums.new_tensor(profile.span_weights)
        return best_possible(float(mass), self._ranking.scores[index], profile.span_rule)

    def _bring(self, indices: Iterable[int]) -> None:
        """Let chunks take part all the same."""
        more = set(indices)
        self._look_into(more)
        self._brought |= more

    def _look_into(self, indices: Iterable[int]) -> None:
        call = self._call
        for index in sorted(indices):
            self._scored[index] = scored_text(
                call.inputs,
                index,
                self._masses[call.inputs.places[index]],
                self._ranking.scores[index],
                call.segments(index),
                call.profile,
                self._attention.beside,
                call.must(index),
            )

    def _choose(self, leans: Mapping[int, Leaning], *, final: bool) -> Trimmed:
        call, kept, dropped = self._call, list(self._ranking.chunks), []
        for chunk in self._ranking.dropped:
            if chunk.index in self._brought:
                kept.append(replace(chunk, dropped=None))
            else:
                dropped.append(chunk)
        if self._brought:
            kept = arranged(sorted(kept, key=best_first), call.asked.order)
        return trim_chunks(
            kept,
            dropped,
            self._scored,
            call.trim,
            call.count,
            call.render,
            leans,
            min_relevance=call.least,
            final=final,
        )

    def _is_enough(self, found: Trimmed, bound: float) -> bool:
        """Whether no chunk that waits, of whose spans none scores more than `bound`, is needed."""
        n_least = self._call.trim.min_keep
        taken = sorted(
            (self._is_irrelevant(chunk, span.relevance), -span.score)
            for chunk in found.chunks
            for span in chunk.spans
            if span.reason in ("score", "must_keep")
        )
        if len(taken) < n_least:
            return False
        irrelevant, score = taken[n_least - 1] if n_least else (False, 0.0)
        return not irrelevant or -score >= bound

    def _is_irrelevant(self, chunk: RankedChunk, of_span: float | None) -> bool:
        known = [each for each in (chunk.relevance, of_span) if each is not None]
        return self._call.least is not None and min(known, default=1.0) < self._call.least


def _touched(segments: Sequence[Segment], places: Iterable[tuple[int, int]]) -> frozenset[int]:
    """The spans that have characters in one of some places."""
    starts, ends = [span.start for span in segments], [span.end for span in segments]
    return frozenset(
        i
        for start, end in places
        for i in range(bisect_right(ends, start), bisect_left(starts, end))
    )
