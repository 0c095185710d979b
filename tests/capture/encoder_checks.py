"""What is checked of every encoder family: against eager attention, worked out the slow way."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from attnmass.capture import EncoderReader, Passage

HEADS = ((1, 3), (0, 1), (1, 0), (0, 2))
QUERY = [9, 77, 5]
CHUNKS = [[11, 12, 13, 14, 15, 16, 17, 18, 19], [50, 51], [90, 20, 33, 64, 71]]
CONTROL = (3, 4, 2)  # before the query, between, after the chunk


def passages(model: Any) -> list[Passage]:
    """The query with each chunk, every second one watched as well."""
    found = []
    for chunk in CHUNKS:
        ids = (CONTROL[0], *QUERY, CONTROL[1], *chunk, CONTROL[2])
        types = (0,) * (len(QUERY) + 2) + (1,) * (len(chunk) + 1)
        query = tuple(range(1, len(QUERY) + 1))
        rows = (query, (len(QUERY) + 2, len(QUERY) + 3))
        found.append(Passage(ids, types, rows, query))
    return found


def eager_attention(model: Any, passage: Passage) -> Tensor:
    """Attention of the heads in a plain pass of a copy over one passage, `[head, token, token]`."""
    model = copy.deepcopy(model)
    model.set_attn_implementation("eager")
    inputs = {"input_ids": torch.tensor([passage.ids])}
    if (getattr(model.config, "type_vocab_size", 0) or 0) > 1 and takes_types(model):
        inputs["token_type_ids"] = torch.tensor([passage.types])
    with torch.inference_mode():
        out = model(**inputs, output_attentions=True)
    return torch.stack([out.attentions[layer][0, head].float() for layer, head in HEADS])


def takes_types(model: Any) -> bool:
    """Whether a model has token types."""
    return any(name.endswith("token_type_embeddings") for name, _ in model.named_modules())


def gaps_to_eager(model: Any) -> float:
    """Largest difference of a padded batch of three passages to plain passes over each."""
    reader = EncoderReader(model, HEADS)
    worst = 0.0
    batch = passages(model)
    for passage, seen in zip(batch, reader.look(batch), strict=True):
        attention = eager_attention(model, passage)
        groups = torch.stack([attention[:, list(group)].mean(dim=1) for group in passage.groups])
        watched = attention[:, :, list(passage.watched)].sum(dim=-1)
        assert seen.groups.shape == groups.shape
        assert seen.to_watched.shape == watched.shape
        worst = max(worst, float((seen.groups - groups).abs().max()))
        worst = max(worst, float((seen.to_watched - watched).abs().max()))
    return worst
