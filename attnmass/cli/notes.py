"""What is said beside the results: on stderr, never on stdout."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from attnmass.cli.errors import one_line, spelled_as_options


def note(message: str, *, quiet: bool = False) -> None:
    """Say something that a user should know, in one line."""
    _say("note: ", "dim", message, quiet)


def warn(message: str, *, quiet: bool = False) -> None:
    """Say something that likely is not what the user wants, in one line."""
    _say("warning: ", "yellow", message, quiet)


def _say(label: str, style: str, message: str, quiet: bool) -> None:
    if not quiet:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(Text.assemble((label, style), one_line(message)))


def say_warnings(*, quiet: bool = False) -> None:
    """Show what the package warns of as a line, and nothing of what libraries warn of."""

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        warn(spelled_as_options(str(message)), quiet=quiet)

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    # By what they say: the package's warnings name their caller's place, not their own.
    warnings.filterwarnings("always", category=UserWarning, message=r".*\bhead profile\b")
    warnings.filterwarnings("always", category=UserWarning, message=r"the profile's heads\b")


def is_watched() -> bool:
    """Whether somebody looks at stderr, so that progress may be shown there."""
    return sys.stderr.isatty()


@contextmanager
def status(message: str, *, quiet: bool = False) -> Iterator[None]:
    """Show that something takes a while, where somebody looks."""
    if quiet or not is_watched():
        yield
        return
    console = Console(stderr=True, soft_wrap=True, highlight=False)

    def tell(said: str) -> None:
        console.print(Text.assemble(("note: ", "dim"), one_line(said)))

    # Such as that weights are converted, and where to.
    with console.status(Text(one_line(message))), logged("attnmass.loading", tell):
        yield


@contextmanager
def logged(name: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Tell what a logger is given, but for what is for developers."""

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell(record.getMessage())

    logger, teller = logging.getLogger(name), Teller(logging.INFO)
    level = logger.level
    logger.addHandler(teller)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(teller)


def hush_libraries(*, quiet: bool = False) -> None:
    """Keep transformers and the Hub's client from writing beside us; for a process of our own.

    Their bars tell of downloads, which are worth showing to somebody who looks. What the user
    set stays.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if quiet or not is_watched():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TQDM_DISABLE", "1")  # transformers' bar of a GGUF file's conversion
