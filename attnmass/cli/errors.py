"""What goes wrong on the command line: one line, a hint, and a code that scripts can tell apart."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text
from typer import TyperException

from attnmass.cli import fit_options, options
from attnmass.cli.printable import printable
from attnmass.errors import (
    AttnMassError,
    OutOfMemoryError,
    UnsupportedModelError,
    WeightsNotFoundError,
)
from attnmass.options.declared import Storing, names_of
from attnmass.options.renamed import RENAMED
from attnmass.results.errors import NoEvidenceError

# What options were called before.
_RENAMED = {
    f"--{old.replace('_', '-')}": f"--{new.replace('_', '-')}"
    for old, new in RENAMED.items()
    if new in names_of(Storing)
}


class ExitCode(IntEnum):
    """What the process ends with."""

    OK = 0
    NO_EVIDENCE = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    FAILED = 5
    NOT_BETTER = 6
    INTERRUPTED = 130
    PIPE = 141


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.NO_EVIDENCE: "too little evidence, with --on-no-evidence raise",
    ExitCode.USAGE: "wrong arguments or options, or typer and rich are not installed",
    ExitCode.INPUT: "something to read is missing, empty or malformed",
    ExitCode.MODEL: "no weights were found, or the model cannot be used",
    ExitCode.FAILED: "anything else, such as memory that ran out; --debug shows where",
    ExitCode.NOT_BETTER: "a head profile does not hold",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.PIPE: "whoever read the output stopped reading (head)",
}


class CliError(Exception):
    """An end with a message.

    Attributes:
        code: What the process ends with.
        hint: What to do about it, if that is not in the message.
    """

    def __init__(self, message: str, code: ExitCode, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class UsageError(CliError):
    """Arguments or options that are wrong, or wrong together."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, ExitCode.USAGE, hint)


class InputError(CliError):
    """Something to read that is missing, empty or malformed."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, ExitCode.INPUT, hint)


@contextmanager
def api_arguments(*, but: type[ValueError] | tuple[()] = ()) -> Iterator[None]:
    """What the API says of its arguments, as a word about options.

    Args:
        but: What is not one, and is raised as it is.

    Raises:
        UsageError: For a `ValueError` or `TypeError`, options spelled as they are here.
    """
    try:
        yield
    except but:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(spelled_as_options(str(error))) from error


@contextmanager
def written(file: Path) -> Iterator[None]:
    """Raise `InputError` where a file that the user named cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror or error}") from error


def spelled_as_options(message: str) -> str:
    """A message of the API with `max_tokens=5` as `--max-tokens 5`, and no word about `None`."""
    names = "|".join(sorted(_option_names(), key=len, reverse=True))
    message = re.sub(r",? or None for [^,;:.]+", "", message)
    message = re.sub(rf"\b({names})=None\b", lambda m: f"no {_option(m[1])}", message)
    message = re.sub(
        rf"\b({names})=(['\"]?)([^\s,'\")]+)\2", lambda m: f"{_option(m[1])} {m[3]}", message
    )
    message = re.sub(r"\bor '(\w+)'", r"or \1", message)
    underscored = "|".join(name for name in names.split("|") if "_" in name)
    return re.sub(
        rf"(?<![\w-])({underscored})\b|^({names})\b", lambda m: _option(m[1] or m[2]), message
    )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option_names() -> set[str]:
    groups = (*options.GROUPS, *fit_options.GROUPS)
    return {field.name for group in groups for field in fields(group)}


def report(error: BaseException, *, debug: bool = False) -> ExitCode:
    """Say on stderr what went wrong; returns the code to end with."""
    if isinstance(error, BrokenPipeError):
        return drop_output()
    if type(error).__name__ == "NoArgsIsHelpError":  # typer has shown the help
        return ExitCode.USAGE
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    message, code, hint = told(error)
    if message:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        try:
            console.print(Text.assemble(("error: ", "bold red"), one_line(message)))
            if hint:
                console.print(Text.assemble(("hint: ", "bold"), one_line(hint)))
        except OSError:  # where it cannot be said, the code still tells
            _drop(sys.stderr)
    return code


def drop_output() -> ExitCode:
    """Nobody reads the output any more: let the interpreter flush what is left into nothing."""
    _drop(sys.stdout)
    return ExitCode.PIPE


def _drop(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # in tests it is no real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def one_line(message: str) -> str:
    """A message without line breaks and control characters."""
    return printable(" ".join(message.split()))


def told(error: BaseException) -> tuple[str, ExitCode, str | None]:
    """What an error is told as: a message, the code to end with, and what to do about it."""
    if isinstance(error, CliError):
        return str(error), error.code, error.hint
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "attnmass"
        option = getattr(error, "option_name", None)
        if option in _RENAMED:
            return f"{option} is called {_RENAMED[option]} now", ExitCode.USAGE, None
        message = error.format_message().replace("Value error, ", "")
        return message, ExitCode.USAGE, f"{command} --help"
    if isinstance(error, NoEvidenceError):
        return spelled_as_options(str(error)), ExitCode.NO_EVIDENCE, None
    if isinstance(error, WeightsNotFoundError | UnsupportedModelError):
        return str(error), ExitCode.MODEL, "attnmass doctor says what is there"
    if isinstance(error, KeyboardInterrupt):
        return "", ExitCode.INTERRUPTED, None
    if isinstance(error, OutOfMemoryError):
        return spelled_as_options(str(error)), ExitCode.FAILED, None
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            f"memory ran out: {error}",
            ExitCode.FAILED,
            "pass a smaller --max-batch-tokens or --max-chunk-tokens",
        )
    what = str(error) or type(error).__name__
    if isinstance(error, AttnMassError | OSError):
        return what, ExitCode.FAILED, None
    return f"{type(error).__name__}: {what}", ExitCode.FAILED, "--debug shows where"
