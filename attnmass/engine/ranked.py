"""What one call saw of the chunks, of which rankings are made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from attnmass.engine.asking import Asked
from attnmass.engine.notes import notes_on
from attnmass.engine.ranking import make_ranking
from attnmass.layouts import LayoutOptions, LayoutResult, QueryAttention
from attnmass.options.choices import RankBy
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.text.inputs import Inputs
from attnmass.text.tokens import Tokens


@dataclass(frozen=True)
class Ranked:
    """What the queries of one call paid its chunks.

    Attributes:
        queries: As the caller passed them.
        read: Their tokens.
        inputs: The chunks.
        result: The attention.
        options: Bounds on a forward pass.
        profile: The heads that were read.
        rank_by: What chunks are ordered by.
        started: When the call began, by `time.perf_counter`.
        tokenized: When all were tokens.
        attended: When the model was done.
    """

    queries: Sequence[str]
    read: Sequence[Tokens]
    inputs: Inputs
    result: LayoutResult
    options: LayoutOptions
    profile: HeadProfile
    rank_by: RankBy
    started: float
    tokenized: float
    attended: float = field(default_factory=time.perf_counter)

    @property
    def attention(self) -> Sequence[QueryAttention]:
        """That of each query."""
        return self.result.queries

    @property
    def _n_windows(self) -> dict[int, int]:
        return {index: self.result.windows[place] for index, place in self.inputs.places.items()}

    def rankings(self, asked: Asked) -> list[Ranking]:
        """A ranking of whole chunks for each query, untimed and without notes."""
        n_windows = self._n_windows
        return [
            make_ranking(
                query,
                tokens,
                attention,
                self.inputs,
                n_windows,
                asked,
                self.profile,
                self.rank_by,
                ignored,
            )
            for query, tokens, attention, ignored in zip(
                self.queries, self.read, self.attention, self.options.ignored, strict=True
            )
        ]

    def timed(self, rankings: Sequence[Ranking], *, trimmed: bool = False) -> list[Ranking]:
        """Rankings that are done, with the time that they took and notes on all chunks.

        Args:
            rankings: One for each query.
            trimmed: Whether spans were scored.
        """
        ended = time.perf_counter()
        timings = Timings(
            tokenize=self.tokenized - self.started,
            encode=self.result.encode_seconds,
            query=self.result.query_seconds,
            total=ended - self.started,
            trim=ended - self.attended if trimmed else 0.0,
        )
        notes = (*self.result.notes, *notes_on(self._n_windows, self.inputs.skipped))
        return [replace(each, timings=timings, notes=(*notes, *each.notes)) for each in rankings]
