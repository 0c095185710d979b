"""What is checked of every encoder-decoder: against eager attention, worked out the slow way."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor

from attnmass.capture import CrossReader

HEADS = ((0, 1), (1, 3), (0, 3), (1, 0))
CHUNKS = [[11, 12, 13, 14, 15, 16, 17, 18, 19], [50, 51, 52], [90, 20, 33, 64, 71]]
QUERIES = [[9, 77, 5, 31], [8, 60]]


def look(reader: CrossReader, order: list[int], **options: Any) -> Tensor:
    """Where both queries look over chunks in this order, `[query, head, key]`."""
    states = reader.read([CHUNKS[i] for i in order])
    rows = [[reader.start_token, *query] for query in QUERIES]
    return reader.look(rows, [len(query) for query in QUERIES], states, **options).weights


def eager(model: Any, query: list[int], heads: Any = HEADS) -> Tensor:
    """The model's own cross-attention over the joined states, `[head, query token, key]`."""
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        # A copy for each: BigBird-Pegasus's encoder is another one after a short text.
        states = [copy.deepcopy(model.get_encoder())(torch.tensor([c]))[0] for c in CHUNKS]
        output = model.get_decoder()(
            input_ids=torch.tensor([[model.config.decoder_start_token_id, *query]]),
            encoder_hidden_states=torch.cat(states, dim=1),
            output_attentions=True,
            use_cache=False,
        )
    if not output.cross_attentions and Version(transformers.__version__) < Version("5.23"):
        pytest.skip("some versions of transformers before 5.23 return no attention of T5")
    rows = [output.cross_attentions[layer][0, head, 1:].float() for layer, head in heads]
    return torch.stack(rows)


def gap_to_eager(model: Any, **options: Any) -> float:
    """Largest difference of two queries in one batch from each alone in the model itself."""
    found = look(CrossReader(model, HEADS), [0, 1, 2], **options)
    gaps = [
        (mine - eager(model, query).mean(dim=1)).abs().max()
        for mine, query in zip(found, QUERIES, strict=True)
    ]
    return float(torch.stack(gaps).max())


def gap_between_orders(model: Any) -> float:
    """Largest difference in any token's attention between two orders of the chunks."""
    reader, order = CrossReader(model, HEADS), [2, 0, 1]
    there = look(reader, [0, 1, 2]).split([len(chunk) for chunk in CHUNKS], dim=2)
    back = look(reader, order).split([len(CHUNKS[i]) for i in order], dim=2)
    return max(float((there[i] - back[place]).abs().max()) for place, i in enumerate(order))


def gap_to_alone(model: Any) -> float:
    """Largest difference in what a chunk leaves when it is read with others, or before them."""
    reader = CrossReader(model, HEADS)
    together = reader.read(CHUNKS)
    gaps = []
    for chunk, mine in zip(CHUNKS, together, strict=True):
        (alone,) = CrossReader(model, HEADS).read([chunk])
        (again,) = reader.read([chunk])
        for other in (alone, again):
            pairs = zip((*mine.keys, *mine.values), (*other.keys, *other.values), strict=True)
            gaps += [float((one - two).abs().max()) for one, two in pairs]
    return max(gaps)


def gap_inside(model: Any) -> float:
    """Largest difference of attention inside the encoder from the model's own, band undone."""
    reader = CrossReader(model, HEADS)
    groups = [[[0, 1], [4]], [[2]], [[1, 3]]]
    found = reader.look_inside(CHUNKS, groups)
    model.set_attn_implementation("eager")
    gaps = []
    for chunk, mine, seen in zip(CHUNKS, groups, found, strict=True):
        with torch.inference_mode():
            output = model.get_encoder()(torch.tensor([chunk]), output_attentions=True)
        for number, group in enumerate(mine):
            for place, (layer, head) in enumerate(_encoder_heads(model)):
                own = output.attentions[layer][0, head]
                for key in range(len(chunk)):
                    want = sum(_weight(own, row, key, len(chunk)) for row in group) / len(group)
                    gaps.append(abs(float(seen[number, place, key]) - want))
    return max(gaps)


def _encoder_heads(model: Any) -> list[tuple[int, int]]:
    """The encoder's layer at the same share of the depth, the head of the same number."""
    config = model.config
    n_decoder = getattr(config, "num_decoder_layers", None) or config.decoder_layers
    return [(layer * 2 // n_decoder, head) for layer, head in HEADS]


def _weight(own: Tensor, row: int, key: int, n_tokens: int) -> float:
    """One number of `[token, key]`, or of LED's `[token, distance]`."""
    if own.shape == (n_tokens, n_tokens):
        return float(own[row, key])
    column = key - row + (own.shape[1] - 1) // 2
    return float(own[row, column]) if 0 <= column < own.shape[1] else 0.0
