"""Options that say which model is loaded, how, and where what it read is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

_MODEL, _CACHE = "Model", "Cache of chunks"


@dataclass(frozen=True, slots=True)
class Given:
    """A group whose fields are `None` where the user said nothing."""

    def given(self) -> dict[str, Any]:
        """What the user said, by the API's names."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class LoadOptions(Given):
    """Which model is loaded, and how."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="A short name (see `attnmass models`), a folder, a GGUF file, or a repository of "
            "the Hugging Face Hub.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="cpu, cuda, ...; the best there is.", rich_help_panel=_MODEL
        ),
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="float32, bfloat16, float16, or auto: the fastest that the device does well.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="How chunks and query are laid out.", rich_help_panel=_MODEL
        ),
    ] = None
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit on the Hub.", rich_help_panel=_MODEL),
    ] = None
    cache_dir: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="The Hub's cache of weights.", rich_help_panel=_MODEL),
    ] = None
    local_files_only: Annotated[
        bool | None,
        typer.Option(
            "--local-files-only",
            help="Never ask the Hub; so does HF_HUB_OFFLINE=1.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Chunks in one forward pass.", rich_help_panel=_MODEL),
    ] = None
    max_batch_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens in one forward pass.", rich_help_panel=_MODEL),
    ] = None
    max_chunk_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Longer chunks are read in overlapping windows; the model's own limit.",
            rich_help_panel=_MODEL,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ModelOptions(LoadOptions):
    """Which model is loaded, how, and which of its heads are read."""

    profile: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The heads to read, as JSON; what ships.", rich_help_panel=_MODEL
        ),
    ] = None
    heads: Annotated[
        str | None,
        typer.Option(
            metavar="L-H,...",
            help="Heads to read instead, weighed alike: 18-6,18-7 is heads 6 and 7 of layer 18.",
            rich_help_panel=_MODEL,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class StoreGroup(Given):
    """Where what was read is kept beyond the process."""

    cache_folder: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="FOLDER",
            help="Keep what the model makes of chunks here, so that no other command need read "
            "them again; see `attnmass index`.",
            rich_help_panel=_CACHE,
        ),
    ] = None
    cache_folder_bytes: Annotated[
        int | None,
        typer.Option("--store-bytes", help="Bound on the store.", rich_help_panel=_CACHE),
    ] = None
    cache_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="float16, bfloat16 or int8: smaller, and less exact.",
            rich_help_panel=_CACHE,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class CacheGroup(StoreGroup):
    """Where what was read is kept."""

    cache_bytes: Annotated[
        int | None,
        typer.Option(help="Bound on memory.", rich_help_panel=_CACHE),
    ] = None
