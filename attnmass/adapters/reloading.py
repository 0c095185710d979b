"""What an adapter keeps of a profile and of a tokenizer, so that it can be loaded again."""

from __future__ import annotations

import logging
import pickle
from dataclasses import fields
from typing import Any

from attnmass.options.checks import check_type
from attnmass.profiles import HeadProfile, packaged_profiles

# Fields of a head profile that only describe it. Its model is a field of the adapter as well.
_ABOUT = {"fingerprint", "prompt_version", "source", "fitted_on", "measured", "direction"}

_logger = logging.getLogger(__name__)


def fields_of(profile: HeadProfile) -> dict[str, Any]:
    """What stands for a profile: no field where its model's name finds it, else heads or it all."""
    shipped = packaged_profiles().values()
    mine = [
        each for each in shipped if (each.model, each.layout) == (profile.model, profile.layout)
    ]
    if mine and mine[0] == profile:  # the first is what is taken for the model
        return {}
    plain = HeadProfile.from_heads(
        profile.heads,
        model=profile.model,
        layout=profile.layout,
        null_query=profile.layout == "joint",
    )
    rules = (field.name for field in fields(HeadProfile) if field.name not in _ABOUT)
    if all(getattr(profile, rule) == getattr(plain, rule) for rule in rules):
        return {"heads": profile.heads}
    return {"profile": profile}


def settled_by(ranker: object) -> dict[str, Any]:
    """The fields that a ranker settles, so that what is unpickled has one like it.

    Raises:
        TypeError: If it is not a ranker.
    """
    from attnmass.client.remote import RemoteRanker
    from attnmass.ranker import AttentionRanker

    if isinstance(ranker, RemoteRanker):
        return {"model": ranker.url, **ranker.settings}
    check_type("ranker", ranker, AttentionRanker)
    assert isinstance(ranker, AttentionRanker)
    return {"model": ranker.profile.model, **fields_of(ranker.profile), **ranker.options}


def light_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer for a pickle; `None` where it cannot be pickled."""
    try:
        pickle.dumps(tokenizer)
    except Exception as error:
        _logger.warning(
            "the tokenizer stays behind, a pickle of this reranker counts with the default "
            f"one: {type(error).__name__}: {error}"
        )
        return None
    return tokenizer


def warn_of_embed_model(embed_model: object) -> None:
    """Log that an embedding model is left out of the pickle, since it may hold weights or a key."""
    if embed_model is not None:
        _logger.warning(
            "embed_model stays behind, a pickle of this reranker scores spans by attention alone "
            "until it is set again"
        )
