"""Options in groups, named as the API names them, each passed on only where it was given.

So defaults are the API's own, and stand in no second place; help looks them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import typer

from attnmass.cli.declared import Given, Shown, options_of
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.options.declared import Loading, Reading, Selecting, Storing, Trimming, defaults_of
from attnmass.options.serving import Serving

Format = Literal["table", "tsv", "text", "json", "jsonl"]
InputKind = Literal["auto", "text", "jsonl"]

_CHOICE, _TRIM, _SERVER = "What is kept", "Trimming", "Server"
_input = partial(typer.Option, rich_help_panel="Input")
_output = partial(typer.Option, rich_help_panel="Output")


def out_file(flag: str, said: str, *, panel: str) -> Any:
    """An option that names a file to write, `-o` for short."""
    return typer.Option(flag, "-o", metavar="FILE", help=said, rich_help_panel=panel)


Query = Annotated[
    str | None, typer.Argument(metavar="QUERY", help="The question; omit it with --queries.")
]
Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATHS", help="Files, folders, or - for stdin, which is read if none are given."
    ),
]


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """How what is read becomes chunks."""

    input: Annotated[
        InputKind,
        _input(
            help="What the named files and stdin are. auto: JSON Lines if the name ends in .jsonl "
            "or .ndjson, or if stdin begins with a JSON object; else text."
        ),
    ] = "auto"
    split: Annotated[
        int | None,
        _input(
            metavar="CHARS",
            min=1,
            help="Split texts into chunks of whole sentences and blocks, of at most this many "
            "characters unless one is longer. Without it, a file is one chunk.",
        ),
    ] = None
    suffix: Annotated[
        list[str] | None,
        _input(
            metavar=".EXT",
            help="In folders, read files with these suffixes instead of the usual ones for texts; "
            "may be repeated.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class InputOptions(ChunkOptions):
    """The same, and questions."""

    queries: Annotated[
        str | None,
        _input(
            metavar="FILE",
            help="JSON Lines with a question per line, instead of QUERY: "
            '{"query": ..., "chunks": [...]}, or {"query": ...} for the chunks of PATHS.',
        ),
    ] = None


@options_of(
    Selecting,
    panel=_CHOICE,
    top_n=Shown("-n"),
    on_no_evidence=Shown(
        help="Without evidence, keep the chunks, print none, or print none and exit with 1."
    ),
)
class SelectionOptions(Given):
    """Which chunks are kept, and in which order."""


@options_of(
    Trimming,
    panel=_TRIM,
    but=("embed_model",),  # an object, which no text can name
    max_tokens=Shown("-t"),
    tokenizer=Shown(
        metavar="NAME",
        kind=str,
        help="Count tokens with the reader's tokenizer, from this folder or repository; default: "
        "the model's.",
    ),
    must_keep=Shown(
        metavar="PATTERN",
        kind=list[str],
        help="Keep spans that have this, whatever they score: a set (numbers, amounts, "
        "percentages, dates, identifiers, error_codes, emails, urls, versions) or a regular "
        "expression; may be repeated.",
    ),
    dry_run=Shown(alone=True, help="Only report what would be saved and lost; chunks stay whole."),
    language=Shown(metavar="CODE"),
)
class TrimOptions(Given):
    """Which spans of the chunks are kept."""


@options_of(
    Serving,
    panel=_SERVER,
    but=("api_keys",),  # what a command line says, everybody on the machine can read
    checks=True,
    api_key_file=Shown(metavar="FILE"),
    cors_origins=Shown(metavar="URL,..."),
    served_name=Shown(metavar="NAME"),
)
class ServeOptions(Given):
    """How the server is set up."""


@dataclass(frozen=True, slots=True)
class ToldOptions:
    """How much is told beside results."""

    quiet: Annotated[bool, _output("--quiet", "-q", help="No notes, no progress.")] = False
    debug: Annotated[bool, _output("--debug", help="Show where an error comes from.")] = False


@dataclass(frozen=True, slots=True)
class CommonOptions(ToldOptions):
    """What every command that writes rankings has."""

    format: Annotated[
        Format | None,
        _output("--format", "-f", help="table on a terminal; into a pipe, plain text."),
    ] = None


GROUPS: tuple[Any, ...] = (
    InputOptions,
    ModelOptions,
    CacheGroup,
    SelectionOptions,
    TrimOptions,
    ServeOptions,
    CommonOptions,
)


def api_defaults() -> dict[str, Any]:
    """Defaults of the API, by the names of the options that stand for them."""
    return defaults_of(Loading, Reading, Storing, Selecting, Trimming, Serving)
