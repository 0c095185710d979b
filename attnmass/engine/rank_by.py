"""What a ranker orders chunks by: attention, or what a classification head says."""

from __future__ import annotations

from typing import Any

from attnmass.models.kinds import count_labels, kind_of
from attnmass.options.choices import RankBy, check_rank_by


def choose_rank_by(config: Any, name: str, rank_by: RankBy | None) -> RankBy:
    """What to rank by: as the user says, else the logit where the model is made to give one.

    Args:
        config: The model's config.
        name: The name of its class, as `config.architectures` has it too.
        rank_by: What the user says, `None` for the default.

    Raises:
        ValueError: If a logit is asked of a model that gives none, or more than one.
    """
    check_rank_by(rank_by)
    n_labels = count_labels(config, name) if kind_of(config) == "encoder" else None
    if rank_by is None:
        return "logit" if n_labels == 1 else "attention"
    if rank_by == "attention" or n_labels == 1:
        return rank_by
    has = "no classification head" if n_labels is None else f"one for {n_labels} labels"
    raise ValueError(
        f"rank_by={rank_by!r} needs an encoder whose sequence classification head has one label, "
        f"as cross-encoders for reranking have, and {name} has {has}: pass rank_by='attention', or "
        "such a model"
    )


def class_name(config: Any) -> str:
    """The class that a config says its weights are of."""
    return next(iter(getattr(config, "architectures", None) or ()), type(config).__name__)
