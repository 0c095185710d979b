"""A ranker that looks at theories, and candidates of which it trims what tests can foretell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attnmass import Chunk
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.contract.stub import StubRanker
from tests.trimming.build import words

TEXTS = (
    "The river runs through the city. A bridge of stone spans it. Boats are common.",
    "Einstein was born in Ulm. He developed the theory of relativity in 1905. He played the violin "
    "at home. His theory of gravity followed ten years later. He moved to Princeton.",
    "Trains run late. The theory of trains is simple. Winter is cold.",
)
CANDIDATES = [
    Candidate(text, 0.9 - 0.2 * place, f"id-{place}", {"title": f"T{place}", "tags": ["a"]}, 100)
    for place, text in enumerate(TEXTS)
]


def stub(**options: Any) -> StubRanker:
    """A ranker that looks at theories."""
    return StubRanker(by_theories, hot="theory", **options)


def by_theories(chunk: Chunk) -> float:
    """A mass that tests can foretell."""
    return 0.01 * chunk.text.count("theory") + 0.01


def make(adapter: Adapter, ranker: Any = None, **fields: Any) -> Any:
    """A reranker that trims, by default to 40 words, and tells all that it can."""
    fields = {"max_tokens": 40, "tokenizer": words, **fields}
    return adapter.telling(ranker or stub(), **fields)


def trimmed(adapter: Adapter, **fields: Any) -> list[Candidate]:
    """What comes of the candidates."""
    return adapter.read(adapter.run(make(adapter, **fields), adapter.build(CANDIDATES), QUERY))


def counter(tokenizer: Any) -> Callable[[str], int]:
    """Tokens as a number."""
    if tokenizer is words:
        return words
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))
