"""What is checked of every family: against eager attention, worked out the slow way here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnmass.capture import KeyValues, Reader

HEADS = ((0, 1), (0, 3), (1, 0), (1, 2))
PREFIX, QUERY = [3, 17, 40], [9, 77, 5, 31]
CHUNKS = [[11, 12, 13, 14, 15, 16, 17], [50, 51, 52], [90, 20, 33, 64, 71]]
LONGEST = max(map(len, CHUNKS))


def read_states(reader: Reader) -> tuple[KeyValues, list[KeyValues]]:
    """Prefix alone, then all chunks in one padded batch."""
    (prefix,) = reader.read([PREFIX])
    return prefix, reader.read(CHUNKS, len(PREFIX), (prefix,))


def look(
    reader: Reader, prefix: KeyValues, states: list[KeyValues], key_block: int | None = None
) -> Tensor:
    """Where the query looks, `[head, key]`."""
    positions = torch.arange(len(QUERY)) + len(PREFIX) + max(len(state) for state in states)
    rows = [torch.arange(len(QUERY))]
    return reader.look(
        torch.tensor(QUERY), positions, (prefix, *states), rows, key_block=key_block
    )[0]


def eager_attention(model: Any, ids: list[int]) -> Tensor:
    """Mean attention of the last `len(QUERY)` tokens in one plain causal forward, `[head, key]`."""
    model.config._attn_implementation = "eager"  # also families without a setter for it
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([ids]), output_attentions=True, use_cache=False)
    rows = [out.attentions[layer][0, head, -len(QUERY) :].float() for layer, head in HEADS]
    return torch.stack(rows).mean(dim=1)


def gap_to_eager(model: Any) -> float:
    """Largest difference between three passes over one chunk and the plain causal forward."""
    reader = Reader(model, HEADS)
    prefix, states = read_states(reader)
    found = look(reader, prefix, states[:1])
    return float((found - eager_attention(model, PREFIX + CHUNKS[0] + QUERY)).abs().max())


def gap_between_orders(model: Any) -> float:
    """Largest difference in any chunk's mass between two orders of the chunks."""
    reader = Reader(model, HEADS)
    prefix, states = read_states(reader)
    order = [2, 0, 1]
    there = look(reader, prefix, states)[:, len(PREFIX) :].split([*map(len, CHUNKS), len(QUERY)], 1)
    moved = [states[i] for i in order]
    sizes = [len(CHUNKS[i]) for i in order]
    back = look(reader, prefix, moved)[:, len(PREFIX) :].split([*sizes, len(QUERY)], 1)
    return max(float((there[i] - back[place]).abs().max()) for place, i in enumerate(order))


def gap_between_blocks(model: Any, key_block: int) -> float:
    """Largest difference between keys seen at once and in blocks."""
    reader = Reader(model, HEADS)
    prefix, states = read_states(reader)
    at_once, in_blocks = look(reader, prefix, states), look(reader, prefix, states, key_block)
    return float((at_once - in_blocks).abs().max())


def gap_to_one(model: Any) -> float:
    """How far the rows of the query are from summing to 1."""
    reader = Reader(model, HEADS)
    return float((look(reader, *read_states(reader)).sum(dim=1) - 1).abs().max())
