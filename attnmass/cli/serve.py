"""`attnmass serve`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attnmass.cli import session
from attnmass.cli.arguments import check_cache, model_arguments
from attnmass.cli.errors import CliError, ExitCode, InputError, UsageError, api_arguments
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.cli.options import ServeOptions, ToldOptions

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker
    from attnmass.serving.options import ServingOptions

KEYS = "ATTNMASS_API_KEYS"


def serve(
    *,
    serving: ServeOptions,
    model: ModelOptions,
    cache: CacheGroup,
    common: ToldOptions,
) -> None:
    """Answer rerank requests over HTTP, as Cohere, Jina, Voyage, TEI, vLLM and others do.

    Clients of these need only another address. Every option can be set in the environment instead:
    --queue-size by ATTNMASS_QUEUE_SIZE, --store by ATTNMASS_STORE. API keys are read from
    --api-key-file, and from ATTNMASS_API_KEYS, separated by commas.

    It stops on SIGTERM or Ctrl-C, once it has answered what it was asked before.
    """
    options = _checked(serving)
    check_cache(cache)
    model_arguments(model)
    from attnmass.serving.server import listen, run

    def load() -> AttentionRanker:
        return session.load_ranker(model, cache, quiet=True)

    try:
        listener = listen(options)
    except OSError as error:
        raise CliError(
            f"cannot listen at {options.host}:{options.port}: {error.strerror or error}",
            ExitCode.FAILED,
            "pass another --port, or --host",
        ) from error
    run(load, options, listener, asked=session.asked_name(model), quiet=common.quiet)


def _checked(serving: ServeOptions) -> ServingOptions:
    """The options, held to their declarations; no model is loaded for ones that are off.

    Raises:
        UsageError: If one is off, or what serving needs is not installed.
        InputError: If keys cannot be read.
    """
    from attnmass.serving import extra

    try:
        extra.check()
    except ImportError as error:
        raise UsageError(str(error)) from error
    from attnmass.serving.options import ServingOptions

    given = serving.given()
    if KEYS in os.environ:
        given["api_keys"] = os.environ[KEYS]
    with api_arguments():
        options = ServingOptions(**given)
    try:
        options.keys()
    except OSError as error:
        raise InputError(f"{options.api_key_file}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(str(error)) from error
    return options
