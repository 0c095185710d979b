"""Options that are one of a few names."""

from __future__ import annotations

from typing import Literal, get_args

Order = Literal["score", "input", "best_last"]
OnNoEvidence = Literal["keep", "empty", "raise"]
RankBy = Literal["attention", "logit", "both"]
# Which way the pointwise layout reads attention, see `attnmass.layouts.pointwise`.
Direction = Literal["query_to_chunk", "chunk_to_query", "both"]


def check_rank_by(rank_by: str | None) -> None:
    """Raise `ValueError` unless chunks can be ranked by that; `None` is the model's default."""
    if rank_by is not None and rank_by not in get_args(RankBy):
        raise ValueError(f"rank_by must be one of {get_args(RankBy)}, not {rank_by!r}")


def check_direction(direction: str | None) -> None:
    """Raise `ValueError` unless attention can be read that way; `None` is the layout's own."""
    if direction is not None and direction not in get_args(Direction):
        raise ValueError(f"direction must be one of {get_args(Direction)}, not {direction!r}")
