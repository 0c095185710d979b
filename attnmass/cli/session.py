"""From options to a ranker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attnmass.cli.arguments import model_arguments
from attnmass.cli.errors import api_arguments
from attnmass.cli.model_options import ModelOptions, StoreGroup
from attnmass.cli.notes import note, status
from attnmass.options.choices import FIT

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker


def load_ranker(
    model: ModelOptions,
    cache: StoreGroup | None = None,
    *,
    quiet: bool = False,
) -> AttentionRanker:
    """Load the model that the options name, in the layout that a store was written in.

    Raises:
        UsageError: If options are off, or do not fit the model.
        WeightsNotFoundError, UnsupportedModelError: As `AttentionRanker.from_pretrained`.
    """
    arguments = model_arguments(model) | (cache.given() if cache is not None else {})
    if cache is not None and cache.store is not None:
        layout = _layout_of(model, cache.store, quiet=quiet)
        if layout is not None:
            arguments["layout"] = layout
    name = () if model.model is None else (model.model,)
    with status(f"Loading {model.model or 'the default model'} ...", quiet=quiet):
        from attnmass.ranker import AttentionRanker

        with api_arguments():
            return AttentionRanker.from_pretrained(*name, **arguments)


def asked_name(model: ModelOptions) -> str:
    """What the model that the options name is called, as its profile has it once it is loaded."""
    from attnmass.loading.sources import ALIASES, DEFAULT_MODEL

    name = DEFAULT_MODEL if model.model is None else model.model
    return name.lower() if name.lower() in ALIASES else name


def model_name(model: ModelOptions) -> str:
    """What a store says by which model it was written; a path is whole, wherever it is named."""
    from attnmass.loading.sources import DEFAULT_MODEL, place_of

    return place_of(DEFAULT_MODEL if model.model is None else model.model)


def _layout_of(model: ModelOptions, folder: str, *, quiet: bool) -> str | None:
    """The layout in which a store was written with this model, unless options decide it."""
    from attnmass.store.disk import DiskStore
    from attnmass.store.written import read_written

    try:
        with api_arguments():
            store = DiskStore(Path(folder).expanduser(), None)
            written = {one.model: one.layout for one in read_written(store)}
        store.close()
    except OSError:  # told when it is used
        return None
    name = model_name(model)
    if written and name not in written:
        others = " and ".join(written)
        note(
            f"{folder} was written with {others}, and what another model reads is kept separately",
            quiet=quiet,
        )
    if model.layout is not None or model.profile not in (None, FIT):
        return None
    return written.get(name)
