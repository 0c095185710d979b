"""Options of `attnmass index`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from attnmass.cli.models import ListFormat
from attnmass.cli.options import ToldOptions


@dataclass(frozen=True, slots=True)
class IndexOptions(ToldOptions):
    """How much is told, and by how many it is done."""

    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Processes that read, each with its own copy of the model and an equal share of "
            "the threads.",
        ),
    ] = 1
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="First fit the model's heads, without labels, on a sample of the chunks; the "
            "profile is kept, and found by --profile fit.",
        ),
    ] = False
    format: ListFormat = None
