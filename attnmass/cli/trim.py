"""`attnmass trim`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from attnmass.cli.asking import Asking, rank_and_write
from attnmass.cli.errors import CliError, ExitCode, api_arguments
from attnmass.cli.options import CommonOptions, TrimOptions
from attnmass.cli.writing import Writer

if TYPE_CHECKING:
    from attnmass.trimming import Trim


def trim(*, trimming: TrimOptions, asked: Asking, common: CommonOptions) -> None:
    """Keep the sentences and blocks that matter, verbatim, within a budget of tokens.

    Chunks are read and ranked as by `attnmass rank`. A pipe gets the text that is left, as
    --max-tokens counted it, ready for a prompt; --format json has every span with its offsets.
    """
    writer = Writer(common.format, trimmed=True, many=asked.many)
    asked.check()
    request = make_request(trimming, local_files_only=bool(asked.model.local_files_only))
    raise typer.Exit(rank_and_write(asked, common, writer, request))


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
