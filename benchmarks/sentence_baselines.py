"""What trimming is compared with: scorers of sentences, all with one signature."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from llama_index.core.postprocessor.optimizer import SentenceEmbeddingOptimizer
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from transformers import AutoConfig, AutoModel, AutoTokenizer

from attnmass import AttentionRanker
from attnmass.loading.sources import locate
from attnmass.profiles import SpanRule
from benchmarks.baselines import MiniLM, bm25, minilm_path
from benchmarks.spans import AttentionSpans, Spans


class SentenceScorer(Protocol):
    """Scores sentences for a query."""

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """A score for each span of each text, comparable over all of them.

        Args:
            query: The question.
            texts: The candidates.
            spans: For each text, its sentences, `[start, end)` in characters.
        """


class BM25Sentences:
    """BM25 over sentences, with document frequencies of all candidates' sentences."""

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """See `SentenceScorer`."""
        return _nest(bm25(query, _flat(texts, spans)), spans)


class MiniLMSentences:
    """Cosine of all-MiniLM-L6-v2's embeddings of query and sentence."""

    def __init__(self) -> None:
        self._minilm = MiniLM()

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """See `SentenceScorer`."""
        return _nest(self._minilm(query, _flat(texts, spans)), spans)


class LlamaIndexOptimizer:
    """LlamaIndex's `SentenceEmbeddingOptimizer` with all-MiniLM-L6-v2, by percentile.

    The class cuts every node on its own to `int(n * percentile_cutoff)` of its n sentences, the
    most similar ones; sentences of two nodes never compete. A sentence's score is therefore how
    small the percentile may be at which it is still kept, the same in every node: `1 - rank / n`.
    The ranks are the class's own: it is run once, with our sentences passed in through
    `tokenizer_fn`, with `percentile_cutoff=1` and no neighbours, and returns all sentences of a
    node in order of similarity, from which the ranks are read.

    Where `int(n * percentile_cutoff)` is 0, the class keeps the whole node. For a node of one
    sentence, that is so at every percentile below 1, so it scores 1; for longer nodes, it would
    make the tightest cutoffs keep the most, and is left out. So are, in the class's favour, its
    default of one neighbour on either side, and the copies of a sentence that two neighbours bring
    along. (The other mode, `threshold_cutoff`, is the plain cosine, and fails where a node has no
    sentence above it.)
    """

    def __init__(self) -> None:
        self._embedding = HuggingFaceEmbedding(str(minilm_path()), device="cpu")

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """See `SentenceScorer`."""
        sentences = [_slices(text, each) for text, each in zip(texts, spans, strict=True)]
        filled = [index for index, each in enumerate(sentences) if each]  # it fails on empty ones
        queue = iter([sentences[index] for index in filled])
        optimizer = SentenceEmbeddingOptimizer(
            embed_model=self._embedding,
            percentile_cutoff=1.0,
            tokenizer_fn=lambda _: next(queue),  # it asks once per node, in order
            context_before=0,
            context_after=0,
        )
        nodes = [NodeWithScore(node=TextNode(text=texts[index])) for index in filled]
        optimizer.postprocess_nodes(nodes, QueryBundle(query))
        scores: list[list[float]] = [[] for _ in texts]
        for index, found in zip(filled, nodes, strict=True):
            count = len(sentences[index])
            order = _order(found.node.get_content(), sentences[index], range(count))
            if order is None:
                raise RuntimeError(f"not an order of its sentences: {found.node.get_content()!r}")
            ranks = {sentence: rank for rank, sentence in enumerate(order, start=1)}
            scores[index] = (
                [1.0] if count == 1 else [1 - ranks[sentence] / count for sentence in range(count)]
            )
        return scores


class RagCompressAttention:
    """`AttentionScorer` of the PyPI package ragcompress, with the default model.

    The class itself runs, on all sentences of all candidates as its `Compressor` would pass them,
    and with a model loaded as it loads one from a name: `AutoModel`, eager attention. (A name
    cannot say which file in a folder is the GGUF.) In its own pipeline, the title line would be
    part of a chunk's first sentence; our sentences do not have it.

    It reads only the last layer, and puts nothing before the first sentence, so with a model whose
    tokenizer adds no first token, that sentence has the attention sink and scores 1 whatever it
    says. Transformers keeps all layers' attention for it: memory grows with the square of the
    number of tokens, about 1 GB in float32 for 1,000. Beyond 4,096 tokens, it cuts the query off
    and scores everything 0.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        if importlib.util.find_spec("ragcompress") is None:
            raise SystemExit("pip install --no-deps ragcompress==0.1.0")
        self._types: Any = importlib.import_module("ragcompress.types")
        scoring: Any = importlib.import_module("ragcompress.scoring.attention")
        name, gguf = _default_model()
        model = AutoModel.from_pretrained(name, dtype=dtype, attn_implementation="eager", **gguf)
        self._scorer = scoring.AttentionScorer(model, AutoTokenizer.from_pretrained(name, **gguf))

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """See `SentenceScorer`."""
        sentences = [
            self._types.ScoredSentence(
                text=sentence,
                score=0.0,
                source_chunk_id=str(chunk),
                source_doc_id=str(chunk),
                sentence_index_in_chunk=number,
            )
            for chunk, (text, each) in enumerate(zip(texts, spans, strict=True))
            for number, sentence in enumerate(_slices(text, each))
        ]
        scored = self._scorer.score(query, sentences, context=sentences)
        return _nest([float(sentence.score) for sentence in scored], spans)


class AllHeads:
    """Attention in our parallel layout, of all heads of all layers.

    Mass over the square root of the length, without the chunk's: of the ways that were tried, the
    best one for them. The profile's own would be far worse.
    """

    def __init__(self, dtype: str = "auto") -> None:
        name, gguf = _default_model()
        config: Any = AutoConfig.from_pretrained(name, **gguf)
        heads = [
            (layer, head)
            for layer in range(config.num_hidden_layers)
            for head in range(config.num_attention_heads)
        ]
        ranker = AttentionRanker.from_pretrained("smollm2-135m", heads=heads, dtype=dtype)
        rule = SpanRule(tuple(heads), (1 / len(heads),) * len(heads), 0.5, 0.0)
        self._scorer = AttentionSpans(ranker, rule)

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """See `SentenceScorer`."""
        return self._scorer(query, texts, spans)


def _default_model() -> tuple[str, dict[str, Any]]:
    """What `from_pretrained` takes for the default model."""
    source = locate("smollm2-135m", local_files_only=True)
    return source.name, {} if source.gguf is None else {"gguf_file": source.gguf}


def _slices(text: str, spans: Iterable[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


def _flat(texts: Sequence[str], spans: Spans) -> list[str]:
    """All sentences, text after text."""
    return [
        sentence
        for text, each in zip(texts, spans, strict=True)
        for sentence in _slices(text, each)
    ]


def _nest(scores: Sequence[float], spans: Spans) -> list[list[float]]:
    """Scores of all sentences, text after text, regrouped by text."""
    left = iter(scores)
    return [[next(left) for _ in each] for each in spans]


def _order(text: str, sentences: Sequence[str], left: Iterable[int]) -> list[int] | None:
    """The order in which the sentences that are left make up a text, with spaces between them."""
    rest = list(left)
    if not rest:
        return [] if not text else None
    for index in rest:
        head = sentences[index] + (" " if len(rest) > 1 else "")
        if text.startswith(head):
            tail = _order(text[len(head) :], sentences, [i for i in rest if i != index])
            if tail is not None:
                return [index, *tail]
    return None
