"""`attnmass profiles verify`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnmass.cli.errors import CliError, ExitCode, api_arguments
from attnmass.cli.fit import bar_wanted, data_errors, read_labelled, report_format
from attnmass.cli.fit_options import Data, DataOptions, ReportOptions
from attnmass.cli.model_options import LoadOptions
from attnmass.cli.notes import note, status
from attnmass.cli.profiles import find_profile
from attnmass.cli.records import to_json
from attnmass.cli.writing import write_line

if TYPE_CHECKING:
    from attnmass.fitting import Verification


def profiles_verify(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name in the list, or a file of your own.")
    ],
    data: Data,
    *,
    common: ReportOptions,
    reading: DataOptions,
    model: LoadOptions,
) -> None:
    """Try a head profile on labelled queries that did not select its heads.

    It holds if it ranks them better than the model's default heads and than BM25; otherwise, or if
    it is for another model, the command exits with 6.
    """
    label, profile = find_profile(name)
    labelled = read_labelled(data, reading, to_fit=False)
    for message in labelled.notes:
        note(message, quiet=common.quiet)
    with status("Loading ...", quiet=common.quiet):
        from attnmass.fitting import verify_profile
        from attnmass.profiles import ProfileMismatchError
    try:
        with data_errors(), api_arguments(but=ProfileMismatchError):
            progress = bar_wanted(quiet=common.quiet)
            found = verify_profile(profile, labelled, progress=progress, **model.given())
    except ProfileMismatchError as error:
        raise CliError(
            f"{label} does not hold: {error}",
            ExitCode.NOT_BETTER,
            "pass its own model by --model, or fit this one: attnmass fit --help",
        ) from error
    _write(label, found, common)
    if not found.holds:
        reasons = "; ".join(str(one) for one in found.differences if not one.better)
        raise CliError(f"{label} does not hold: {reasons}", ExitCode.NOT_BETTER)


def _write(label: str, found: Verification, common: ReportOptions) -> None:
    chosen = report_format(common)
    from attnmass.fitting.reports.report import markdown, score_table

    lines, table = _lines(label, found), score_table(found.scores, "nDCG@10")
    if chosen == "json":
        write_line(to_json(_record(label, found), indent=2), plain=True)
    elif chosen == "markdown":
        write_line("\n".join([*(f"- {line}" for line in lines), "", *markdown(table)]))
    else:
        from attnmass.cli.tables import print_report

        print_report(lines, [table])
    sys.stdout.flush()


def _lines(label: str, found: Verification) -> list[str]:
    queries = ", ".join(f"{count} of {name}" for name, count in found.data.items())
    return [
        f"{label}, layout {found.profile.layout}, with {found.model}: {queries} queries",
        *map(str, found.differences),
    ]


def _record(label: str, found: Verification) -> dict[str, Any]:
    return {
        "profile": label,
        "model": found.model,
        "layout": found.profile.layout,
        "data": found.data,
        "holds": found.holds,
        "scores": [asdict(one) for one in found.scores],
        "differences": [asdict(one) for one in found.differences],
        "notes": found.notes,
    }
