"""`attnmass explain`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnmass.cli import session
from attnmass.cli.arguments import parse_heads
from attnmass.cli.asking import Asking, note_misses, rank
from attnmass.cli.errors import ExitCode, InputError, UsageError, api_arguments, written
from attnmass.cli.notes import is_watched, note
from attnmass.cli.options import ToldOptions, TrimOptions, out_file
from attnmass.cli.trim import make_request
from attnmass.results.errors import NoEvidenceError

if TYPE_CHECKING:
    from attnmass.explain import Explanation
    from attnmass.results.ranking import Ranking

_PANEL = "Drawing"
_drawing = partial(typer.Option, rich_help_panel=_PANEL)
_SUFFIXES = (".html", ".json")


@dataclass(frozen=True, slots=True)
class DrawOptions(ToldOptions):
    """What is drawn, and where to."""

    output: Annotated[
        Path | None,
        out_file(
            "--output",
            "Write a page (.html) or the numbers (.json) instead of drawing in the terminal.",
            panel=_PANEL,
        ),
    ] = None
    query_words: Annotated[
        bool,
        _drawing(
            "--query-words",
            help="Keep where each word of the question looked, to choose one on the page.",
        ),
    ] = False
    head: Annotated[
        str | None,
        _drawing(metavar="LAYER-HEAD", help="In the terminal, look through this head alone."),
    ] = None


def explain(*, common: DrawOptions, trimming: TrimOptions, asked: Asking) -> None:
    """Draw the attention that a question pays chunks, over their text.

    Chunks are read and ranked as by `attnmass rank`, and trimmed as by `attnmass trim` if one of
    its options is given: kept sentences are then marked, and what was dropped says why.
    """
    if asked.many:
        raise UsageError("explain draws one question", "leave out --queries and pass QUERY")
    _check(common)
    asked.check()
    request = None
    if trimming.given():
        request = make_request(trimming, local_files_only=bool(asked.model.local_files_only))
    (question,) = asked.read(quiet=common.quiet)
    ranker = session.load_ranker(asked.model, asked.cache, quiet=common.quiet)
    code = ExitCode.OK
    try:
        ranking: Ranking = rank(
            question,
            ranker,
            asked.selection,
            request,
            progress=is_watched() and not common.quiet,
            query_words=common.query_words,
        )
    except NoEvidenceError as error:
        ranking, code = error.ranking, ExitCode.NO_EVIDENCE
    _draw(ranking.explain(), common)
    note_misses(ranker, asked.cache, quiet=common.quiet)
    raise typer.Exit(code)


def _check(common: DrawOptions) -> None:
    """Refuse what would fail only once the model has run."""
    if common.output is not None and common.output.suffix not in _SUFFIXES:
        raise UsageError(
            f"--output {common.output} does not say by its ending what to write",
            f"name a file that ends with one of {', '.join(_SUFFIXES)}",
        )
    if common.output is not None and not common.output.parent.is_dir():
        raise InputError(f"{common.output.parent}: no such folder", "make it first")
    if common.head is not None and len(parse_heads(common.head, "--head")) != 1:
        raise UsageError("--head takes one head", "such as --head 18-6")


def _draw(explanation: Explanation, common: DrawOptions) -> None:
    if common.output is None:
        options: dict[str, Any] = {}
        if common.head is not None:
            (options["head"],) = parse_heads(common.head)
            if options["head"] not in explanation.heads:
                read = ", ".join(f"{layer}-{head}" for layer, head in explanation.heads)
                raise UsageError(f"--head {common.head} was not read", f"pass one of {read}")
        with api_arguments():
            explanation.print(**options)
        sys.stdout.flush()
        return
    with written(common.output):
        if common.output.suffix == ".html":
            explanation.to_html(common.output)
        else:
            common.output.write_text(explanation.to_json() + "\n", encoding="utf-8")
    note(f"wrote {common.output}", quiet=common.quiet)
