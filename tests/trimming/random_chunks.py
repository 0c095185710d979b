"""Random chunks, scores, templates and requests from one seed: thousands of them in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any

from attnmass.trimming.candidates import Candidate
from tests.trimming.build import candidate, cut_into

_WORDS = [
    "the",
    "river",
    "Rhine",
    "runs",
    "through",
    "Rotterdam",
    "trains",
    "books",
    "music",
    "Einstein",
    "relativity",
    "1905",
    "of",
    "a",
    "physicist",
    "theory",
    "naïve",
    "café",
    "e.g.",
    "U.S.",
    "3.14",
    "https://example.org/x?y=1",
    "<b>bold</b>",
    "{x}",
    "$5",
]
_CHINESE = "爱因斯坦提出了相对论日本語の物理学者"
_BLOCKS = [
    "- coal\n- salt, in bags",
    "1. first\n2. second",
    "```python\nx = 1\n\ny = 2\n```",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "> quoted words. More of them.",
    "---",
]


@lru_cache
def texts() -> tuple[str, ...]:
    """Texts of sentences, Markdown and scripts without spaces."""
    random = Random(0)
    return tuple(_text(random) for _ in range(150))


def chunks(random: Random) -> list[Candidate]:
    """None to five chunks of these, with scores, masses, context and what they are rendered as."""
    found = []
    for index in range(random.randint(0, 5)):
        text = random.choice(texts())
        number = len(cut_into(text))
        style = random.choice([0.0, 0.5, 1.0])  # all alike, some, or none
        masses = [random.random() if random.random() < style else 0.25 for _ in range(number)]
        scores = masses if random.random() < 0.5 else [random.random() for _ in range(number)]
        leans = {i: random.randrange(i) for i in range(1, number) if random.random() < 0.5}
        render = _render(random, index)
        found.append(
            candidate(text, scores, masses=masses, render=render, leans_on=leans, index=index)
        )
    random.shuffle(found)
    return found


def requests(random: Random) -> dict[str, Any]:
    """Options of `Trim`, each of which is there half of the time, the ceiling mostly."""
    options = {
        "keep_ratio": random.choice([0.01, 0.1, 0.3, 0.5, 0.9, 1.0]),
        "top_p": random.choice([0.05, 0.3, 0.6, 0.95, 1.0]),
        "min_keep": random.choice([0, 1, 2, 5]),
        "keep_titles": random.random() < 0.5,
        "neighbors": random.choice([0, 1, 2, 5]),
        "resolve_context": True,
        "separator": random.choice(["…", "", " [...] ", "\n\n", "(some text was left out)"]),
    }
    asked = {name: value for name, value in options.items() if random.random() < 0.5}
    if random.random() < 0.8:
        asked["max_tokens"] = int(10 ** random.uniform(0, 3))
    return asked


def _text(random: Random) -> str:
    pieces = []
    for _ in range(random.randint(1, 12)):
        kind = random.random()
        if kind < 0.55:
            words = [random.choice(_WORDS) for _ in range(random.randint(1, 20))]
            pieces.append(" ".join(words).capitalize() + random.choice(".?!"))
        elif kind < 0.7:
            pieces.append("".join(random.choices(_CHINESE, k=random.randint(1, 15))) + "。")
        elif kind < 0.85:
            pieces.append(f"\n\n{'#' * random.randint(1, 3)} {random.choice(_WORDS)}\n\n")
        else:
            pieces.append(f"\n\n{random.choice(_BLOCKS)}\n\n")
    text = random.choice([" ", "\n", ""]).join(pieces)
    return text if text.strip() else "x"


def _render(random: Random, index: int) -> Callable[[str], str]:
    return random.choice(
        [
            lambda text: text,
            lambda text: f"Title {index}\n{text}",
            lambda text: f"source: page_{index}.pdf\nauthor: naïve café\n\n{text}",
            lambda text: f"<doc id='{index}'>{text}</doc>",
            lambda text: "word " * 40 + text,
        ]
    )
