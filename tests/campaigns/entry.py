"""How a campaign is run from the command line."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

Found = TypeVar("Found")


def run(about: str | None, campaign: Callable[[int, int], Found], size: int) -> Found:
    """Run as often as is asked.

    Args:
        about: The campaign's docstring.
        campaign: Takes size and seed.
        size: By default.
    """
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=size)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    return campaign(arguments.size, arguments.seed)


def line(found: Mapping[str, int]) -> str:
    """What came of it, on a line."""
    return ", ".join(f"{n} {what}" for what, n in found.items())
