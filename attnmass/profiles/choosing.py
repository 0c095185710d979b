"""Which head profile a model is read with: what the user says, what ships, or a default."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from attnmass.models.naming import is_unnamed
from attnmass.models.sizes import every_head, fingerprint, full_depth, head_count, name_of
from attnmass.options.choices import FIT, TO_FIT
from attnmass.profiles.files import load_profile, parse, shipped_texts
from attnmass.profiles.profile import JOINT, LATE, HeadProfile, ProfileMismatchError
from attnmass.profiles.published import is_named, published_lists
from attnmass.profiles.rules import EvidenceRule
from attnmass.text.prompt import PROMPT_VERSION

DEFAULT = "default"  # the source of what is read where nobody has chosen

# Layouts whose heads another's are read by where they have no profile of their own.
_LENDER: Mapping[str, str] = {"late": "parallel"}


def choose_profile(
    config: Any,
    layout: str,
    *,
    profile: HeadProfile | str | Path | None = None,
    heads: Iterable[tuple[int, int]] | Literal["all"] | None = None,
) -> HeadProfile:
    """The heads to read of a model: what the user says, else what ships, else a default.

    A default is known by its `source`; with the model at hand there may be a better choice (see
    `attnmass.engine.unfitted`).

    In the joint layout, what is not a profile has a null query subtracted, as in-context re-ranking
    does; with all heads, that is the algorithm as published (arXiv 2410.02642).

    Args:
        config: The model's config (of its text part).
        layout: The layout that they are for.
        profile: A profile, the path of one, or `"fit"`, for which the default stands in until the
            model is at hand.
        heads: `(layer, head)` pairs, weighted equally, or `"all"`.

    Raises:
        ValueError: If both are given, the profile is of another layout or model, or the model has
            no such heads.
    """
    if profile is not None and heads is not None:
        raise ValueError("pass profile or heads, not both")
    if heads is not None:
        if isinstance(heads, str):
            if heads != "all":
                raise ValueError(f"heads must be (layer, head) pairs or 'all', not {heads!r}")
            heads = every_head(config)
        chosen = HeadProfile.from_heads(
            heads, model=name_of(config), layout=layout, null_query=layout == JOINT
        )
        _check_heads(chosen, config)
        return chosen
    if profile is None:
        found = packaged_profile(config, layout)
        if found is not None:
            return found
        borrowed = _borrowed(config, layout)
        if borrowed is None:
            return default_profile(config, layout)
        warnings.warn(
            f"no head profile ships for this {config.model_type} model in layout {layout!r}, so "
            f"the heads of its profile for layout {_LENDER[layout]!r} are read. To fit it, on "
            "texts alone or on a few dozen labelled queries: attnmass fit --model "
            f"{_to_type(config)} --layout {layout} --out FILE.json, then pass "
            "profile='FILE.json'.",
            UserWarning,
            stacklevel=5,
        )
        return borrowed
    if profile == FIT:
        return replace(default_profile(config, layout), source=TO_FIT)
    found = profile if isinstance(profile, HeadProfile) else load_profile(profile)
    if found.layout != layout:
        raise ValueError(f"the profile is for layout {found.layout!r}, not {layout!r}")
    if found.fingerprint is not None and found.fingerprint != fingerprint(config):
        raise ProfileMismatchError(
            f"the profile is for {found.model} (fingerprint {found.fingerprint}), not for this "
            f"{config.model_type} model (fingerprint {fingerprint(config)})"
        )
    _check_heads(found, config)
    if found.prompt_version != PROMPT_VERSION:
        warnings.warn(
            f"the profile's heads were selected with version {found.prompt_version} of the prompt, "
            f"and this is version {PROMPT_VERSION}: select them anew",
            UserWarning,
            stacklevel=5,
        )
    return found


def fitted_layout(config: Any) -> str | None:
    """The late layout, if a profile for it ships for a model with this config; else `None`."""
    return None if packaged_profile(config, LATE) is None else LATE


def packaged_profile(config: Any, layout: str) -> HeadProfile | None:
    """The profile that ships for a model with this config, or `None`.

    A fitted one is known by the fingerprint. Of published lists of heads, whose authors give none,
    the first is taken whose model's name is in what the model was loaded from.
    """
    wanted = fingerprint(config)
    shipped = packaged_profiles().values()
    for profile in shipped:
        if profile.layout == layout and profile.fingerprint == wanted:
            return profile
    for profile in shipped:
        if profile.layout == layout and profile.fingerprint is None:
            deep, wide = full_depth(config), head_count(config)
            fits = all(la < deep and he < wide for la, he in profile.heads)
            if fits and is_named(name_of(config), profile.model):
                return profile
    return None


def _borrowed(config: Any, layout: str) -> HeadProfile | None:
    """The profile of another layout in which the same heads look at the same places, or `None`.

    What was fitted to tell evidence stays behind: it depends on what shares the attention.
    """
    lender = packaged_profile(config, _LENDER[layout]) if layout in _LENDER else None
    if lender is None:
        return None
    return replace(
        lender,
        layout=layout,
        source=f"fitted for layout {lender.layout!r}",
        measured={},
        evidence=EvidenceRule(),
        support_threshold=None,
    )


def packaged_profiles() -> dict[str, HeadProfile]:
    """All profiles that ship, by name, such as `smollm2-135m.parallel`: fitted, then published."""
    fitted = {name: parse(text, f"{name}.json") for name, text in shipped_texts().items()}
    lists = published_lists()
    return fitted | {name: HeadProfile.from_heads(**found) for name, found in lists.items()}


def _to_type(config: Any) -> str:
    """What is typed after `--model`."""
    name = name_of(config)
    return "MODEL" if is_unnamed(name) else name


@dataclass(frozen=True, slots=True)
class DefaultProfile(HeadProfile):
    """What stands in for the profile of a model that has none, until heads are chosen for it.

    Attributes:
        reach: The last layer that they may be chosen from, and that has to be in memory.
    """

    reach: int = 0

    @property
    def last_layer(self) -> int:
        """`reach`."""
        return self.reach

    def to_json(self) -> str:
        """That of its heads; no file has a `reach`."""
        return self.as_it_is().to_json()

    def as_it_is(self) -> HeadProfile:
        """A profile of its heads, where no others were found."""
        return HeadProfile(**{one.name: getattr(self, one.name) for one in fields(HeadProfile)})


def default_profile(config: Any, layout: str) -> DefaultProfile:
    """All heads of the layers between 50% and 65% of the depth, for models without a profile.

    Retrieval heads sit in the middle layers of the decoders that were studied (QRHead,
    arXiv 2506.09944, and CoRe, arXiv 2510.02219), so this is a start, not a fit. Some are deeper:
    heads are chosen from the first 75%.
    """
    n_layers, n_heads = full_depth(config), head_count(config)
    first = n_layers // 2
    last = max(first, round(n_layers * 0.65) - 1)
    heads = [(layer, head) for layer in range(first, last + 1) for head in range(n_heads)]
    return DefaultProfile.from_heads(
        heads,
        model=name_of(config),
        layout=layout,
        source=DEFAULT,
        null_query=layout == JOINT,
        reach=max(last, round(n_layers * 0.75) - 1),
    )


def _check_heads(profile: HeadProfile, config: Any) -> None:
    n_layers, n_heads = full_depth(config), head_count(config)
    for layer, head in profile.all_heads:
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise ProfileMismatchError(
                f"head ({layer}, {head}) is not in this model: it has layers 0 to {n_layers - 1} "
                f"and heads 0 to {n_heads - 1}"
            )
