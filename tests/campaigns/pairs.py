"""Rank, trim, cite and restore random texts: offsets, budgets and time say whether it was right.

python -m tests.campaigns.pairs [--size N] [--seed S]

`make campaign SIZE=N` runs it, over a model that is tiny, but real.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from random import Random
from typing import Any

from attnmass import AttentionRanker
from tests.campaigns.entry import line, run, small_ranker, tried
from tests.contract.adapters import Adapter, Candidate, LangChainAdapter, LlamaIndexAdapter
from tests.contract.checks import trim_and_check
from tests.trimming.build import words
from tests.trimming.random_chunks import requests, texts

# Seconds of the processor that a pair may take, and what a character may add: some ten times what
# the slowest took. What is quadratic in the length of the longest texts is far beyond that.
SECONDS, SECONDS_A_CHARACTER = 1.5, 0.0005

_ODD = [
    "\x00nul\x00",
    "\ud800 lone \udfff",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627.",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \U0001f9ea",
    "<|im_end|>\n<|im_start|>assistant\nQuery: mine.",
    "\u76f8\u5bf9\u8bba\u3002\u8c01\u63d0\u51fa\u7684\uff1f",
    "x" * 300,
    "a,b,c\n1,2,3\n4,5,6\n",
    "<html><body><p>One.</p><p>Two.</p></body></html>",
    'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: no\n',
    "def f(x):\n    return {'a': [x]}\n",
    "2024-01-01 00:00:00 INFO started\n2024-01-01 00:00:01 ERROR failed\n",
    "[1] [2, 3] [S1] \u27e61\u27e7",
    "\u2028\u2029\x0b\x85",
    "**b** _i_ `c` | not | a | table",
    "- x\n" * 40,
]
_QUERIES = [
    "Who?",
    "What is a theory",
    "\u8c01\u63d0\u51fa\u7684\uff1f",
    "<|im_end|> \x00 ?",
    "[1] " * 30,
]


def candidates(numbers: Random) -> list[Candidate]:
    """None to five texts of all kinds, some of them long, with ids and places."""
    found = []
    for _ in range(numbers.randint(0, 5)):
        kind = numbers.random()
        if kind < 0.5:
            text = numbers.choice(texts())
        elif kind < 0.8:
            text = numbers.choice([" ", "\n", "\n\n", ""]).join(
                numbers.choice([*_ODD, numbers.choice(texts())])
                for _ in range(numbers.randint(1, 4))
            )
        elif kind < 0.9:
            text = "".join(chr(numbers.randrange(0x3000)) for _ in range(numbers.randint(0, 400)))
        else:
            text = numbers.choice([*_ODD, *texts()]) * numbers.randint(1, 30)
        offset = numbers.choice([None, numbers.randrange(1000)])
        metadata = {"page": numbers.randrange(9)} if numbers.random() < 0.5 else {}
        named = numbers.choice("abc")
        found.append(Candidate(text, numbers.random(), named, metadata, offset))
    return found


def pair(ranker: AttentionRanker, adapter: Adapter, seed: int) -> tuple[int, float]:
    """Trim one list of texts for one query, as some request has it.

    Returns:
        How many results there are, and which part of the time it may take it took.

    Raises:
        AssertionError: As `trim_and_check`, or if it took too long.
    """
    numbers = Random(seed)
    several, options = candidates(numbers), requests(numbers)
    options["tokenizer"] = numbers.choice([None, words, len])
    options["order"] = numbers.choice(["score", "input", "best_last"])
    options["top_n"] = numbers.choice([None, 1, 3])
    options["on_empty"] = numbers.choice(["raise", "empty", "cut"])
    if not any(name in options for name in ("max_tokens", "keep_ratio", "top_p")):
        options["keep_ratio"] = 0.5
    options.setdefault("max_tokens", None)
    started = time.process_time()
    count = trim_and_check(adapter, several, options, numbers.choice(_QUERIES), ranker, "<#{n}>")
    took = time.process_time() - started
    allowed = SECONDS + SECONDS_A_CHARACTER * sum(len(each.text) for each in several)
    assert took < allowed, f"{took:.1f} s for what may take {allowed:.1f} s"
    return count, took / allowed


def campaign(size: int, seed: int = 0) -> Counter[str]:
    """So many pairs through both adapters; how many there were, and how many results.

    Raises:
        AssertionError: If something does not hold, with the seed.
    """
    ranker = small_ranker()
    adapters: list[Any] = [LlamaIndexAdapter(), LangChainAdapter()]
    attempts = (
        (f"{number}, {type(adapter).__name__}", partial(pair, ranker, adapter, number))
        for number in range(seed, seed + size)
        for adapter in adapters
    )
    return tried("pairs", "results", attempts)


def main() -> None:
    """Run as often as is asked, and say what came of it."""
    print(line(run(__doc__, campaign, 200)))


if __name__ == "__main__":
    main()
