"""Cross-encoders: the logit of one forward ranks, its attention trims."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import BertConfig

from attnmass import AttentionRanker, Ranking
from attnmass.scoring.order import fuse, softmax
from langchain_attn import AttentionRerank as LangChainRerank
from llama_index_attn import AttentionRerank as LlamaIndexRerank
from tests.capture.encoders import READ, Encoder
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import (
    SIZES,
    byte_level_tokenizer,
    cross_encoder_folder,
    tiny_encoder,
    wordpiece_tokenizer,
)

HEADS = ((0, 1), (1, 2), (1, 0))
QUERY = "Who invented relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river.",
    "Trains, books and music are made of words. Nobody knew where the milk had gone.",
    "It was warm all summer long.",
    "  ",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder as a folder."""
    return cross_encoder_folder(tmp_path_factory.mktemp("cross-encoder"))


@pytest.fixture(scope="module")
def cross_encoder(folder: Path) -> CrossEncoder:
    """The same, loaded by sentence-transformers."""
    return CrossEncoder(str(folder), device="cpu")


@pytest.fixture(scope="module")
def predicted(cross_encoder: CrossEncoder) -> list[float]:
    """What sentence-transformers says of the chunks with text."""
    pairs = [(QUERY, chunk) for chunk in CHUNKS if chunk.strip()]
    return [float(x) for x in cross_encoder.predict(pairs, activation_fn=torch.nn.Identity())]


def by_index(ranking: Ranking) -> list[Any]:
    """The chunks with text in input order."""
    return sorted((c for c in ranking.chunks if not c.skipped), key=lambda c: c.index)


def test_logits_are_those_of_predict(cross_encoder: CrossEncoder, predicted: list[float]) -> None:
    """One forward gives the logits of `CrossEncoder.predict`; scores are their sigmoids."""
    ranking = AttentionRanker(cross_encoder, heads=HEADS).rank(QUERY, CHUNKS)
    chunks = by_index(ranking)
    assert [chunk.logit for chunk in chunks] == pytest.approx(predicted, abs=1e-5)
    expected = [1 / (1 + math.exp(-logit)) for logit in predicted]
    assert ranking.scores == pytest.approx([*expected, 0.0], abs=1e-5)
    assert max(predicted) - min(predicted) > 0.01
    order = sorted(range(4), key=lambda i: -predicted[i])
    assert [chunk.index for chunk in ranking.chunks] == [*order, 4]
    assert all(isinstance(score, float) for score in ranking.scores)
    assert ranking.chunks[-1].logit is None


@pytest.mark.parametrize("family", READ, ids=lambda family: family.name)
def test_every_family_is_a_cross_encoder(family: Encoder, tmp_path: Path) -> None:
    """Of every family the logits are those of `predict`, from memory and by name."""
    config = copy.deepcopy(family.config)
    config.vocab_size = SIZES["vocab_size"]
    tokenizer = byte_level_tokenizer() if config.pad_token_id == 1 else wordpiece_tokenizer()
    tiny_encoder(config, n_labels=1).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = CrossEncoder(str(tmp_path), device="cpu")
    chunks = CHUNKS[:2]
    pairs = [(QUERY, chunk) for chunk in chunks]
    predicted = [float(x) for x in model.predict(pairs, activation_fn=torch.nn.Identity())]
    for ranker in (
        AttentionRanker(model, heads=HEADS),
        AttentionRanker.from_pretrained(tmp_path, heads=HEADS, dtype="float32"),
    ):
        logits = [chunk.logit for chunk in by_index(ranker.rank(QUERY, chunks))]
        assert logits == pytest.approx(predicted, abs=1e-5)


