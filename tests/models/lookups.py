"""Synthetic look-ups: documents of facts about keys, and questions about one key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_WORDS = """
    amber apple aspen barley beacon bison bramble bridge bucket button candle canyon cedar
    cherry cobalt copper cotton cricket daisy dolphin eagle elm feather fern forest fox garlic
    glacier grape harbor heron indigo iron ivory jade juniper ladder lantern lilac lizard magnet
    maple meadow mint moss nettle olive orchid owl paper pebble petal pine plum poppy quartz
    rabbit ribbon robin rose saddle salmon shadow sparrow stone sunset thistle tiger topaz
    tunnel valley violet whistle window wolf
    """
KEYS = tuple(_WORDS.split())


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question with its documents.

    Attributes:
        question: About one key.
        answer: Four digits.
        documents: Facts, one sentence each, every key in one of them.
        right: Index of the document that has the answer.
        fact: The sentence of it that has it.
    """

    question: str
    answer: str
    documents: tuple[str, ...]
    right: int
    fact: str


def lookups(seed: int, *, n_documents: int, n_facts: int) -> Iterator[Lookup]:
    """Look-ups without end, the same for the same seed.

    Args:
        seed: Of the random numbers.
        n_documents: Documents of each.
        n_facts: Facts in each document.
    """
    rng = random.Random(seed)
    while True:
        keys = rng.sample(KEYS, n_documents * n_facts)
        codes = [f"{rng.randrange(10000):04}" for _ in keys]
        facts = [f"The code of {key} is {code}." for key, code in zip(keys, codes, strict=True)]
        documents = tuple(
            " ".join(facts[start : start + n_facts]) for start in range(0, len(facts), n_facts)
        )
        asked = rng.randrange(len(keys))
        yield Lookup(
            question=f"What is the code of {keys[asked]}?",
            answer=codes[asked],
            documents=documents,
            right=asked // n_facts,
            fact=facts[asked],
        )
