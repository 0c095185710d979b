"""`attnmass rank`."""

from __future__ import annotations

from typing import Annotated

import typer

from attnmass.cli import session
from attnmass.cli.arguments import check_cache, check_selection, model_arguments
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.cli.options import CommonOptions, InputOptions, SelectionOptions
from attnmass.cli.writing import Writer

Query = Annotated[
    str | None,
    typer.Argument(
        metavar="QUERY",
        help="The question. Left out with --queries.",
        show_default=False,
    ),
]
Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATHS",
        help="Files, folders, or - for stdin, which is read if there are none.",
        show_default=False,
    ),
]


def rank(
    query: Query = None,
    paths: Paths = None,
    *,
    inputs: InputOptions,
    selection: SelectionOptions,
    model: ModelOptions,
    cache: CacheGroup,
    common: CommonOptions,
) -> None:
    """Order chunks by the attention that a query pays them.

    A file is a chunk, a line of JSON Lines is a chunk, and of text on stdin a paragraph is one.
    In folders, files with the suffixes of texts are read; hidden and binary ones are left out,
    and a note says so.

    Into a pipe a line is score, chunk and how its text begins, parted by tabs; with --queries the
    question comes first. Whole texts are in --format text, json and jsonl; jsonl can be read again.
    """
    many = inputs.queries is not None
    writer = Writer(common.format, trimmed=False, many=many)
    check_selection(selection)
    check_cache(cache)
    model_arguments(model)
    questions = session.read(query, paths, inputs, selection, common)
    ranker = session.load_ranker(model, cache, quiet=common.quiet)
    code = session.rank_and_write(questions, ranker, selection, common, writer=writer, many=many)
    session.note_misses(ranker, cache, quiet=common.quiet)
    raise typer.Exit(code)
