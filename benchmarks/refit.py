"""Refitting a part of a late profile: what is asked for, and the model."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from attnmass.fitting.subject import Subject, open_model
from attnmass.profiles import HeadProfile, load_profile
from benchmarks.heads import PROFILES
from benchmarks.late_ranker import results_of
from benchmarks.quality import MODEL

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Refit:
    """One run.

    Attributes:
        arguments: `data`, `captures`, `model`, `limit`, `out` and `dtype`.
        path: The profile's file.
        profile: What is in it.
        subject: The model, with the layers that it reads.
    """

    arguments: argparse.Namespace
    path: Path
    profile: HeadProfile
    subject: Subject


def asked(told: str | None, results: Path) -> Refit:
    """Read the command line, the profile and the model.

    Args:
        told: The module's docstring.
        results: Where those of the default model go.
    """
    parser = argparse.ArgumentParser(description=(told or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--captures", type=Path, default=Path("build/captures"), help="where kept")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--out", type=Path, help="default: that of the model")
    parser.add_argument("--dtype", help="what the model computes in (default: its own)")
    arguments = parser.parse_args()
    arguments.out = arguments.out or results_of(arguments.model, results)
    path = PROFILES / f"{arguments.model}.late.json"
    profile = load_profile(path)
    dtype = {} if arguments.dtype is None else {"dtype": arguments.dtype}
    return Refit(arguments, path, profile, open_model(arguments.model, profile=profile, **dtype))
