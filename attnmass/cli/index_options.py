"""The options of `attnmass index` that no other command has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from attnmass.cli.errors import UsageError
from attnmass.cli.model_options import ModelOptions
from attnmass.cli.models import ListFormat
from attnmass.cli.options import ToldOptions

DEFAULT_LAYOUT = "late"


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
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="Let actors of a Ray cluster read, --jobs of them: the cluster is the one that "
            "RAY_ADDRESS names, else one on this machine.",
        ),
    ] = False
    shards: Annotated[
        int,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            help="With --ray: write into folders for this many shards of a server on Ray.",
        ),
    ] = 1
    format: ListFormat = None

    def check(self, model: ModelOptions) -> None:
        """Raise `UsageError` for options that contradict each other, or lack something."""
        if not self.ray:
            if self.shards > 1:
                raise UsageError("--shards is for --ray: pass both, or neither")
            return
        if model.layout not in (None, DEFAULT_LAYOUT):
            raise UsageError(f"--ray reads in the layout late, not {model.layout}")
        from attnmass.cluster import extra

        try:
            extra.check()
        except ImportError as error:
            raise UsageError(str(error)) from error
