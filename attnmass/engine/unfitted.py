"""What finds heads for a model without a profile: it registers here, so that engines need not know.

What they need of it is one call; how heads are found, with rankers and labelled queries, is told in
rooms above.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attnmass.models.naming import is_unnamed

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile

# From a model, its tokenizer and the default profile to heads that are better, or none.
Finder = Callable[[Any, Any, "HeadProfile"], "HeadProfile | None"]

_finders: list[Callable[[], Finder]] = []


def finds_heads(source: Callable[[], Finder]) -> None:
    """Have `source` called for a finder when one is needed first: it may import much."""
    _finders.append(source)


def heads_for(model: Any, tokenizer: Any, default: HeadProfile) -> HeadProfile:
    """The heads to read of a model without a profile, with a warning that says what they are.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        default: What is read where nothing is found.
    """
    candidates = (source()(model, tokenizer, default) for source in _finders)
    found = next((one for one in candidates if one is not None), None)
    kind = getattr(getattr(model, "config", None), "model_type", "")
    name = "MODEL" if is_unnamed(default.model) else default.model
    if found is None:
        read = (
            "all heads of its middle layers are read, which ranks near random; no heads could be "
            "singled out by a few sentences of ordinary text, as where weights are not trained"
        )
    else:
        read = (
            f"{len(found.heads)} heads are read that {found.fitted_on} singled out, which ranks "
            "worse than a fitted profile"
        )
    warnings.warn(
        f"no head profile ships for this {kind or 'kind of'} model in layout {default.layout!r}, "
        f"so {read}. To fit heads, weights and thresholds, on texts alone or on a few dozen "
        f"labelled queries: attnmass fit --model {name} --layout {default.layout} --out FILE.json, "
        "then pass profile='FILE.json'.",
        UserWarning,
        stacklevel=5,
    )
    return found or default
