"""Options in groups, named as the API names them, each passed on only where it was given.

So defaults are the API's own, and stand in no second place; help looks them up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnmass.checks import did_you_mean
from attnmass.cli.errors import InputError, UsageError, api_arguments
from attnmass.selection import OnNoEvidence, Order

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile

Format = Literal["table", "tsv", "text", "json", "jsonl"]
InputKind = Literal["auto", "text", "jsonl"]

_INPUT, _MODEL, _CACHE = "Input", "Model", "Cache of chunks"
_CHOICE, _TRIM, _OUTPUT = "What is kept", "Trimming", "Output"


@dataclass(frozen=True, slots=True)
class Given:
    """A group whose fields are `None` where the user said nothing."""

    def given(self) -> dict[str, Any]:
        """What the user said, by the API's names."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class InputOptions:
    """How what is read becomes chunks."""

    queries: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="JSON Lines with a question each, instead of QUERY: "
            '{"query": ..., "chunks": [...]}, or {"query": ...} for the chunks of PATHS.',
            rich_help_panel=_INPUT,
        ),
    ] = None
    input: Annotated[
        InputKind,
        typer.Option(
            help="What named files and stdin are. auto: JSON Lines if the name ends in .jsonl or "
            ".ndjson, or if stdin begins with a JSON object; else text.",
            rich_help_panel=_INPUT,
        ),
    ] = "auto"
    split: Annotated[
        int | None,
        typer.Option(
            metavar="CHARS",
            min=1,
            help="Split texts into chunks of whole sentences and blocks, of at most so many "
            "characters unless one is longer. Without it a file is one chunk.",
            rich_help_panel=_INPUT,
        ),
    ] = None
    suffix: Annotated[
        list[str] | None,
        typer.Option(
            metavar=".EXT",
            help="In folders, read files of these suffixes, instead of the usual ones of texts; "
            "may be repeated.",
            rich_help_panel=_INPUT,
        ),
    ] = None


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

    def arguments(self) -> dict[str, Any]:
        """What `AttentionRanker.from_pretrained` is called with, but for the model's name.

        Raises:
            UsageError: If the heads are none, or named twice.
            InputError: If the profile cannot be read.
        """
        given = self.given()
        given.pop("model", None)
        if self.profile is not None and self.heads is not None:
            raise UsageError("pass --profile or --heads, not both")
        if self.heads is not None:
            given["heads"] = parse_heads(self.heads)
        if self.profile is not None:
            given["profile"] = read_profile(self.profile)
        return given


@dataclass(frozen=True, slots=True)
class CacheGroup(Given):
    """Where what was read is kept."""

    cache_bytes: Annotated[
        int | None,
        typer.Option(help="Bound on memory.", rich_help_panel=_CACHE),
    ] = None
    cache_folder: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep what the model makes of chunks here, so that the next command need not "
            "read them again.",
            rich_help_panel=_CACHE,
        ),
    ] = None
    cache_folder_bytes: Annotated[
        int | None,
        typer.Option(help="Bound on the folder.", rich_help_panel=_CACHE),
    ] = None
    cache_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="float16, bfloat16 or int8: smaller, and less exact.",
            rich_help_panel=_CACHE,
        ),
    ] = None

    def check(self) -> None:
        """Raise `UsageError` for values that are off or contradict each other."""
        from attnmass.cache_options import CacheOptions

        with api_arguments():
            CacheOptions(**self.given())


@dataclass(frozen=True, slots=True)
class SelectionOptions(Given):
    """Which chunks are kept, and in which order."""

    top_n: Annotated[
        int | None,
        typer.Option("--top-n", "-n", help="Keep the best so many.", rich_help_panel=_CHOICE),
    ] = None
    score_threshold: Annotated[
        float | None,
        typer.Option(
            help="Keep chunks that get at least this share of the query's attention.",
            rich_help_panel=_CHOICE,
        ),
    ] = None
    fuse: Annotated[
        float | None,
        typer.Option(
            help="Order by a blend in which the scores of the input have this share, 0 to 1.",
            rich_help_panel=_CHOICE,
        ),
    ] = None
    order: Annotated[
        Order | None,
        typer.Option(help="How what is kept is ordered.", rich_help_panel=_CHOICE),
    ] = None
    evidence_threshold: Annotated[
        float | None,
        typer.Option(
            help="Less evidence than this is none; the head profile's.", rich_help_panel=_CHOICE
        ),
    ] = None
    on_no_evidence: Annotated[
        OnNoEvidence | None,
        typer.Option(
            help="Then keep the chunks, print none, or print none and end with code 1.",
            rich_help_panel=_CHOICE,
        ),
    ] = None

    def check(self) -> None:
        """Raise `UsageError` for values that are off."""
        from attnmass.selection import Selection

        with api_arguments():
            Selection(**self.given())


