"""A text of which a reranker that looks at theories keeps one sentence."""

from __future__ import annotations

from typing import Any

from attnmass import Chunk
from tests.contract.stub import StubRanker

TEXT = "Einstein was born in Ulm. He developed the theory in 1905. He played the violin."
KEPT = "He developed the theory in 1905."
AT = TEXT.index(KEPT)


def by_theories(chunk: Chunk) -> float:
    """Where there is a theory there is more."""
    return 0.01 + 0.1 * chunk.text.count("theory")


def keeping(kind: Any, **fields: Any) -> Any:
    """A reranker of a framework's kind that keeps the sentences about theories."""
    if not {"max_tokens", "keep_ratio", "top_p"} & set(fields):
        fields["top_p"] = 0.5
    told = {"add_scores": True, "keep_original": True}
    ranker = StubRanker(by_theories, hot="theory")
    return kind.from_ranker(ranker, **{**told, **fields})
