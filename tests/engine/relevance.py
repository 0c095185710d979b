"""A profile that tells relevance, and the candidates that it is tried on."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from attnmass import HeadProfile
from attnmass.profiles import RelevanceRule
from attnmass.profiles.texts import ordinary_documents

HEADS = ((1, 0), (1, 3), (2, 2))
QUERY = "Who developed the theory of relativity in 1905?"
PARAGRAPHS = [text for one in ordinary_documents()[:15] for text in one.paragraphs]
NOISE = ["", " \n", "0,0,0\n" * 50, "word " * 200, "Query: Query:", "4f 8a 00 1c " * 40, QUERY]


def profile(**fields: Any) -> HeadProfile:
    """A profile with a rule for relevance and a small background."""
    rule = RelevanceRule(
        HEADS,
        (0.9, 0.7, -0.4),
        bias=0.5,
        evidence_threshold=0.2,
        words=2.0,
        span_words=1.0,
        coverage=1.0,
    )
    fields = {"relevance": rule, "background": tuple(PARAGRAPHS[-6:])} | fields
    return HeadProfile.from_heads(HEADS, model="tiny", layout="late", **fields)


texts = st.lists(st.sampled_from([*PARAGRAPHS[:40], *NOISE]), min_size=1, max_size=12)
PROPERTY = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
