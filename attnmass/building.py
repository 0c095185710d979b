"""From a model, and what the user says of it, to what a ranker reads it with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attnmass.cache import ChunkCache
from attnmass.capture import find_config, is_rag, kind_of, own_tokenizer, unwrapped
from attnmass.cross_options import CrossOptions
from attnmass.layouts import LAYOUTS, CrossLayout, Layout, PointwiseLayout, choose_layout
from attnmass.layouts.pointwise import DEFAULT_DIRECTION
from attnmass.profiles import Direction, HeadProfile, choose_profile, load_profile
from attnmass.rank_by import choose_rank_by
from attnmass.selection import RankBy
from attnmass.text import PlainTokenizer

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
    """

    profile: HeadProfile
    plain: PlainTokenizer
    layout: Layout
    rank_by: RankBy


def build(
    model: nn.Module,
    tokenizer: Any,
    cache: ChunkCache,
    *,
    profile: HeadProfile | str | Path | None,
    heads: Iterable[tuple[int, int]] | Literal["all"] | None,
    layout: str | None,
    rank_by: RankBy | None,
    direction: Direction | None,
    cross: CrossOptions | None,
    in_one_context: bool,
) -> Built:
    """Bind a layout to a model; arguments and errors as `AttentionRanker` tells them.

    `in_one_context` is whether an option was passed that only the joint layout has.
    """
    config = find_config(model)
    tokenizer = own_tokenizer(model) if tokenizer is None else tokenizer
    if is_rag(model):  # whose generator is read
        tokenizer = getattr(tokenizer, "generator", tokenizer)
    chosen_rank_by = choose_rank_by(config, type(unwrapped(model)).__name__, rank_by)
    chosen = choose(config, layout=layout, profile=profile, heads=heads)
    if in_one_context and chosen.layout != "joint":
        raise ValueError(
            "second_pass and max_context_tokens are for layout='joint': pass that, or leave "
            f"them out with layout {chosen.layout!r}"
        )
    plain = PlainTokenizer(tokenizer)
    kind = LAYOUTS[kind_of(config)][chosen.layout]
    extras: dict[str, Any] = {}
    if kind is PointwiseLayout:
        direction = direction or chosen.direction or DEFAULT_DIRECTION
        chosen = replace(chosen, direction=direction)
        extras = {"direction": direction, "with_logit": chosen_rank_by != "attention"}
    elif direction is not None:
        raise ValueError("direction is for encoders in the layout 'pointwise': leave it out")
    if kind is CrossLayout:
        extras = {"cross": cross}
    elif cross is not None:
        raise ValueError("cross is for encoder-decoders such as T5 and BART: leave it out")
    bound = kind.build(model, tokenizer, plain, chosen.all_heads, cache, **extras)
    return Built(chosen, plain, bound, chosen_rank_by)


def choose(
    config: Any,
    *,
    layout: str | None,
    profile: HeadProfile | str | Path | None,
    heads: Iterable[tuple[int, int]] | Literal["all"] | None,
) -> HeadProfile:
    """The heads to read of a model, and in its `layout` how."""
    if isinstance(profile, (str, Path)):
        profile = load_profile(profile)
    wanted = profile.layout if layout is None and profile is not None else layout
    known = choose_layout(kind_of(config), wanted)
    return choose_profile(config, known, profile=profile, heads=heads)
