"""What can go wrong with what was asked of trimming."""

from __future__ import annotations


class BudgetError(ValueError):
    """A budget that no span, or not all that must stay, fits into."""


class PatternError(ValueError):
    """A pattern of a user's that takes too long."""