def test_mass_is_that_of_attention(cross_encoder: CrossEncoder) -> None:
    """Whatever ranks, the attention mass is there, and is the score of `rank_by="attention"`."""
    plain = AttentionRanker(cross_encoder, heads=HEADS, rank_by="attention").rank(QUERY, CHUNKS)
    assert all(chunk.logit is None for chunk in plain.chunks)
    assert [c.mass for c in by_index(plain)] == [c.score for c in by_index(plain)]
    for rank_by in ("logit", "both"):
        ranker = AttentionRanker(cross_encoder, heads=HEADS, rank_by=rank_by)
        ranking = ranker.rank(QUERY, CHUNKS)
        masses = [chunk.mass for chunk in by_index(ranking)]
        assert masses == pytest.approx(plain.scores[:4], abs=1e-6)
        assert ranking.evidence == pytest.approx(plain.evidence, abs=1e-6)


def test_both_weighs_z_scores_alike(cross_encoder: CrossEncoder, predicted: list[float]) -> None:
    """Ranked by both, the order is by the mean of two z-scores, of the logit and the log mass."""
    ranking = AttentionRanker(cross_encoder, heads=HEADS, rank_by="both").rank(QUERY, CHUNKS)
    chunks = by_index(ranking)
    expected = fuse([math.log(chunk.mass) for chunk in chunks], predicted, 0.5)
    assert [chunk.score for chunk in chunks] == pytest.approx(softmax(expected), abs=1e-4)
    order = sorted(range(4), key=lambda i: -expected[i])
    assert [chunk.index for chunk in ranking.chunks] == [*order, 4]
    assert [chunk.logit for chunk in chunks] == pytest.approx(predicted, abs=1e-5)


def test_logit_fuses_with_the_retrievers_score(
    cross_encoder: CrossEncoder, predicted: list[float]
) -> None:
    """`fuse` blends the logit, not its sigmoid, with the retriever's score."""
    given = [0.1, 0.5, 0.2, 0.9, 0.0]
    ranker = AttentionRanker(cross_encoder, heads=HEADS)
    ranking = ranker.rank(QUERY, CHUNKS, retrieval_scores=given, fuse=0.3)
    expected = fuse(predicted, given[:4], 0.3)
    assert [c.score for c in by_index(ranking)] == pytest.approx(softmax(expected), abs=1e-4)


def test_attention_trims(cross_encoder: CrossEncoder) -> None:
    """The spans that are kept are those that attention picks, whatever ranks the chunks."""
    text = " ".join(CHUNKS)
    kept = [
        AttentionRanker(cross_encoder, heads=HEADS, rank_by=rank_by)
        .trim(QUERY, [text], keep_ratio=0.4)
        .chunks[0]
        .text
        for rank_by in ("attention", "logit", "both")
    ]
    assert kept[0] == kept[1] == kept[2]
    assert 0 < len(kept[0]) < len(text)


def test_windows_count_by_the_best_one(cross_encoder: CrossEncoder) -> None:
    """A chunk read in windows has the logit of its best window."""
    ranker = AttentionRanker(cross_encoder, heads=HEADS)
    long = " ".join(CHUNKS * 3)
    found = ranker.rank(QUERY, [long]).chunks[0]
    (tokens,) = ranker._plain.content([long])
    (asked,) = ranker._plain.content([QUERY])
    size = 96 - 3 - len(asked)
    step = size - size // 2
    starts = [*range(0, len(tokens) - size, step), len(tokens) - size]
    pieces = [
        long[tokens.offsets[start][0] : tokens.offsets[start + size - 1][1]] for start in starts
    ]
    logits = [ranker.rank(QUERY, [piece]).chunks[0].logit for piece in pieces]
    assert found.n_windows == len(pieces)
    assert found.logit == pytest.approx(max(x for x in logits if x is not None), abs=1e-4)


