"""What finds heads for a model without a profile: it registers here, so that engines need not know.

What they need of it is one call; how heads are found, with rankers and labelled queries, is told in
rooms above.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attnmass.models.naming import is_unnamed
from attnmass.options.choices import FIT

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile
    from attnmass.profiles.choosing import DefaultProfile

# From a model, its tokenizer and the default profile to heads that are better, or none.
Finder = Callable[[Any, Any, "HeadProfile"], "HeadProfile | None"]
# The same, and texts; to a whole profile.
Fitter = Callable[[Any, Any, "HeadProfile", "Sequence[str] | None"], "HeadProfile"]

_finders: list[Callable[[], Finder]] = []
_fitters: list[Callable[[], Fitter]] = []


def finds_heads(source: Callable[[], Finder]) -> None:
    """Have `source` called for a finder when one is needed first: it may import much."""
    _finders.append(source)


def fits_heads(source: Callable[[], Fitter]) -> None:
    """Have `source` called for what fits a profile; the last that registers itself does."""
    _fitters.append(source)


def fitted_for(
    model: Any, tokenizer: Any, default: HeadProfile, texts: Sequence[str] | None
) -> HeadProfile:
    """A profile that was fitted without labels, now or earlier.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        default: What would be read without it.
        texts: Files, folders or texts to fit on; `None` for what is kept, or the texts that ship.

    Raises:
        ValueError: If too few questions can be made of the texts.
        UnsupportedModelError: If no heads stand out.
    """
    return _fitters[-1]()(model, tokenizer, default, texts)


def heads_for(model: Any, tokenizer: Any, default: DefaultProfile) -> HeadProfile:
    """The heads to read of a model without a profile, with a warning that says what they are.

    A profile that was fitted for the model earlier is no reason for one.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        default: What is read where nothing is found.
    """
    candidates = (source()(model, tokenizer, default) for source in _finders)
    found = next((one for one in candidates if one is not None), None)
    if found is not None and found.source == FIT:
        return found
    kind = getattr(getattr(model, "config", None), "model_type", "")
    name = "MODEL" if is_unnamed(default.model) else default.model
    if found is None:
        read = (
            "all heads of its middle layers are read, which ranks almost at random; no heads could "
            "be singled out by a few sentences of ordinary text, as when weights are untrained"
        )
    else:
        read = (
            f"{len(found.heads)} heads are read that {found.fitted_on} singled out, and the "
            "query's words or the retriever's scores count beside them, which ranks worse than a "
            "fitted profile"
        )
    warnings.warn(
        f"no head profile ships for this {kind or 'kind of'} model in layout {default.layout!r}, "
        f"so {read}. To fit heads and thresholds on texts alone, once, in minutes: pass "
        "profile='fit'. On a few dozen labelled queries, weights as well: attnmass fit --model "
        f"{name} --layout {default.layout} --out FILE.json, then pass profile='FILE.json'.",
        UserWarning,
        stacklevel=5,
    )
    return found or default.as_it_is()
