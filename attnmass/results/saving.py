"""What trimming would have saved and lost, reported by a dry run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from attnmass.scoring.ranked import RankedChunk


@dataclass(frozen=True, slots=True)
class Saving:
    """The result that a dry run did not return.

    Attributes:
        n_tokens_before: Tokens of all chunks whole, counted with the reader's tokenizer.
        n_tokens_after: The same for what would be kept.
        chunks: What would be kept, as `Ranking.chunks` would have it.
        dropped: What would not be kept, each chunk and each of its spans with its reason.
        error: What would be raised instead; then nothing would be saved.
    """

    n_tokens_before: int
    n_tokens_after: int
    chunks: tuple[RankedChunk, ...]
    dropped: tuple[RankedChunk, ...]
    error: str | None = None

    @property
    def n_tokens_saved(self) -> int:
        """Tokens that the reader would be spared."""
        return self.n_tokens_before - self.n_tokens_after

    @property
    def lost_chunks(self) -> dict[str, int]:
        """How many chunks would go, by reason, most first."""
        return dict(Counter(chunk.dropped or "" for chunk in self.dropped).most_common())

    @property
    def lost_spans(self) -> dict[str, int]:
        """How many spans would go, by reason, most first; of chunks that were looked into."""
        every = (span for chunk in (*self.chunks, *self.dropped) for span in chunk.spans)
        return dict(Counter(span.reason for span in every if not span.kept).most_common())

    def __str__(self) -> str:
        """In a sentence."""
        if self.error is not None:
            return f"dry run: trimming would fail: {self.error}"
        n_chunks = len(self.chunks) + len(self.dropped)
        n_spans = sum(len(chunk.kept_spans) for chunk in self.chunks)
        share = self.n_tokens_saved / max(1, self.n_tokens_before)
        parts = [
            f"dry run: {self.n_tokens_after:,} of {self.n_tokens_before:,} tokens would be left "
            f"({share:.0%} saved), {len(self.chunks)} of {n_chunks} chunks, "
            f"{n_spans} of {n_spans + sum(self.lost_spans.values())} scored spans",
            _told("chunks", self.lost_chunks),
            _told("spans", self.lost_spans),
        ]
        return "; ".join(part for part in parts if part)


def _told(what: str, lost: dict[str, int]) -> str:
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in lost.items())
    return f"{what} left out: {reasons}" if reasons else ""
