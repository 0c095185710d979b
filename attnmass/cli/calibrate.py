"""`attnmass calibrate`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from attnmass.cli import session
from attnmass.cli.errors import api_arguments, written
from attnmass.cli.fit import check_target
from attnmass.cli.model_options import ModelOptions
from attnmass.cli.notes import note, status
from attnmass.cli.options import ChunkOptions, Paths, ToldOptions
from attnmass.cli.reading import iter_items
from attnmass.cli.reopening import Reopened

Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FILE.json", help="Where the profile is written."),
]


def calibrate(
    paths: Paths = None,
    *,
    out: Out,
    common: ToldOptions,
    reading: ChunkOptions,
    model: ModelOptions,
) -> None:
    """Measure relevance against a sample of your own texts instead of ordinary ones.

    Writes the model's profile with that sample in it, and with constants that keep relevance in
    place; rank, trim and serve take it with --profile FILE.json.
    """
    check_target(out)
    with closing(Reopened()) as opened:
        items = iter_items(
            paths or ["-"], reading, lambda text: note(text, quiet=common.quiet), opened.open
        )
        texts = [f"{item.chunk.title or ''}\n{item.chunk.text}".strip() for item in items]
    ranker = session.load_ranker(model, quiet=common.quiet)
    with status("Reading a sample ...", quiet=common.quiet), api_arguments():
        profile = ranker.with_background(texts).profile
    with written(out):
        out.write_text(profile.to_json(), encoding="utf-8")
    note(
        f"{out}: relevance is measured against {len(profile.background)} of {len(texts)} texts; "
        f"rank with --profile {out}",
        quiet=common.quiet,
    )
