"""What the contract's tests rank."""

from __future__ import annotations

from tests.contract.adapters import Candidate

QUERY = "Who developed the theory of relativity?"
TEXTS = (
    "The river runs through the city.",
    "Albert Einstein developed the theory of relativity in 1905.",
    "Trains, books and music are made of words.",
    "A physicist is relevant to the query.",
)
CANDIDATES = [
    Candidate(text, score=0.9 - 0.2 * place, id=f"id-{place}") for place, text in enumerate(TEXTS)
]