@dataclass(frozen=True, slots=True)
class TrimOptions(Given):
    """Which spans of the chunks are kept."""

    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            "-t",
            help="Ceiling on the tokens of all that is kept, titles included.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    keep_ratio: Annotated[
        float | None,
        typer.Option(help="Keep at most this share of the tokens.", rich_help_panel=_TRIM),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            help="Keep the best spans that have this share of the attention.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    min_keep: Annotated[
        int | None,
        typer.Option(
            help="Keep at least so many spans, if --max-tokens allows.", rich_help_panel=_TRIM
        ),
    ] = None
    keep_titles: Annotated[
        bool | None,
        typer.Option(
            "--keep-titles/--no-keep-titles",
            help="Keep headings with what they head.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    neighbors: Annotated[
        int | None,
        typer.Option(
            help="Keep so many spans on either side as well, where there is room.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    resolve_context: Annotated[
        bool | None,
        typer.Option(
            "--resolve-context/--no-resolve-context",
            help="Keep the earlier sentence that a kept one leans on, where there is room.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    separator: Annotated[
        str | None,
        typer.Option(help="Stands where text was dropped.", rich_help_panel=_TRIM),
    ] = None
    on_empty: Annotated[
        str | None,
        typer.Option(
            metavar="raise|empty|cut",
            help="When no span fits: an error, an empty result, or the beginning of the best span.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Count tokens as this folder or repository does, the reader's; the model's own.",
            rich_help_panel=_TRIM,
        ),
    ] = None
    language: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="Of the text, such as de; by its script.", rich_help_panel=_TRIM
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ToldOptions:
    """How much is told beside results."""

    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No notes, no progress.", rich_help_panel=_OUTPUT),
    ] = False
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where an error is from.", rich_help_panel=_OUTPUT),
    ] = False


@dataclass(frozen=True, slots=True)
class CommonOptions(ToldOptions):
    """What every command that writes rankings has."""

    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="table on a terminal; into a pipe, plain text.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None


GROUPS = (InputOptions, ModelOptions, CacheGroup, SelectionOptions, TrimOptions, CommonOptions)


def read_profile(path: str) -> HeadProfile:
    """A head profile from its file.

    Raises:
        InputError: If there is none.
    """
    from attnmass.profiles import load_profile

    try:
        return load_profile(path)
    except OSError as error:
        beside = Path(path).parent
        files = [each.name for each in beside.glob("*.json")] if beside.is_dir() else []
        near = did_you_mean(Path(path).name, files)
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}{'.' if near else ''}{near}",
            "the profiles that ship are found by themselves: attnmass profiles list",
        ) from error
    except ValueError as error:
        raise InputError(str(error)) from error


def parse_heads(text: str) -> tuple[tuple[int, int], ...]:
    """`18-6,18-7` as pairs of layer and head.

    Raises:
        UsageError: If it is something else.
    """
    pairs = []
    for part in text.split(","):
        layer, dash, head = part.strip().partition("-")
        if not (dash and layer.isdecimal() and head.isdecimal()):
            raise UsageError(
                f"--heads takes layer-head pairs such as 18-6,18-7, not {part.strip()!r}"
            )
        pairs.append((int(layer), int(head)))
    return tuple(pairs)


def api_defaults() -> dict[str, Any]:
    """Defaults of the API, by the names of the options that stand for them."""
    from attnmass.cache_options import CacheOptions
    from attnmass.loading.sources import DEFAULT_MODEL
    from attnmass.selection import Selection
    from attnmass.trimming import Trim

    found: dict[str, Any] = {"model": DEFAULT_MODEL}
    for kind in (CacheOptions, Selection, Trim):
        found |= {field.name: field.default for field in fields(kind) if field.init}
    return found
