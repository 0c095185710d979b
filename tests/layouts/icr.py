"""In-context re-ranking the slow way: eager attention of all heads, one plain forward a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def token_attention(
    model: Any, tokenizer: Any, query: str, texts: Sequence[str]
) -> tuple[Tensor, list[tuple[int, int]]]:
    """Mean attention of the query's tokens, `[layer, head, token]`, and where the texts are."""

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    ids = encode("<|im_start|>user\nHere are some paragraphs:\n\n")
    spans = []
    for number, text in enumerate(texts, 1):
        ids += encode(f"[{number}] ")
        start = len(ids)
        ids += encode(text)
        spans.append((start, len(ids)))
        ids += encode("\n\n")
    ids += encode(
        "Please find information that are relevant to the following query in the paragraphs "
        "above.\n\nQuery: "
    )
    first = len(ids)
    ids += encode(query)
    last = len(ids)
    ids += encode("<|im_end|>\n<|im_start|>assistant\n")
    model.config._attn_implementation = "eager"
    with torch.inference_mode():
        found = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    return torch.stack([layer[0, :, first:last].mean(dim=1) for layer in found]), spans


def icr(model: Any, tokenizer: Any, query: str, texts: Sequence[str]) -> list[float]:
    """Scores as published, but for the mean over heads where the paper has the sum."""
    found, spans = token_attention(model, tokenizer, query, texts)
    null, _ = token_attention(model, tokenizer, "N/A", texts)
    end = spans[-1][1]  # what comes later is of another length
    gain = (found[..., :end] - null[..., :end]).flatten(0, 1).mean(dim=0)
    scores = []
    for start, end in spans:
        tokens = gain[start:end].tolist()
        mean = sum(tokens) / len(tokens)
        spread = (sum((token - mean) ** 2 for token in tokens) / len(tokens)) ** 0.5
        scores.append(sum(token for token in tokens if token >= mean - 2 * spread))
    return scores
