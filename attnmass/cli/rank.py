"""`attnmass rank`."""

from __future__ import annotations

import typer

from attnmass.cli.asking import Asking, rank_and_write
from attnmass.cli.options import CommonOptions
from attnmass.cli.writing import Writer


def rank(*, asked: Asking, common: CommonOptions) -> None:
    """Order chunks by the attention that a query pays them.

    A file is a chunk, a line of JSON Lines is a chunk, and a paragraph of text on stdin is one.
    In folders, files with the suffixes of texts are read; hidden and binary ones are left out,
    and a note says so.

    A pipe gets lines of score, chunk and how its text begins, separated by tabs; with --queries the
    question comes first. Whole texts are in --format text, json and jsonl; jsonl can be read again.
    """
    writer = Writer(common.format, trimmed=False, many=asked.many)
    asked.check()
    raise typer.Exit(rank_and_write(asked, common, writer))
