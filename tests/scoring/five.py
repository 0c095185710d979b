"""Five chunks, one of which was skipped, in order and cut, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attnmass.options.selection import Selection
from attnmass.profiles import FuseRule
from attnmass.scoring.ranked import RankedChunk
from attnmass.scoring.selection import Parts, cut, rank
from attnmass.text.chunk import Chunk

MASSES = {0: 0.1, 1: 0.4, 2: 0.1, 4: 0.3}
PARTS = {
    index: Parts(mass=mass, share=mass, n_tokens=5, relevance=2 * mass, text=place)
    for place, (index, mass) in enumerate(MASSES.items())
}
CHUNKS = [Chunk("text", metadata={"place": place}) for place in range(5)]
RULE = FuseRule((1.0, 1.0), (1.0, 0.5), (1.0, 2.0), words=(1.0, 3.0))


def ranked_by(words: Sequence[float] | None = None, **options: Any) -> list[RankedChunk]:
    """Five chunks, of which the fourth was skipped, in order."""
    selection = Selection(**options)
    selection.check(5)
    told: dict[str, Any] = {"rule": RULE, "words": words, "knows_relevance": True}
    return rank(selection, CHUNKS, PARTS, {3: "blank"}, **told)


def apply(least: float | None = None, **options: Any) -> tuple[RankedChunk, ...]:
    """The same, cut."""
    ranked = ranked_by(**options)
    kept, dropped = cut(Selection(**options), ranked, min_relevance=least)
    assert sorted(c.index for c in [*kept, *dropped]) == [0, 1, 2, 3, 4]
    assert all(chunk.dropped for chunk in dropped)
    return tuple(kept)


def indices(chunks: tuple[RankedChunk, ...]) -> list[int]:
    """Input indices in order."""
    return [chunk.index for chunk in chunks]
