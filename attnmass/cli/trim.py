"""`attnmass trim`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from attnmass.cli import session
from attnmass.cli.arguments import check_cache, check_selection, model_arguments
from attnmass.cli.errors import CliError, ExitCode, api_arguments
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.cli.options import CommonOptions, InputOptions, SelectionOptions, TrimOptions
from attnmass.cli.rank import Paths, Query
from attnmass.cli.writing import Writer

if TYPE_CHECKING:
    from attnmass.trimming import Trim


def trim(
    query: Query = None,
    paths: Paths = None,
    *,
    inputs: InputOptions,
    trimming: TrimOptions,
    selection: SelectionOptions,
    model: ModelOptions,
    cache: CacheGroup,
    common: CommonOptions,
) -> None:
    """Keep the sentences and blocks that matter, verbatim, within a budget of tokens.

    Chunks are read and ranked as by `attnmass rank`. Into a pipe goes the text that is left, as
    --max-tokens counted it, ready for a prompt; --format json has every span with its offsets.
    """
    many = inputs.queries is not None
    writer = Writer(common.format, trimmed=True, many=many)
    check_selection(selection)
    check_cache(cache)
    model_arguments(model)
    request = make_request(trimming, local_files_only=bool(model.local_files_only))
    questions = session.read(query, paths, inputs, selection, common)
    ranker = session.load_ranker(model, cache, quiet=common.quiet)
    code = session.rank_and_write(
        questions, ranker, selection, common, writer=writer, many=many, trim=request
    )
    session.note_misses(ranker, cache, quiet=common.quiet)
    raise typer.Exit(code)


def make_request(options: TrimOptions, *, local_files_only: bool) -> Trim:
    """What is asked of trimming.

    Raises:
        UsageError: If an option is out of range.
        CliError: If the reader's tokenizer cannot be loaded.
    """
    from attnmass.trimming import Trim

    given = options.given()
    name = given.pop("tokenizer", None)
    with api_arguments():
        request = Trim(**given)
        if name is None:
            return request
    tokenizer = _load_tokenizer(name, local_files_only)
    with api_arguments():
        return Trim(**given, tokenizer=tokenizer)


def _load_tokenizer(name: str, local_files_only: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            name, trust_remote_code=False, local_files_only=local_files_only
        )
    except (OSError, ValueError) as error:
        raise CliError(
            f"no tokenizer for {name!r}: {str(error).partition('. ')[0]}",
            ExitCode.MODEL,
            "pass a folder with tokenizer.json, or a repository of the Hub",
        ) from error
