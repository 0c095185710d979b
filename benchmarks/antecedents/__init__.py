"""Labelled sentences that lean on earlier ones; see the README next to this."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attnmass import AttentionRanker
from attnmass.layouts import LayoutOptions

FILE = Path(__file__).parent / "antecedents.jsonl"


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence and what it leans on.

    Attributes:
        article: Where the text is from.
        text: A passage.
        sentences: `[start, end)` of its sentences.
        sentence: Number of the sentence that leans on an earlier one.
        antecedents: Numbers of the earlier sentences that say what it is about; any one of them
            will do.
    """

    article: str
    text: str
    sentences: tuple[tuple[int, int], ...]
    sentence: int
    antecedents: tuple[int, ...]


def fit_items() -> list[Item]:
    """Items of every second article, in alphabetical order: these may choose heads."""
    return _half(0)


def test_items() -> list[Item]:
    """Items of the other articles."""
    return _half(1)


def picks_of_heads(ranker: AttentionRanker, items: Sequence[Item]) -> npt.NDArray[np.bool_]:
    """Whether each head the ranker reads picks a right sentence, `[item, head]`.

    It picks the earlier sentence that gets most of the attention of the dependent one.
    """
    tokens = ranker._plain.content([item.text for item in items])
    groups = [
        [
            [n for n, (s, e) in enumerate(each.offsets) if s < end and e > start]
            for start, end in item.sentences[: item.sentence + 1]
        ]
        for item, each in zip(items, tokens, strict=True)
    ]
    options = LayoutOptions()
    looked = ranker._layout.within(tokens, [[mine[-1]] for mine in groups], options)
    found = []
    for item, attention, mine in zip(items, looked, groups, strict=True):
        masses = np.stack([attention[0][:, group].sum(dim=1).numpy() for group in mine[:-1]])
        found.append(np.isin(masses.argmax(axis=0), item.antecedents))
    return np.stack(found)


def _half(rest: int) -> list[Item]:
    with FILE.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    articles = sorted({row["article"] for row in rows})
    mine = set(articles[rest::2])
    return [
        Item(
            row["article"],
            row["text"],
            tuple((start, end) for start, end in row["sentences"]),
            row["sentence"],
            tuple(row["antecedents"]),
        )
        for row in rows
        if row["article"] in mine
    ]
