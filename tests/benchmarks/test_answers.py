"""A reader in int8, and what it is given to read."""

from __future__ import annotations

import torch
from torch import nn

from attnmass.trimming import TokenCounter
from benchmarks.answers import Sentences, table
from benchmarks.reader import Int8Linear

TEXTS = ("The first is here. The second is longer than that.", "A third one. And a fourth.")


class Cosines:
    """Says that sentences are the better the later they come."""

    def __call__(self, query: str, texts: list[str]) -> list[float]:
        """As `MiniLM` does."""
        return [float(place) for place in range(len(texts))]


def test_int8_is_near_what_it_stands_for() -> None:
    """Each token and each output has a scale of its own: large ones and zeros disturb no other."""
    torch.manual_seed(0)
    linear = nn.Linear(64, 32)
    with torch.no_grad():
        linear.weight[3] *= 100
    states = torch.randn(2, 5, 64)
    states[0, 1] *= 1000
    states[1, 2] = 0
    with torch.no_grad():
        expected, found = linear(states), Int8Linear(linear)(states)
    assert found.shape == expected.shape
    scale = states.norm(dim=-1, keepdim=True) * linear.weight.norm(dim=1)
    assert ((found - expected).abs() <= 0.02 * scale + 1e-6).all()


def test_sentences_fill_a_budget() -> None:
    """The best come first, what does not fit is passed over, and each text's are in their order."""
    count = TokenCounter(str.split)
    sentences = Sentences(TEXTS, "?", Cosines(), count)  # type: ignore[arg-type]
    assert sentences(100) == ["A third one. And a fourth.", TEXTS[0]]
    assert sentences(10) == ["A third one. And a fourth.", "The first is here."]
    assert sentences(7) == ["A third one. And a fourth."]
    assert sentences(2) == []


def test_sets_weigh_alike() -> None:
    """Whatever the number of their questions."""
    rows = [
        {
            "set": name,
            "query": number,
            "method": "nothing",
            "right": int(name == "nq"),
            "left": 0,
            "tokens": 100 if name == "nq" else 50,
            "choosing": 0.5,
            "reading": 1.0,
        }
        for name, count in (("nq", 3), ("musique", 1))
        for number in range(count)
    ]
    _, _, row, *rest = table({"model": "some", "rows": rows}).splitlines()
    assert row.startswith("| nothing | 0.500 (")
    assert "| 0.000 | 75 | 1.5 |" in row
    assert rest[-1] == "Questions: 1 of musique, 3 of nq."
