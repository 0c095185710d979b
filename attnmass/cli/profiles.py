"""`attnmass profiles list` and `attnmass profiles show`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnmass.cli.arguments import read_profile
from attnmass.cli.errors import InputError, UsageError
from attnmass.cli.models import Debug, ListFormat, write_list
from attnmass.cli.writing import write_line
from attnmass.options.checks import did_you_mean

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile, RankRule, SpanRule


def profiles_list(
    format: ListFormat = None,  # noqa: A002 - the option's name
    debug: Debug = False,
) -> None:
    """The head profiles that ship, with their measured scores, and the files of those kept."""
    from attnmass.profiles import packaged_profiles
    from attnmass.profiles.kept import kept_profiles

    found = packaged_profiles() | {str(file): profile for file, profile in kept_profiles()}
    rows = [
        [
            name,
            profile.model,
            profile.layout,
            ", ".join(f"{layer}-{head}" for layer, head in profile.heads),
            "; ".join(_measured(profile)) or "not measured",
        ]
        for name, profile in found.items()
    ]
    records = [{"name": name, **asdict(profile)} for name, profile in found.items()]
    write_list(format, ["name", "model", "layout", "heads", "measured"], rows, records)


def profiles_show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name in the list, a model, or a file of your own."),
    ],
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json"],
        typer.Option("--format", "-f", help="json is what --profile reads."),
    ] = "text",
    debug: Debug = False,
) -> None:
    """One head profile: its heads, the data that selected them, and scores on other data."""
    label, profile = find_profile(name)
    if format == "json":
        write_line(profile.to_json().rstrip("\n"))
        return
    for key, value in _lines(label, profile):
        write_line(f"{key:<12} {value}")


def find_profile(name: str) -> tuple[str, HeadProfile]:
    """A profile and what it is called: one that ships, the one of a model, or a file.

    Raises:
        UsageError: If the model has several.
        InputError: If there is none.
    """
    from attnmass.profiles import packaged_profiles

    shipped = packaged_profiles()
    if name in shipped:
        return name, shipped[name]
    mine = [key for key, profile in shipped.items() if profile.model == name]
    if len(mine) == 1:
        return mine[0], shipped[mine[0]]
    if mine:
        raise UsageError(f"{name} has several profiles: {', '.join(mine)}", "name one of them")
    if not Path(name).is_file():
        raise InputError(
            f"{name}: no profile of that name ships, and there is no such file."
            f"{did_you_mean(name, [*shipped, *(each.model for each in shipped.values())])}",
            f"there are {', '.join(shipped)}",
        )
    return name, read_profile(name)


def _lines(label: str, profile: HeadProfile) -> list[tuple[str, Any]]:
    spans, relevance, fusing = profile.span_rule, profile.relevance, profile.fusing
    threshold = relevance.evidence_threshold if relevance else profile.evidence.threshold
    cosines = fusing is not None and fusing.evidence is not None
    lines: list[tuple[str, Any]] = [
        ("name", label),
        ("model", profile.model),
        ("fingerprint", profile.fingerprint or "none: fits any model"),
        ("layout", profile.layout),
        ("prompt", f"version {profile.prompt_version}"),
        ("chunks by", _weighed(profile.heads, profile.weights)),
        ("shared out by", _exponents(profile.ranking)),
        ("spans by", _weighed(spans.heads, spans.weights)),
        ("spans share a chunk by", _exponents(spans if spans.exponents else None)),
        ("context by", ", ".join(_head(head) for head in profile.context or profile.heads)),
        (
            "relevance by",
            _signed(relevance.heads, relevance.weights) if relevance else "none: it is not told",
        ),
        ("evidence", "no threshold" if threshold is None else f"none below {threshold}"),
        ("cosines", "have a part in evidence" if cosines else "have no part in evidence"),
        ("stops after", f"layer {profile.last_layer}"),
        ("source", profile.source),
        ("fitted on", profile.fitted_on or "not said"),
    ]
    return [*lines, *(("measured", line) for line in _measured(profile) or ["not said"])]


def _measured(profile: HeadProfile) -> list[str]:
    """What a profile says of its scores, a line for each set of data."""
    lines = []
    for data, found in profile.measured.items():
        if not isinstance(found, dict):
            lines.append(f"{data}: {found}")
            continue
        interval = found.get("interval95")
        scores = [
            f"{key} {value}" for key, value in found.items() if key not in ("queries", "interval95")
        ]
        extra = [] if interval is None else [f"{interval[0]} to {interval[1]}"]
        extra += [] if "queries" not in found else [f"n = {found['queries']}"]
        lines.append(f"{data}: {', '.join(scores)}" + (f" ({', '.join(extra)})" if extra else ""))
    return lines


def _weighed(heads: tuple[tuple[int, int], ...], weights: tuple[float, ...]) -> str:
    used = {head: weight for head, weight in zip(heads, weights, strict=True) if weight}
    if len(set(used.values())) == 1:
        return ", ".join(map(_head, used))
    return ", ".join(f"{_head(head)} ({weight:.3g})" for head, weight in used.items())


def _exponents(rule: RankRule | SpanRule | None) -> str:
    if rule is None:
        return "none: each has its own mass"
    return _signed(rule.heads, rule.exponents)


def _signed(heads: tuple[tuple[int, int], ...], numbers: tuple[float, ...]) -> str:
    pairs = zip(heads, numbers, strict=True)
    return ", ".join(f"{_head(head)} ({number:+.2f})" for head, number in pairs)


def _head(head: tuple[int, int]) -> str:
    return f"{head[0]}-{head[1]}"