def test_caller_is_as_before(cross_encoder: CrossEncoder, predicted: list[float]) -> None:
    """The cross-encoder predicts after ranking what it did before, with the same configuration."""
    model: Any = cross_encoder.model
    config = copy.deepcopy(model.config.to_dict())
    implementation = model.config._attn_implementation
    AttentionRanker(cross_encoder, heads=HEADS).rank(QUERY, CHUNKS)
    assert model.config.to_dict() == config
    assert model.config._attn_implementation == implementation
    pairs = [(QUERY, chunk) for chunk in CHUNKS if chunk.strip()]
    again = cross_encoder.predict(pairs, activation_fn=torch.nn.Identity())
    assert [float(x) for x in again] == predicted


def test_by_name(folder: Path, predicted: list[float]) -> None:
    """By name, too, the logit ranks; asked for attention, only the layers needed are loaded."""
    ranker = AttentionRanker.from_pretrained(folder, heads=HEADS, dtype="float32")
    logits = [chunk.logit for chunk in by_index(ranker.rank(QUERY, CHUNKS))]
    assert logits == pytest.approx(predicted, abs=1e-5)
    cut = AttentionRanker.from_pretrained(folder, heads=HEADS, dtype="float32", rank_by="attention")
    view: Any = cut._layout._reader._view  # type: ignore[attr-defined]
    assert len(view.encoder.layer) == 2
    assert cut.rank(QUERY, CHUNKS).scores[:4] == pytest.approx(
        [chunk.mass for chunk in by_index(ranker.rank(QUERY, CHUNKS))], abs=1e-6
    )


def test_defaults() -> None:
    """Attention ranks without a one-label head; logits of any other model are refused."""
    config = BertConfig(**SIZES, pad_token_id=0)
    tokenizer = wordpiece_tokenizer()
    plain = AttentionRanker(tiny_encoder(), tokenizer, heads=HEADS).rank(QUERY, CHUNKS)
    assert all(chunk.logit is None for chunk in plain.chunks)
    three = tiny_encoder(config, n_labels=3)
    ranking = AttentionRanker(three, tokenizer, heads=HEADS).rank(QUERY, CHUNKS)
    assert all(chunk.logit is None and chunk.score == chunk.mass for chunk in ranking.chunks)
    with pytest.raises(ValueError, match="for 3 labels: pass rank_by='attention'"):
        AttentionRanker(three, tokenizer, heads=HEADS, rank_by="logit")
    with pytest.raises(ValueError, match="no classification head"):
        AttentionRanker(tiny_encoder(), tokenizer, heads=HEADS, rank_by="both")
    with pytest.raises(ValueError, match="no classification head"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, rank_by="logit")
    with pytest.raises(ValueError, match="rank_by must be one of"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, rank_by="score")  # type: ignore[arg-type]


def test_tokenizer_comes_with_sentence_transformers_only(folder: Path) -> None:
    """A SentenceTransformer brings its tokenizer too; a bare model needs one, and is told so."""
    embedder = SentenceTransformer(str(folder), device="cpu")
    ranking = AttentionRanker(embedder, heads=HEADS).rank(QUERY, CHUNKS)
    assert all(chunk.logit is None for chunk in ranking.chunks)
    with pytest.raises(TypeError, match="pass its fast tokenizer"):
        AttentionRanker(tiny_encoder(), heads=HEADS)


@pytest.mark.parametrize("adapter", [LangChainRerank, LlamaIndexRerank])
def test_adapters_pass_it_on(adapter: Any, cross_encoder: CrossEncoder, folder: Path) -> None:
    """Both adapters take `rank_by` and `layout`, with a model at hand and by name."""
    at_hand = adapter.from_model(cross_encoder, heads=HEADS, rank_by="both", layout="pointwise")
    assert at_hand._load()._rank_by == "both"
    by_name = adapter(model=str(folder), heads=HEADS, rank_by="attention", layout="pointwise")
    assert by_name._load()._rank_by == "attention"
    with pytest.raises(ValueError, match="rank_by"):
        adapter(model=str(folder), rank_by="best")
    with pytest.raises(ValueError, match="layout"):
        adapter(model=str(folder), layout="best")
