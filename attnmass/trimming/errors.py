"""What can go wrong with a request to trim."""

from __future__ import annotations


class BudgetError(ValueError):
    """A budget that no span, or not all that must stay, fits into."""


class PatternError(ValueError):
    """A user's pattern that takes too long."""
