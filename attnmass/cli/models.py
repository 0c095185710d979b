"""`attnmass models`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnmass.cli.records import to_json
from attnmass.cli.writing import write_line

if TYPE_CHECKING:
    from attnmass.loading.tiers import Tier

ListFormat = Annotated[
    Literal["table", "tsv", "json"] | None,
    typer.Option("--format", "-f", help="table on a terminal, tsv into a pipe."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]


# Columns of what was measured, and what they are called where it is kept.
_SETS = {"nq": "nq", "hotpotqa": "hotpotqa_paragraphs", "musique": "musique"}
_SIZES = {"rank 20": 20, "200": 200, "2,000": 2000}


def models(
    format: ListFormat = None,  # noqa: A002 - the option's name
    debug: Debug = False,
) -> None:
    """The short names of models: how good they are, what they cost, and where their weights are.

    Quality is the mean nDCG@10 on questions of nq, hotpotqa and musique that selected no head;
    costs are for one core, with chunks of some 130 tokens. Any decoder can also be named by a
    folder, a GGUF file or a repository of the Hugging Face Hub.
    """
    from attnmass.loading.sources import ALIASES, DEFAULT_MODEL
    from attnmass.loading.tiers import tiers

    records: list[dict[str, Any]] = []
    for name, alias in ALIASES.items():
        found, fetch = where_weights_are(name)
        records.append(
            {
                "name": name,
                "default": name == DEFAULT_MODEL,
                "weights": found,
                "fetch": None if found else fetch,
                "package": alias.package,
                "repository": alias.repo,
                "profiles": _profiles_of(name),
                "licence": alias.licence,
                "measured": asdict(tiers()[name]) if name in tiers() else None,
            }
        )
    rows = [
        [
            f"{record['name']} (default)" if record["default"] else str(record["name"]),
            record["licence"],
            *_measured(tiers().get(record["name"])),
            str(record["weights"] or f"not here: {record['fetch']}"),
        ]
        for record in records
    ]
    columns = ["name", "licence", *_SETS, "index 1,000", *_SIZES, "a token", "weights here"]
    write_list(format, columns, rows, records)


def _measured(tier: Tier | None) -> list[str]:
    """Quality and cost, as cells of the list."""
    if tier is None:
        return [""] * (len(_SETS) + len(_SIZES) + 2)
    scores = [tier.quality.get(name) for name in _SETS.values()]
    warm = [tier.warm_milliseconds.get(size) for size in _SIZES.values()]
    return [
        *("" if score is None else f"{score:.3f}" for score in scores),
        f"{tier.index_1000_seconds:,} s",
        *("" if time is None else f"{time:,} ms" for time in warm),
        "" if tier.bytes_a_token is None else f"{tier.bytes_a_token:,.0f} B",
    ]


def where_weights_are(name: str) -> tuple[str | None, str]:
    """The place of a model's weights on this machine, and the commands that would fetch them."""
    from attnmass.errors import WeightsNotFoundError
    from attnmass.loading.sources import ALIASES, locate

    alias = ALIASES.get(name.lower())
    fetch = f"hf download {alias.repo if alias else name}"
    if alias is not None:
        fetch = f"{alias.install} (or {fetch})"
    try:
        source = locate(name, local_files_only=True)
    except WeightsNotFoundError:
        return None, fetch
    in_one_file = source.gguf is not None and not source.parts
    return (f"{source.name}/{source.gguf}" if in_one_file else source.name), fetch


def _profiles_of(name: str) -> list[str]:
    from attnmass.profiles import packaged_profiles

    return [key for key, profile in packaged_profiles().items() if profile.model == name]


def write_list(
    chosen: str | None, columns: list[str], rows: list[list[str]], records: list[dict[str, Any]]
) -> None:
    """A list on stdout, as a table, in tab-separated lines or as JSON."""
    chosen = chosen or ("table" if sys.stdout.isatty() else "tsv")
    if chosen == "json":
        write_line(to_json(records, indent=2), plain=True)
    elif chosen == "tsv":
        for row in rows:
            write_line("\t".join(row))
    else:
        from attnmass.cli.tables import print_table

        print_table(columns, rows)
