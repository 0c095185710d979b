"""A ranker without a model: scores, delays and failures as a test needs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from attnmass import Chunk, Ranking, Timings, WarmResult
from attnmass.profiles import HeadProfile
from attnmass.selection import Selection


class StubRanker:
    """Gives chunks with text the mass that `mass` says; remembers what it was asked and where."""

    def __init__(
        self,
        mass: Callable[[Chunk], float] = lambda chunk: 0.01,
        *,
        seconds: float = 0.0,
        error: Exception | None = None,
        windows: int = 1,
    ) -> None:
        self.profile = HeadProfile("stub", "parallel", ((0, 0),), (1.0,))
        self.calls: list[SimpleNamespace] = []
        self._mass, self._seconds, self._error, self._windows = mass, seconds, error, windows

    def rank(
        self,
        query: str,
        chunks: Sequence[Chunk],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        retrieval_scores: Sequence[float | None] | None = None,
        fuse: float | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> Ranking:
        """As `AttentionRanker.rank`."""
        options: dict[str, Any] = {
            "top_n": top_n,
            "score_threshold": score_threshold,
            "retrieval_scores": retrieval_scores,
            "fuse": fuse,
            "batch_size": batch_size,
            "progress": progress,
        }
        thread = threading.current_thread().name
        self.calls.append(
            SimpleNamespace(query=query, chunks=chunks, thread=thread, options=options)
        )
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        full = {index: chunk for index, chunk in enumerate(chunks) if chunk.text.strip()}
        masses = {index: self._mass(chunk) for index, chunk in full.items()}
        n_tokens = {index: len(chunk.text.split()) for index, chunk in full.items()}
        skipped = {index: "blank" for index in range(len(chunks)) if index not in full}
        selection = Selection(top_n, score_threshold, retrieval_scores, fuse)
        selection.check(len(chunks))
        kept = selection.apply(masses, n_tokens, dict.fromkeys(masses, self._windows), skipped)
        scores = tuple(masses.get(index, 0.0) for index in range(len(chunks)))
        return Ranking(query, kept, scores, self.profile, Timings(0, 0, 0, 0))

    def warm(
        self,
        chunks: Sequence[Chunk],
        *,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> WarmResult:
        """As `AttentionRanker.warm`."""
        thread = threading.current_thread().name
        options = {"batch_size": batch_size, "progress": progress}
        self.calls.append(SimpleNamespace(chunks=chunks, thread=thread, options=options))
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        return WarmResult(read=len(chunks), skipped=0, unreadable=0, evicted=0)

    @property
    def read(self) -> list[str]:
        """The texts of the last call."""
        return [chunk.text for chunk in self.calls[-1].chunks]
