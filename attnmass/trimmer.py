"""Between a ranking and the pure functions that trim it: what they need of tokens and model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from attnmass.inputs import Inputs
from attnmass.layouts import Layout, LayoutOptions
from attnmass.profiles import HeadProfile
from attnmass.prompt import chunk_text
from attnmass.scoring import token_masses
from attnmass.segmentation import Segment, segment
from attnmass.text import PlainTokenizer, Tokens
from attnmass.trimming import (
    Leaning,
    Render,
    ScoredText,
    TokenCounter,
    TokenMass,
    Trim,
    leaning,
    score_text,
    trim_chunks,
)
from attnmass.types import RankedChunk, Ranking


class Trimmer:
    """Trims rankings of one ranker; the caller holds the ranker's lock."""

    def __init__(self, profile: HeadProfile, layout: Layout, plain: PlainTokenizer) -> None:
        """Bind to a ranker's parts."""
        self._profile = profile
        self._layout = layout
        self._count = TokenCounter(plain.as_reader())

    def trim(
        self,
        ranking: Ranking,
        inputs: Inputs,
        attention: Mapping[int, Tensor],
        trim: Trim,
        render: Render | None,
        options: LayoutOptions,
    ) -> Ranking:
        """The ranking with its chunks trimmed.

        Args:
            ranking: As whole chunks gave it.
            inputs: What it was made of.
            attention: By input index `[head, token]`.
            trim: What was asked for.
            render: As in `AttentionRanker.rank`.
            options: Bounds on a forward pass.

        Raises:
            ValueError: If no span fits into the budget and `on_empty` is `"raise"`.
        """
        scored = {
            index: self._score(inputs, index, found, ranking.scores[index], trim.language)
            for index, found in attention.items()
        }
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

    def _score(
        self, inputs: Inputs, index: int, attention: Tensor, mass: float, language: str | None
    ) -> ScoredText:
        tokens = TokenMass(
            token_masses(attention, self._profile.span_weights).double().numpy(),
            np.array(inputs.tokens[index].offsets, dtype=np.int64),
            inputs.start(index),
        )
        text = inputs.chunks[index].text
        segments = segment(text, language=language)
        return score_text(text, segments, tokens, mass, self._profile.span_rule)

    def _leaning(
        self,
        chunks: Sequence[RankedChunk],
        scored: Mapping[int, ScoredText],
        inputs: Inputs,
        options: LayoutOptions,
    ) -> dict[int, Leaning]:
        """For each chunk what its spans lean on, by attention inside the chunk."""
        indices = [chunk.index for chunk in chunks]
        groups = [_groups(inputs.tokens[i], scored[i].segments, inputs.start(i)) for i in indices]
        looked = self._layout.within(
            [inputs.tokens[i] for i in indices], [list(mine.values()) for mine in groups], options
        )
        weights = self._profile.context_weights
        return {
            i: leaning(
                {
                    number: token_masses(rows, weights).numpy()
                    for number, rows in zip(mine, attention, strict=True)
                },
                mine,
            )
            for i, attention, mine in zip(indices, looked, groups, strict=True)
        }


def _groups(tokens: Tokens, segments: Sequence[Segment], start: int) -> dict[int, list[int]]:
    """The tokens of each span that has some; headings, which come along anyway, left out."""
    groups = {
        i: [
            number
            for number, (first, last) in enumerate(tokens.offsets)
            if first - start < span.end and last - start > span.start
        ]
        for i, span in enumerate(segments)
        if span.kind != "heading"
    }
    return {i: group for i, group in groups.items() if group}
