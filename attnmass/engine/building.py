"""From a model, and what the user says of it, to what a ranker reads it with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attnmass.engine.rank_by import choose_rank_by
from attnmass.engine.unfitted import fitted_for, heads_for
from attnmass.layouts import LAYOUTS, Layout, choose_layout, own_options
from attnmass.models.kinds import count_embeddings, is_rag, kind_of, own_tokenizer, unwrapped
from attnmass.models.view import find_config
from attnmass.options.choices import FIT, TO_FIT, RankBy
from attnmass.profiles import HeadProfile, choose_profile, fitted_layout, load_profile
from attnmass.profiles.choosing import DefaultProfile
from attnmass.profiles.profile import LATE
from attnmass.store import ChunkCache
from attnmass.text.tokens import PlainTokenizer

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Built:
    """What a ranker reads a model with.

    Attributes:
        profile: The heads to read, and how.
        plain: The tokenizer's own copy.
        layout: The layout, bound to the model.
        rank_by: What orders chunks.
        own: Those of the user's options that only this layout has, or what stands for them.
    """

    profile: HeadProfile
    plain: PlainTokenizer
    layout: Layout
    rank_by: RankBy
    own: Mapping[str, Any]


def build(
    model: nn.Module,
    tokenizer: Any,
    cache: ChunkCache,
    *,
    profile: HeadProfile | str | Path | None,
    fit_texts: Sequence[str] | None,
    heads: Iterable[tuple[int, int]] | Literal["all"] | None,
    layout: str | None,
    rank_by: RankBy | None,
    own: Mapping[str, Any],
) -> Built:
    """Bind a layout to a model; arguments and errors as `AttentionRanker` tells them.

    `own` are the options that only some layouts have, see `Layout.takes`. What a head profile has a
    field for, such as `direction`, it decides where the user does not.
    """
    config = find_config(model)
    tokenizer = own_tokenizer(model) if tokenizer is None else tokenizer
    if is_rag(model):  # whose generator is read
        tokenizer = getattr(tokenizer, "generator", tokenizer)
    chosen_rank_by = choose_rank_by(config, type(unwrapped(model)).__name__, rank_by)
    chosen = choose(config, layout=layout, profile=profile, heads=heads)
    if chosen.source == TO_FIT:
        chosen = fitted_for(model, tokenizer, chosen, fit_texts)
    elif isinstance(chosen, DefaultProfile):
        chosen = heads_for(model, tokenizer, chosen)
    kind = kind_of(config)
    given = {
        **own,
        "with_logit": chosen_rank_by != "attention",
        "background_texts": chosen.background_texts or None,
    }
    settled = own_options(kind, chosen.layout, given)
    for field in fields(HeadProfile):
        if field.name in settled:
            value = own.get(field.name) or getattr(chosen, field.name) or settled[field.name]
            settled[field.name] = value
            chosen = replace(chosen, **{field.name: value})
    plain = PlainTokenizer(tokenizer)
    plain.check_fits(count_embeddings(model))
    bound = LAYOUTS[kind][chosen.layout].build(
        model, tokenizer, plain, chosen.all_heads, cache, **settled
    )
    users = {name: value for name, value in settled.items() if name in own}
    return Built(chosen, plain, bound, chosen_rank_by, users)


def choose(
    config: Any,
    *,
    layout: str | None,
    profile: HeadProfile | str | Path | None,
    heads: Iterable[tuple[int, int]] | Literal["all"] | None,
) -> HeadProfile:
    """The heads to read of a model, and in its `layout` how.

    Where the user says nothing of either, the layout is the one that suits the kind of model, which
    for decoders is the late one if heads are known for it, or are to be found.
    """
    kind = kind_of(config)
    wanted = layout
    if profile == FIT:
        wanted = layout or (LATE if LATE in LAYOUTS[kind] else None)
    elif isinstance(profile, (str, Path)):
        profile = load_profile(profile)
    if isinstance(profile, HeadProfile) and layout is None:
        wanted = profile.layout
    if wanted is None and heads is None:
        wanted = fitted_layout(config)
    known = choose_layout(kind, wanted)
    return choose_profile(config, known, profile=profile, heads=heads)
