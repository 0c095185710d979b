"""Options in groups, named as the API names them, each passed on only where it was given.

So defaults are the API's own, and stand in no second place; help looks them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnmass.cli.model_options import CacheGroup, Given, ModelOptions
from attnmass.options.choices import OnNoEvidence, Order
from attnmass.options.declared import Loading, Reading, Selecting, Storing, Trimming, defaults_of

if TYPE_CHECKING:
    pass

Format = Literal["table", "tsv", "text", "json", "jsonl"]
InputKind = Literal["auto", "text", "jsonl"]

_INPUT, _CHOICE, _TRIM, _OUTPUT = "Input", "What is kept", "Trimming", "Output"


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


def api_defaults() -> dict[str, Any]:
    """Defaults of the API, by the names of the options that stand for them."""
    return defaults_of(Loading, Reading, Storing, Selecting, Trimming)
