"""Texts that tests choose spans of, with scores."""

from __future__ import annotations

from typing import Any

from attnmass.trimming.candidates import Candidate
from tests.trimming.build import candidate

# Of 4, 3, 2, 5 and 3 words.
TEXT = (
    "The Rhine is long. Boats are common. Ships sink. It ends in Rotterdam, Holland. Coal is black."
)
SCORES = [0.2, 0.4, 0.1, 0.5, 0.3]
# Spans 0 (2 words) over all, 1 and 2 (4 words each) under it, 3 (2 words) over 4 and 5 (3 words).
ARTICLE = (
    "# Rivers\n\nThe Rhine is long. It ends in Rotterdam.\n\n"
    "## Ships\n\nShips carry coal. They are slow."
)
ARTICLE_SCORES = [0.9, 0.2, 0.3, 0.8, 0.5, 0.1]


def plain() -> Candidate:
    """Five sentences."""
    return candidate(TEXT, SCORES)


def article(**fields: Any) -> Candidate:
    """Four sentences under two headings."""
    return candidate(ARTICLE, ARTICLE_SCORES, **fields)
