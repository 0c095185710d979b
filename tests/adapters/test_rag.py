"""Hugging Face RAG, on a small model built from configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BartConfig,
    BertConfig,
    DPRConfig,
    RagConfig,
    RagSequenceForGeneration,
    RagTokenForGeneration,
    RagTokenizer,
)

from attnmass import AttentionRanker, UnsupportedModelError
from attnmass.adapters.rag import RagSearch
from attnmass.options.cross import CrossOptions
from attnmass.options.declared import PointwiseReading
from tests.sizes import sizes
from tests.tiny_seq2seq import BART, seq2seq_tokenizer, tiny_bart

QUESTION = "Who invented the theory of relativity?"
DOCUMENTS = [
    "The river runs through the city.",
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "Trains, books and music.",
]
HEADS = ((0, 1), (1, 3))


class Index:
    """What `RagRetriever.retrieve` does, over three vectors."""

    def __init__(self) -> None:
        self.vectors = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)

    def retrieve(self, vectors: Any, n_docs: int) -> Any:
        """The best by inner product, as transformers returns them."""
        order = np.argsort(-(self.vectors @ vectors[0]))[:n_docs]
        found = {
            "text": [DOCUMENTS[i] for i in order],
            "title": ["" if i else "Rivers" for i in order],
        }
        return self.vectors[order][None], order[None], [found]


def rag(kind: Any = RagSequenceForGeneration) -> Any:
    """A seeded RAG model."""
    bert = BertConfig(**sizes(512, 1, 512))
    question_encoder = DPRConfig(**{**bert.to_dict(), "projection_dim": 0})
    generator = BartConfig(**BART, max_position_embeddings=256)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(RagConfig.from_question_encoder_generator_configs(question_encoder, generator))
    model.rag.generator.load_state_dict(tiny_bart().state_dict())
    return model.eval()


def tokenizer() -> RagTokenizer:
    """Both of its tokenizers."""
    return RagTokenizer(seq2seq_tokenizer("bart"), seq2seq_tokenizer("bart"))


@pytest.mark.parametrize("kind", [RagSequenceForGeneration, RagTokenForGeneration])
def test_generator_is_read(kind: Any) -> None:
    """A RAG model as the ranker's model scores as its generator alone."""
    found = AttentionRanker(rag(kind), tokenizer(), heads=HEADS).rank(QUESTION, DOCUMENTS)
    alone = AttentionRanker(tiny_bart(), seq2seq_tokenizer("bart"), heads=HEADS)
    assert found.scores == pytest.approx(alone.rank(QUESTION, DOCUMENTS).scores, abs=1e-6)
    assert 0 < sum(found.scores) < 1


def test_question_in_the_encoder_as_rag_formats_it() -> None:
    """RAG's generators are trained on `document // question`."""
    ranker = AttentionRanker(
        rag(),
        tokenizer(),
        heads=HEADS,
        reading=PointwiseReading(cross=CrossOptions(with_question=True)),
    )
    layout: Any = ranker._layout
    asked = ranker._plain.content([QUESTION])[0]
    ids = layout._frame(asked).around(ranker._plain.content(DOCUMENTS[:1])[0].ids)
    text = seq2seq_tokenizer("bart").decode(ids, skip_special_tokens=True)
    assert text == f"{DOCUMENTS[0]} // {QUESTION}"


def test_search() -> None:
    """The seed example: documents come from the index, their order from the generator."""
    model, index = rag(), Index()
    search = RagSearch(model, tokenizer(), index, heads=HEADS)
    result = search(QUESTION, n_docs=3)
    assert sorted(document.text for document in result.documents) == sorted(DOCUMENTS)
    assert {document.title for document in result.documents} == {None, "Rivers"}
    expected = search.ranker.rank(QUESTION, list(result.documents))
    assert result.ranking.scores == expected.scores
    ids = torch.tensor([tokenizer().question_encoder(QUESTION).input_ids])
    with torch.inference_mode():
        vector = model.question_encoder(ids)[0][0].numpy()
    by_hand = sorted(index.vectors @ vector, reverse=True)
    retrieved = {chunk.index: chunk.retrieval_score for chunk in result.ranking.chunks}
    assert [retrieved[i] for i in range(3)] == pytest.approx(by_hand, abs=1e-4)


def test_prior() -> None:
    """With a prior of 1 the question encoder's scores alone make the order, and shares stay."""
    search = RagSearch(rag(), tokenizer(), Index(), heads=HEADS)
    found = search(QUESTION, n_docs=3, prior=1.0).ranking
    assert [chunk.index for chunk in found.chunks] == [0, 1, 2]
    plain = search(QUESTION, n_docs=3).ranking
    assert {c.index: c.share for c in found.chunks} == {c.index: c.share for c in plain.chunks}


def test_model_is_not_changed() -> None:
    """The model's modules, modes and the tokenizer's turn stay as they were."""
    model, turns = rag().train(), tokenizer()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    RagSearch(model, turns, Index(), heads=HEADS)(QUESTION)
    assert model.training
    assert turns.current_tokenizer is turns.question_encoder
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_not_by_name(tmp_path: Path) -> None:
    """A RAG model's folder is refused, with what to pass instead."""
    rag().save_pretrained(tmp_path)
    seq2seq_tokenizer("bart").save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="RAG models are not loaded by name"):
        AttentionRanker.from_pretrained(tmp_path, heads=HEADS)


def test_bad_arguments() -> None:
    """What is no RAG model, no retriever, no question or no number of documents is an error."""
    with pytest.raises(UnsupportedModelError, match="RagSequenceForGeneration"):
        RagSearch(tiny_bart(), tokenizer(), Index(), heads=HEADS)
    with pytest.raises(TypeError, match="RagRetriever"):
        RagSearch(rag(), tokenizer(), None, heads=HEADS)
    search = RagSearch(rag(), tokenizer(), Index(), heads=HEADS)
    with pytest.raises(ValueError, match="blank"):
        search(" ")
    with pytest.raises(ValueError, match="n_docs must be at least 1, not 0"):
        search(QUESTION, n_docs=0)
