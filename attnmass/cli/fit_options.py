"""Options of the commands that read labelled queries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from attnmass.cli.declared import Given
from attnmass.cli.options import ToldOptions, out_file

ReportFormat = Literal["table", "markdown", "json"]

_data = partial(typer.Option, rich_help_panel="Labelled queries")
_choice = partial(typer.Option, rich_help_panel="Selection")
_OUTPUT = "Output"
_output = partial(typer.Option, rich_help_panel=_OUTPUT)

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        help='JSON Lines with {"query": ..., "chunks": [{"text": ..., "relevant": 1}, ...]}, plain '
        "or .gz; a BEIR folder; or a file of queries for --qrels. Several are weighted equally.",
    ),
]


OwnData = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[DATA]...",
        help="Labelled queries: JSON Lines with "
        '{"query": ..., "chunks": [{"text": ..., "relevant": 1}, ...]}, plain or .gz; a BEIR '
        "folder; or a file of queries for --qrels. Several are weighted equally. Without any, "
        "queries are made from texts.",
    ),
]

OwnTexts = Annotated[
    list[Path] | None,
    _data(
        "--texts",
        metavar="PATH",
        help="Also make queries from these texts: a file, JSON Lines with a text per line, or a "
        "folder; may be repeated. Default without DATA: those that ship.",
    ),
]


@dataclass(frozen=True, slots=True)
class DataOptions(Given):
    """How labelled queries are read."""

    limit: Annotated[int | None, _data(min=1, help="Use this many of each file, the first.")] = None
    split: Annotated[
        str | None, _data(metavar="NAME", help="Split of a BEIR folder: train, dev, test.")
    ] = None
    qrels: Annotated[
        str | None, _data(metavar="FILE", help="Labels for DATA, in TREC's format.")
    ] = None
    corpus: Annotated[
        str | None,
        _data(
            metavar="FILE",
            help="JSON Lines with the texts of --qrels; to fit without DATA, the same as --texts.",
        ),
    ] = None
    run: Annotated[
        str | None,
        _data(
            metavar="FILE",
            help="Candidates in TREC's format, instead of BM25's; for --qrels and BEIR folders.",
        ),
    ] = None
    candidates: Annotated[int | None, _data(min=2, help="How many of a run or BM25 to use.")] = None


@dataclass(frozen=True, slots=True)
class FitOptions(Given):
    """How heads are selected."""

    max_heads: Annotated[int | None, _choice(min=1, help="Select no more heads than this.")] = None
    max_layer: Annotated[
        int | None, _choice(min=0, help="Select from layers 0 to this one; default: all.")
    ] = None
    methods: Annotated[
        list[str] | None,
        _choice(
            "--method",
            metavar="NAME",
            help="single, gold_mass, contrastive, stability, listwise; may be repeated; default: "
            "all, or without DATA likelihood.",
        ),
    ] = None
    folds: Annotated[int | None, _choice(min=3, help="Parts that queries are split into.")] = None
    rule: Annotated[
        bool | None,
        _choice(
            "--rule/--no-rule",
            help="Also fit how more heads share out the mass; with DATA, keep it if it helps.",
        ),
    ] = None
    evidence: Annotated[
        bool | None,
        _choice(
            "--evidence/--no-evidence",
            help="Also fit how evidence is told, which reads each query three more times; default: "
            "yes.",
        ),
    ] = None
    captures: Annotated[
        str | None,
        _choice(
            metavar="FOLDER",
            help="Keep what is captured here, so that an interrupted run can be resumed; default: "
            "beside the converted models in the Hugging Face cache.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ReportOptions(ToldOptions):
    """How the report is written."""

    format: Annotated[
        ReportFormat | None, _output("--format", "-f", help="table on a terminal, else markdown.")
    ] = None


@dataclass(frozen=True, slots=True)
class SaveOptions(ReportOptions):
    """Where the profile is written."""

    out: Annotated[
        Path | None,
        out_file(
            "--out",
            "Write the profile here, and the report beside it; without it, there is only a report.",
            panel=_OUTPUT,
        ),
    ] = None
    force: Annotated[
        bool, _output("--force", help="Write it even if it is not better; it then says so.")
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
