"""Between a ranking and the pure functions that trim it: what they need of tokens and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from attnmass.engine.forking import ForkLock
from attnmass.layouts import Layout, LayoutOptions, QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking
from attnmass.scoring.masses import token_masses
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.inputs import Inputs
from attnmass.text.prompt import chunk_text
from attnmass.text.segmentation import Segment, segment
from attnmass.text.tokens import PlainTokenizer, Tokens
from attnmass.trimming import (
    Leaning,
    Render,
    ScoredText,
    TokenCounter,
    Trim,
    leaning,
    tokens_of,
    trim_chunks,
)
from attnmass.trimming.scored import scored_text

_LARGEST_LOAD = 2**26  # numbers, of four bytes


class Trimmer:
    """Trims rankings of one ranker."""

    def __init__(
        self, profile: HeadProfile, layout: Layout, plain: PlainTokenizer, lock: ForkLock
    ) -> None:
        """Bind to a ranker's parts.

        Args:
            profile: The heads that are read.
            layout: What reads them.
            plain: The tokenizer.
            lock: Held while the model is used, and only then.
        """
        self._profile = profile
        self._layout = layout
        self._count = TokenCounter(plain.as_reader())
        self._lock = lock

    def trim(
        self,
        rankings: Sequence[Ranking],
        inputs: Inputs,
        attention: Sequence[QueryAttention],
        trim: Trim,
        render: Render | None,
        options: LayoutOptions,
    ) -> list[Ranking]:
        """Rankings of one set of chunks with their chunks trimmed.

        Args:
            rankings: As whole chunks gave them.
            inputs: What they were made of.
            attention: That of each query, on the chunks that were read.
            trim: What was asked for.
            render: As in `AttentionRanker.rank`.
            options: Bounds on a forward pass.

        Raises:
            ValueError: If no span fits into the budget and `on_empty` is `"raise"`.
        """
        segments = {
            index: segment(inputs.chunks[index].text, language=trim.language)
            for index in inputs.tokens
        }
        found = []
        for ranking, looked in zip(rankings, attention, strict=True):
            masses = looked.beyond_null
            scored = {
                index: scored_text(
                    inputs,
                    index,
                    masses[place],
                    ranking.scores[index],
                    segments[index],
                    self._profile,
                    looked.beside,
                )
                for index, place in inputs.places.items()
            }
            found.append(self._trim(ranking, inputs, scored, trim, render, options))
        return found

    def _trim(
        self,
        ranking: Ranking,
        inputs: Inputs,
        scored: Mapping[int, ScoredText],
        trim: Trim,
        render: Render | None,
        options: LayoutOptions,
    ) -> Ranking:
        count = trim.counter or self._count

        def as_read(index: int, text: str) -> str:
            return chunk_text(replace(inputs.chunks[index], text=text))

        def run(leans: Mapping[int, Leaning]) -> Ranking:
            kept, dropped = ranking.chunks, ranking.dropped
            found = trim_chunks(kept, dropped, scored, trim, count, render or as_read, leans)
            return replace(
                ranking,
                chunks=found.chunks,
                dropped=found.dropped,
                n_tokens_before=found.n_tokens_before,
                n_tokens_after=found.n_tokens_after,
            )

        result = run({})
        if not trim.resolve_context:
            return result
        return run(self._leaning(result.chunks, scored, inputs, options))

    def _leaning(
        self,
        chunks: Sequence[RankedChunk],
        scored: Mapping[int, ScoredText],
        inputs: Inputs,
        options: LayoutOptions,
    ) -> Mapping[int, Leaning]:
        """For each chunk what its spans lean on, by attention inside the chunk."""
        groups = {
            chunk.index: _groups(
                inputs.tokens[chunk.index],
                scored[chunk.index].segments,
                inputs.start(chunk.index),
            )
            for chunk in chunks
        }
        groups = {i: mine for i, mine in groups.items() if len(mine) > 1}
        weights = self._profile.context_weights
        found: dict[int, dict[int, int]] = {i: {} for i in groups}
        widths = {i: len(weights) * len(inputs.tokens[i]) for i in groups}
        for load in _loads(groups, widths):
            with self._lock:
                looked = self._layout.within(
                    [inputs.tokens[i] for i, _ in load],
                    [[groups[i][number] for number in numbers] for i, numbers in load],
                    options,
                )
            for (i, numbers), attention in zip(load, looked, strict=True):
                rows = (token_masses(each, weights).numpy() for each in attention)
                found[i] |= leaning(dict(zip(numbers, rows, strict=True)), groups[i])
        return found


def _loads(
    groups: Mapping[int, Mapping[int, object]], widths: Mapping[int, int]
) -> Iterator[list[tuple[int, list[int]]]]:
    """Spans of chunks in parts whose attention can be held at once, by `widths` for each span."""
    load: list[tuple[int, list[int]]] = []
    size = 0
    for i, mine in groups.items():
        numbers, most = list(mine), max(1, _LARGEST_LOAD // widths[i])
        for start in range(0, len(numbers), most):
            part = numbers[start : start + most]
            if load and size + len(part) * widths[i] > _LARGEST_LOAD:
                yield load
                load, size = [], 0
            load.append((i, part))
            size += len(part) * widths[i]
    if load:
        yield load


def _groups(tokens: Tokens, segments: Sequence[Segment], start: int) -> dict[int, list[int]]:
    """The tokens of each span that has some; headings, which come along anyway, left out."""
    body = {i: (span.start, span.end) for i, span in enumerate(segments) if span.kind != "heading"}
    offsets = np.array(tokens.offsets, dtype=np.int64)
    groups = zip(body, tokens_of(offsets, start, list(body.values())), strict=True)
    return {i: group for i, group in groups if group}
