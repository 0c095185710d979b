"""`attnmass explain`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnmass.cli import session
from attnmass.cli.arguments import check_cache, check_selection, model_arguments, parse_heads
from attnmass.cli.errors import ExitCode, InputError, UsageError, api_arguments
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.cli.notes import is_watched, note
from attnmass.cli.options import InputOptions, SelectionOptions, ToldOptions, TrimOptions
from attnmass.cli.rank import Paths, Query
from attnmass.cli.trim import make_request
from attnmass.results.errors import NoEvidenceError

if TYPE_CHECKING:
    from attnmass.explain import Explanation
    from attnmass.results.ranking import Ranking

_PANEL = "Drawing"
_SUFFIXES = (".html", ".json")


@dataclass(frozen=True, slots=True)
class DrawOptions(ToldOptions):
    """What is drawn, and where to."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a page (.html) or the numbers (.json) instead of drawing in the terminal.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    query_words: Annotated[
        bool,
        typer.Option(
            "--query-words",
            help="Keep where each word of the question looked, to choose one in the page.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    head: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER-HEAD",
            help="In the terminal, look through this head alone.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None


def explain(
    query: Query = None,
    paths: Paths = None,
    *,
    common: DrawOptions,
    inputs: InputOptions,
    trimming: TrimOptions,
    selection: SelectionOptions,
    model: ModelOptions,
    cache: CacheGroup,
) -> None:
    """Draw the attention that a question pays chunks over their text.

    Chunks are read and ranked as by `attnmass rank`, and trimmed as by `attnmass trim` if an option
    of that is given: kept sentences are marked then, and what was dropped says why.
    """
    if inputs.queries is not None:
        raise UsageError("explain draws one question", "leave out --queries and pass QUERY")
    _check(common)
    check_selection(selection)
    check_cache(cache)
    model_arguments(model)
    request = None
    if trimming.given():
        request = make_request(trimming, local_files_only=bool(model.local_files_only))
    (question,) = session.read(query, paths, inputs, selection, common)
    ranker = session.load_ranker(model, cache, quiet=common.quiet)
    code = ExitCode.OK
    try:
        ranking: Ranking = session.rank(
            question,
            ranker,
            selection,
            request,
            progress=is_watched() and not common.quiet,
            query_words=common.query_words,
        )
    except NoEvidenceError as error:
        ranking, code = error.ranking, ExitCode.NO_EVIDENCE
    _draw(ranking.explain(), common)
    session.note_misses(ranker, cache, quiet=common.quiet)
    raise typer.Exit(code)


def _check(common: DrawOptions) -> None:
    """Refuse what would fail only once the model has run."""
    if common.output is not None and common.output.suffix not in _SUFFIXES:
        raise UsageError(
            f"--output ends with {common.output.suffix or 'nothing'!r}",
            f"name a file that ends with one of {', '.join(_SUFFIXES)}",
        )
    if common.output is not None and not common.output.parent.is_dir():
        raise InputError(f"{common.output.parent}: no such folder", "make it first")
    if common.head is not None and len(parse_heads(common.head)) != 1:
        raise UsageError("--head takes one head", "such as --head 18-6")


def _draw(explanation: Explanation, common: DrawOptions) -> None:
    if common.output is None:
        options: dict[str, Any] = {}
        if common.head is not None:
            options["head"] = parse_heads(common.head)[0]
        with api_arguments():
            explanation.print(**options)
        sys.stdout.flush()
        return
    try:
        if common.output.suffix == ".html":
            explanation.to_html(common.output)
        else:
            common.output.write_text(explanation.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{common.output}: cannot be written: {error.strerror or error}"
        ) from error
    note(f"wrote {common.output}", quiet=common.quiet)
