"""`attnmass fit`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attnmass.cli.errors import CliError, ExitCode, InputError, UsageError, api_arguments, written
from attnmass.cli.fit_options import (
    DataOptions,
    FitOptions,
    OwnData,
    OwnTexts,
    ReportFormat,
    ReportOptions,
    SaveOptions,
)
from attnmass.cli.model_options import LoadOptions
from attnmass.cli.notes import is_watched, note, status
from attnmass.cli.writing import write_line

if TYPE_CHECKING:
    from attnmass.fitting import FitReport, FitResult, LabelledData


def fit(
    data: OwnData = None,
    *,
    texts: OwnTexts = None,
    common: SaveOptions,
    reading: DataOptions,
    selection: FitOptions,
    model: LoadOptions,
) -> None:
    """Find the heads of a model that rank best, on a few dozen labelled queries or on texts alone.

    Every head is read once for each query; what was read is kept, so an interrupted run resumes
    there. Queries are then split into folds, and heads are selected on some and judged on the
    others. The profile is written if it is better there than the model's default heads and than
    BM25; pass it with --profile, or put it in the model's folder as attnmass.json.
    """
    target = _check_target(common)
    labelled = read_labelled(data or (), reading, texts=texts)
    for message in labelled.notes:
        note(message, quiet=common.quiet)
    with kept_on_interrupt(quiet=common.quiet), data_errors(), api_arguments():
        result = _fit(labelled, selection, model, quiet=common.quiet)
    chosen = report_format(common)
    write_report(result.report, chosen)
    if target is None:
        _say_if_worse(result, common)
        return
    _save(result, target, common)


def read_labelled(
    data: Sequence[str],
    reading: DataOptions,
    *,
    texts: Sequence[Path] | None = None,
    to_fit: bool = True,
) -> LabelledData:
    """The labelled queries, before a model is loaded.

    Args:
        data: Files and folders.
        reading: How they are read.
        texts: Files and folders that queries are made of.
        to_fit: Whether they have to be enough for a fit, which makes some of texts if need be.

    Raises:
        InputError: If they cannot be used.
        UsageError: If options contradict each other, or rank-bm25 is not installed.
    """
    from attnmass.fitting import read_data
    from attnmass.fitting.fit import read_all
    from attnmass.fitting.queries.bm25 import check_installed

    try:
        check_installed()
    except ImportError as error:
        raise UsageError(str(error)) from error
    with data_errors(), api_arguments():
        if not to_fit:
            return read_data(list(data), **reading.given())
        return read_all(list(data) or None, texts, **reading.given())


@contextmanager
def data_errors() -> Iterator[None]:
    """What is wrong with data, as the command line tells it."""
    from attnmass.fitting import DataError

    try:
        yield
    except UsageError as error:
        if isinstance(error.__cause__, DataError):
            raise InputError(str(error.__cause__)) from error.__cause__
        raise


@contextmanager
def kept_on_interrupt(*, quiet: bool) -> Iterator[None]:
    """Say on Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        note("what was read is kept: the same command continues from there", quiet=quiet)
        raise


def bar_wanted(*, quiet: bool) -> bool:
    """Whether somebody looks who wants to see progress."""
    return is_watched() and not quiet


def report_format(common: ReportOptions) -> ReportFormat:
    """What the user asked for, else a table for people and Markdown for files."""
    return common.format or ("table" if sys.stdout.isatty() else "markdown")


def write_report(report: FitReport, chosen: ReportFormat) -> None:
    """The report on stdout."""
    if chosen == "json":
        write_line(report.to_json().rstrip("\n"), plain=True)
    elif chosen == "markdown":
        write_line(report.to_markdown().rstrip("\n"))
    else:
        from attnmass.cli.tables import print_report

        print_report(report.lines(), report.tables())
    sys.stdout.flush()


def _fit(
    labelled: LabelledData, selection: FitOptions, model: LoadOptions, *, quiet: bool
) -> FitResult:
    given = selection.given()
    with status("Loading ...", quiet=quiet):
        from attnmass.fitting import HeadSelection, fit_profile
    return fit_profile(
        labelled,
        captures=given.pop("captures", None),
        selection=HeadSelection(**given),
        progress=bar_wanted(quiet=quiet),
        **model.given(),
    )


def _check_target(common: SaveOptions) -> Path | None:
    if common.out is None:
        if common.force:
            raise UsageError("--force is for --out", "name a file by --out")
        return None
    return check_target(common.out)


def check_target(out: Path) -> Path:
    """Refuse what would fail only once the model has run."""
    if out.is_dir():
        raise UsageError(f"{out}: a folder", f"name a file, such as {out}/heads.json")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder", "make it first")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"{out.parent}: cannot be written to")
    return out


def _save(result: FitResult, target: Path, common: SaveOptions) -> None:
    from attnmass.fitting import NotBetterError

    try:
        with written(target):
            report = result.save(target, force=common.force)
    except NotBetterError as error:
        raise CliError(
            f"{target} is not written: {'; '.join(error.reasons)}",
            ExitCode.NOT_BETTER,
            "more or other labelled queries may help; --force writes it all the same",
        ) from error
    note(f"wrote {target} and {report}", quiet=common.quiet)


def _say_if_worse(result: FitResult, common: SaveOptions) -> None:
    if result.better:
        note("nothing is written: name a file by --out", quiet=common.quiet)
        return
    raise CliError("; ".join(result.report.reasons), ExitCode.NOT_BETTER)
