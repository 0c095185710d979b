"""What an adapter keeps so that it can be loaded again: of a profile, and of a tokenizer."""

from __future__ import annotations

import logging
import pickle
from typing import Any

from attnmass.profiles import HeadProfile, packaged_profiles

_logger = logging.getLogger(__name__)


def fields_of(profile: HeadProfile) -> dict[str, Any]:
    """The fields that stand for a profile: none where it ships, heads where they say it all."""
    if profile in packaged_profiles().values():
        return {}
    plain = HeadProfile.from_heads(
        profile.heads,
        model=profile.model,
        layout=profile.layout,
        null_query=profile.layout == "joint",
    )
    rules = ("weights", "spans", "evidence", "context", "null_query", "support_threshold")
    if all(getattr(profile, rule) == getattr(plain, rule) for rule in rules):
        return {"heads": profile.heads}
    return {"profile": profile}


def light_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer for a pickle, `None` where it does not go into one."""
    try:
        pickle.dumps(tokenizer)
    except Exception as error:
        _logger.warning(
            "the tokenizer stays behind, a pickle of this reranker counts with the default "
            f"one: {type(error).__name__}: {error}"
        )
        return None
    return tokenizer
