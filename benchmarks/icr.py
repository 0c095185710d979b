"""The forward pass of in-context re-ranking, the slow way: all attention of all heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def token_attention(
    model: Any, tokenizer: Any, query: str, texts: Sequence[str]
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """The query's mean attention on the texts in one context, by a plain forward pass.

    Args:
        model: A model whose attention is eager; for a causal one, the decoder is enough.
        tokenizer: Its tokenizer.
        query: The query.
        texts: The texts.

    Returns:
        Attention by layer and head, `[layer, head, token]`, and `[start, end)` of each text.
    """

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
    with torch.inference_mode():
        found = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    return torch.stack([layer[0, :, first:last].float().mean(dim=1) for layer in found]), spans
