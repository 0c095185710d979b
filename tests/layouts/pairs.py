"""Rankers over tiny encoder-decoders, and what they have to give, worked out by the models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attnmass import AttentionRanker
from tests.readings import grouped
from tests.tiny_seq2seq import EOS, PAD, attend_eagerly, seq2seq_tokenizer, tiny_bart, tiny_seq2seq

HEADS = ((0, 1), (1, 3), (1, 0))
QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
    "Trains, books and music.",
    "words",
    "A city lies on that river.",
    "Numbers are made of numbers, and the query is made of words; " * 3,
]
KINDS = ["t5", "bart"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind: str, **options: Any) -> AttentionRanker:
    """A ranker over a tiny model, which keeps nothing unless `options` say otherwise."""
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    given_options = {"heads": HEADS, "memory_bytes": 0, **options}
    return AttentionRanker(model, seq2seq_tokenizer(kind), **grouped(given_options))


def by_hand(
    kind: str, model: Any, plain: Any, query: str, chunks: list[str], *, all_rows: bool = False
) -> list[float]:
    """Masses of chunks by the model itself: states joined, specials left out.

    They are those of the query's last token, or the mean over all of its tokens.
    """
    attend_eagerly(model)
    lead, trail = ([], [EOS]) if kind == "t5" else ([1], [EOS])
    start = [PAD] if kind == "t5" else [EOS, 1]
    tokens = [list(found.ids) for found in plain.content(chunks)]
    asked = list(plain.content([query])[0].ids)
    with torch.inference_mode():
        states = [model.get_encoder()(torch.tensor([lead + ids + trail]))[0] for ids in tokens]
        output = model.get_decoder()(
            input_ids=torch.tensor([start + asked]),
            encoder_hidden_states=torch.cat(states, dim=1),
            output_attentions=True,
            use_cache=False,
        )
    n_rows = len(asked) if all_rows else 1
    rows = [output.cross_attentions[layer][0, head, -n_rows:] for layer, head in HEADS]
    mean = torch.stack(rows).mean(dim=(0, 1))
    masses, place = [], 0
    for ids in tokens:
        place += len(lead)
        masses.append(float(mean[place : place + len(ids)].sum()))
        place += len(ids) + len(trail)
    return masses


_RANKERS: dict[str, AttentionRanker] = {}


def shared(kind: str) -> AttentionRanker:
    """One ranker of a kind for tests that ask again and again."""
    return _RANKERS.setdefault(kind, build(kind))
