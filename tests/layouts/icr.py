"""In-context re-ranking the slow way: eager attention of all heads, one plain forward a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.icr import token_attention


def icr(model: Any, tokenizer: Any, query: str, texts: Sequence[str]) -> list[float]:
    """Scores as published, but for the mean over heads where the paper has the sum."""
    model.config._attn_implementation = "eager"
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
