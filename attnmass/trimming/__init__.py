"""From attention on tokens to the spans that are kept: pure functions, no model."""

from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.chunks import (
    Leaning,
    Render,
    ScoredText,
    Trimmed,
    score_text,
    trim_chunks,
)
from attnmass.trimming.context import leaning
from attnmass.trimming.errors import BudgetError, PatternError
from attnmass.trimming.options import Trim
from attnmass.trimming.scores import (
    TokenMass,
    span_masses,
    span_scores,
    span_shares,
    tokens_of,
)

__all__ = [
    "BudgetError",
    "Leaning",
    "PatternError",
    "Render",
    "ScoredText",
    "TokenCounter",
    "TokenMass",
    "Trim",
    "Trimmed",
    "leaning",
    "score_text",
    "span_masses",
    "span_scores",
    "span_shares",
    "tokens_of",
    "trim_chunks",
]
