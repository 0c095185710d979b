"""The command line in a process of its own, over a ranker that needs no torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attnmass.cli import main, session
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.chunk import Chunk


class FakeRanker:
    """Finds each chunk as good as the one before it."""

    def rank(self, query: str, chunks: Sequence[Chunk], **options: Any) -> Ranking:
        """Keep all in their order."""
        ranked = [RankedChunk(i, 0.5, 1, text=chunk.text) for i, chunk in enumerate(chunks)]
        profile = HeadProfile("fake", "parallel", ((0, 0),), (1.0,))
        return Ranking(query, tuple(ranked), (), profile, Timings(0, 0, 0, 0), evidence=0.5)


if __name__ == "__main__":
    session.load_ranker = lambda *_, **__: FakeRanker()  # type: ignore[assignment,return-value]
    sys.argv[0] = "attnmass"
    main()
