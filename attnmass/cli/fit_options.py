"""Options of the commands that read labelled queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from attnmass.cli.declared import Given
from attnmass.cli.options import ToldOptions

ReportFormat = Literal["table", "markdown", "json"]

_DATA, _CHOICE, _OUTPUT = "Labelled queries", "Selection", "Output"

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        help='JSON Lines with {"query": ..., "chunks": [{"text": ..., "relevant": 1}, ...]}, plain '
        "or .gz; a BEIR folder; or a file of queries for --qrels. Several weigh alike.",
        show_default=False,
    ),
]


OwnData = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[DATA]...",
        help="Labelled queries: JSON Lines with "
        '{"query": ..., "chunks": [{"text": ..., "relevant": 1}, ...]}, plain or .gz; a BEIR '
        "folder; or a file of queries for --qrels. Several weigh alike. Without, queries are made "
        "of texts.",
        show_default=False,
    ),
]

OwnTexts = Annotated[
    list[Path] | None,
    typer.Option(
        "--texts",
        metavar="PATH",
        help="Make queries of these texts, too: a file, JSON Lines with a text in each, or a "
        "folder; may be repeated. Without DATA: those that ship.",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class DataOptions(Given):
    """How labelled queries are read."""

    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Use the first so many of each file.", rich_help_panel=_DATA),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of a BEIR folder: train, dev, test.", rich_help_panel=_DATA
        ),
    ] = None
    qrels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Labels in TREC's format, for DATA.", rich_help_panel=_DATA
        ),
    ] = None
    corpus: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="JSON Lines with the texts of --qrels; to fit without DATA, as --texts.",
            rich_help_panel=_DATA,
        ),
    ] = None
    run: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Candidates in TREC's format, instead of BM25's; for --qrels and BEIR folders.",
            rich_help_panel=_DATA,
        ),
    ] = None
    candidates: Annotated[
        int | None,
        typer.Option(min=2, help="How many of a run or of BM25.", rich_help_panel=_DATA),
    ] = None


@dataclass(frozen=True, slots=True)
class FitOptions(Given):
    """How heads are selected."""

    max_heads: Annotated[
        int | None, typer.Option(min=1, help="Select no more.", rich_help_panel=_CHOICE)
    ] = None
    max_layer: Annotated[
        int | None,
        typer.Option(min=0, help="Select from layers 0 to this one; all.", rich_help_panel=_CHOICE),
    ] = None
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="single, gold_mass, contrastive, stability, listwise; may be repeated; all. "
            "Without DATA likelihood.",
            rich_help_panel=_CHOICE,
        ),
    ] = None
    folds: Annotated[
        int | None,
        typer.Option(min=3, help="Parts that queries are split into.", rich_help_panel=_CHOICE),
    ] = None
    rule: Annotated[
        bool | None,
        typer.Option(
            "--rule/--no-rule",
            help="Fit how mass is shared out by more heads, too; with DATA keep it if it helps.",
            rich_help_panel=_CHOICE,
        ),
    ] = None
    evidence: Annotated[
        bool | None,
        typer.Option(
            "--evidence/--no-evidence",
            help="Fit how evidence is told, too, which reads each query three more times; yes.",
            rich_help_panel=_CHOICE,
        ),
    ] = None
    captures: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep what is captured here, for runs that go on where one was interrupted; "
            "beside the converted models in the Hugging Face cache.",
            rich_help_panel=_CHOICE,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ReportOptions(ToldOptions):
    """How the report is written."""

    format: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format", "-f", help="table on a terminal, else markdown.", rich_help_panel=_OUTPUT
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class SaveOptions(ReportOptions):
    """Where the profile is written."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write the profile here, and the report beside it; only a report without.",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = None
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Write it even if it is not better; it says so then.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False


GROUPS = (DataOptions, FitOptions)


def api_defaults() -> dict[str, object]:
    """Defaults of the API, by the names of the options that stand for them."""
    from attnmass.fitting import defaults

    return {
        "candidates": defaults.CANDIDATES,
        "folds": defaults.FOLDS,
        "max_heads": defaults.MOST_HEADS,
    }
