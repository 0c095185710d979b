"""How a campaign is run from the command line."""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch

from attnmass import AttentionRanker
from tests.tiny import tiny_model, tiny_tokenizer

Found = TypeVar("Found")


def small_ranker() -> AttentionRanker:
    """What campaigns ask: a model that is tiny, but real."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=((1, 0), (1, 3), (2, 1)))


def tried(
    name: str, what: str, attempts: Iterable[tuple[str, Callable[[], tuple[int, float]]]]
) -> Counter[str]:
    """What came of all attempts: how many there were, and what they count.

    Args:
        name: What an attempt is called.
        what: What it counts.
        attempts: Each with its seed, and what gives its count and its part of the time allowed.

    Raises:
        AssertionError: If one fails, with its seed.
    """
    told: Counter[str] = Counter({name: 0, what: 0})
    slowest = 0.0
    for seed, attempt in attempts:
        try:
            count, part = attempt()
        except Exception as error:
            raise AssertionError(f"--seed {seed}: {error!r}") from error
        told += Counter({name: 1, what: count})
        slowest = max(slowest, part)
    told["percent of the time allowed, at most"] = round(100 * slowest)
    return told


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
