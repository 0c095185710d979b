"""The model whose heads are fitted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnmass.capture import Head
from attnmass.engine.building import choose
from attnmass.layouts import LAYOUTS, choose_layout, keeps_vectors
from attnmass.loading.load import load
from attnmass.loading.sources import ALIASES
from attnmass.models.kinds import kind_of, own_tokenizer, unwrapped
from attnmass.models.sizes import every_head, full_depth
from attnmass.models.state import identity
from attnmass.models.view import find_config
from attnmass.options.declared import MEMORY_BYTES
from attnmass.profiles import HeadProfile, default_profile
from attnmass.ranker import AttentionRanker
from attnmass.text.prompt import PROMPT_VERSION
from attnmass.text.tokens import PlainTokenizer

# What `load` takes; all other options are the ranker's.
_OF_LOADING = ("device", "dtype", "revision", "cache_dir", "local_files_only")
# What a fit decides itself.
_DECIDED = ("profile", "heads", "rank_by", "memory_bytes", "progress")


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """A model in memory, and how it is read.

    Attributes:
        name: What profiles call it.
        model: All layers that may be read.
        tokenizer: Its tokenizer.
        plain: Our own copy of the tokenizer.
        config: The config that states its layers.
        layout: How chunks and query are laid out.
        options: Options of rankers.
    """

    name: str
    model: Any
    tokenizer: Any
    plain: PlainTokenizer
    config: Any
    layout: str
    options: Mapping[str, Any]

    def ranker(self, **heads: Any) -> AttentionRanker:
        """A ranker over the model by `heads` or `profile`."""
        options = {"rank_by": "attention", "memory_bytes": 0, **self.options, **heads}
        return AttentionRanker(self.model, self.tokenizer, layout=self.layout, **options)

    def reader(self, heads: Sequence[Head]) -> AttentionRanker:
        """A ranker over some heads that reads a chunk once for all queries, where that can be."""
        kept = MEMORY_BYTES if keeps_vectors(self.layout) else 0
        return self.ranker(heads=heads, memory_bytes=kept)

    @property
    def default(self) -> HeadProfile:
        """What is read from the model without a profile."""
        return default_profile(self.config, self.layout)

    def about(self, heads: Sequence[Head], weights: Sequence[float] = ()) -> dict[str, Any]:
        """All that attention depends on besides query and chunks, and the weights of a mixture."""
        options = {name: value for name, value in self.options.items() if "batch" not in name}
        return {
            "model": identity(unwrapped(self.model)),
            "layout": self.layout,
            "heads": [list(head) for head in heads],
            "weights": list(weights),
            "prompt_version": PROMPT_VERSION,
            "options": {name: repr(value) for name, value in sorted(options.items())},
        }


def open_model(
    model: Any,
    tokenizer: Any = None,
    *,
    layout: str | None = None,
    preferred: str | None = None,
    max_layer: int | None = None,
    profile: HeadProfile | None = None,
    **options: Any,
) -> Subject:
    """Load a model with the layers that are read, or take one that is already loaded.

    Args:
        model: A name, or a model as `AttentionRanker` takes it.
        tokenizer: That of a model that is already loaded.
        layout: Default: the profile's, else the one that suits the kind of model.
        preferred: A layout that takes precedence over that one, for models that can be read in it.
        max_layer: The deepest layer that is read besides those of the default heads; default: all.
        profile: Read its heads and the default ones, and no others.
        **options: As `AttentionRanker.from_pretrained`, except those that a fit decides.

    Raises:
        TypeError: If an option is one of those.
        ValueError, AttnMassError: As `AttentionRanker.from_pretrained`.
    """
    check_options(options)
    mine = {name: value for name, value in options.items() if name not in _OF_LOADING}
    wanted = layout if layout is not None or profile is None else profile.layout

    def heads_of(config: Any) -> HeadProfile:
        kind = kind_of(config)
        fallback = preferred if preferred in LAYOUTS[kind] else None
        known = choose_layout(kind, wanted if wanted is not None else fallback)
        if profile is not None:
            chosen = choose(config, layout=known, profile=profile, heads=None)
            heads = {*chosen.all_heads, *default_profile(config, known).heads}
        else:
            heads = set(readable(config, known, max_layer))
        return choose(config, layout=known, profile=None, heads=sorted(heads))

    if isinstance(model, (str, os.PathLike)):
        name = os.fspath(model)
        loading = {key: value for key, value in options.items() if key in _OF_LOADING}
        if loading.get("cache_dir") is not None:
            loading["cache_dir"] = Path(loading["cache_dir"])
        loaded = load(name, heads_of, **loading)
        model, tokenizer = loaded.model, loaded.tokenizer
        name = name.lower() if name.lower() in ALIASES else name
    else:
        given = [key for key in _OF_LOADING if key in options]
        if given:
            raise TypeError(f"{given[0]} is for models that are loaded by name: leave it out")
        tokenizer = own_tokenizer(model) if tokenizer is None else tokenizer
        config = find_config(model)
        name = str(getattr(config, "_name_or_path", None) or config.model_type)
    config = find_config(model)
    known = heads_of(config).layout
    return Subject(name, model, tokenizer, PlainTokenizer(tokenizer), config, known, mine)


def check_options(options: Mapping[str, Any]) -> None:
    """Raise `TypeError` for options of rankers that a fit decides itself."""
    for name in _DECIDED:
        if name in options:
            raise TypeError(f"{name} is what a fit decides: leave it out")
    if getattr(options.get("reading"), "second_pass", False):
        raise TypeError("second_pass is what a fit decides: leave it out")


def readable(config: Any, layout: str, max_layer: int | None) -> list[Head]:
    """All heads up to a layer, and up to the deepest of the default ones.

    Raises:
        ValueError: If there is no such layer.
    """
    if max_layer is not None and not 0 <= max_layer < full_depth(config):
        raise ValueError(
            f"max_layer must be between 0 and {full_depth(config) - 1} for this model, "
            f"not {max_layer}"
        )
    deepest = full_depth(config) if max_layer is None else max_layer
    deepest = max(deepest, default_profile(config, layout).last_layer)
    return [head for head in every_head(config) if head[0] <= deepest]
