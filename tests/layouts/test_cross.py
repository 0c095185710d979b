"""The pointwise layout of encoder-decoders, through the ranker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass import AttentionRanker
from attnmass.layouts import CrossLayout
from attnmass.options.cross import CrossOptions
from attnmass.options.declared import PointwiseReading
from tests.layouts.pairs import CHUNKS, HEADS, KINDS, QUERY, build, by_hand, each_kind, shared
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_seq2seq import EOS, attend_eagerly, seq2seq_tokenizer, tiny_bart, tiny_seq2seq


@each_kind
def test_equals_the_model_over_joined_states(kind: str) -> None:
    """Scores are the cross-attention that the model itself pays to the chunks' tokens."""
    ranker = build(kind)
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    expected = by_hand(kind, model, ranker._plain, QUERY, CHUNKS)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert 0.1 < sum(expected) < 1  # the rest is on special tokens


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(KINDS), st.permutations(range(len(CHUNKS))))
def test_permuting_chunks_permutes_scores(kind: str, order: list[int]) -> None:
    """The order in which chunks come in plays no part in their scores."""
    ranker = shared(kind)
    expected = ranker.rank(QUERY, CHUNKS).scores
    found = ranker.rank(QUERY, [CHUNKS[i] for i in order]).scores
    assert found == pytest.approx([expected[i] for i in order], abs=1e-5)


@each_kind
@pytest.mark.parametrize("options", [{"max_batch_tokens": 1}, {"batch_size": 2}])
def test_batches_do_not_change_scores(kind: str, options: dict[str, int]) -> None:
    """However chunks and queries are batched, scores are the same."""
    queries = [QUERY, "numbers?"]
    found = build(kind, **options).rank_batch(queries, CHUNKS)
    for query, ranking in zip(queries, found, strict=True):
        assert ranking.scores == pytest.approx(shared(kind).rank(query, CHUNKS).scores, abs=1e-5)


def test_scores_before_the_softmax() -> None:
    """With `scores`, chunks share a mass of 1 by their mean score, worked out by hand."""
    ranker = build("bart", cross=CrossOptions(aggregation="scores", rows="query"))
    found = ranker.rank(QUERY, CHUNKS[:3])
    model = tiny_bart()
    attend_eagerly(model)
    tokens = [list(t.ids) for t in ranker._plain.content(CHUNKS[:3])]
    asked = list(ranker._plain.content([QUERY])[0].ids)
    with torch.inference_mode():
        states = [model.get_encoder()(torch.tensor([[1, *ids, EOS]]))[0] for ids in tokens]
        layers = (
            model.get_decoder()(
                input_ids=torch.tensor([[EOS, 1, *asked]]),
                encoder_hidden_states=torch.cat(states, dim=1),
                output_attentions=True,
                use_cache=False,
            )
        ).cross_attentions
    logs = torch.stack([layers[layer][0, head, -len(asked) :].log() for layer, head in HEADS])
    means, place = [], 1
    for ids in tokens:
        means.append(logs[:, :, place : place + len(ids)].mean())
        place += len(ids) + 2
    assert found.scores == pytest.approx(torch.stack(means).softmax(0).tolist(), abs=1e-4)
    assert sum(found.scores) == pytest.approx(1, abs=1e-5)


@each_kind
def test_all_rows(kind: str) -> None:
    """With `rows="query"`, scores are the mean over the query's tokens; the default is the last."""
    found = build(kind, cross=CrossOptions(rows="query")).rank(QUERY, CHUNKS)
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    expected = by_hand(kind, model, shared(kind)._plain, QUERY, CHUNKS, all_rows=True)
    assert found.scores == pytest.approx(expected, abs=1e-5)
    last = build(kind, cross=CrossOptions(rows="last")).rank(QUERY, CHUNKS).scores
    assert last == shared(kind).rank(QUERY, CHUNKS).scores
    assert found.scores != pytest.approx(last, abs=1e-3)


@each_kind
def test_text_cannot_pose_as_control_tokens(kind: str) -> None:
    """A chunk that spells the end token adds no end token."""
    ranker = build(kind)
    seen: list[Any] = []
    layout: Any = ranker._layout
    read = layout._read_batch
    layout._read_batch = lambda rows: (seen.extend(rows), read(rows))[1]
    ranker.rank(QUERY, ["words <|im_end|> and <|im_start|> numbers"])
    assert list(seen[0]).count(EOS) == 1
    assert list(seen[0]).count(1) == (kind == "bart")


@each_kind
def test_trimming_with_context(kind: str) -> None:
    """Trimming works, attention inside the encoder included, also in windows."""
    text = " ".join([CHUNKS[0], CHUNKS[1], "He did it.", CHUNKS[2]])
    for options in ({}, {"max_chunk_tokens": 20}):
        ranking = build(kind, **options).trim(QUERY, [text], keep_ratio=0.5, resolve_context=True)
        spans = ranking.chunks[0].kept_spans
        assert 0 < len(spans) < 4


@each_kind
def test_within_equals_the_encoder(kind: str) -> None:
    """Attention inside a chunk is the encoder's own, special tokens left out."""
    ranker = build(kind)
    tokens = ranker._plain.content([CHUNKS[0]])
    found = ranker._layout.within(tokens, [[[0, 1], [4]]], ranker._options)[0]
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    attend_eagerly(model)
    lead = [] if kind == "t5" else [1]
    ids = torch.tensor([[*lead, *tokens[0].ids, EOS]])
    with torch.inference_mode():
        layers = model.get_encoder()(ids, output_attentions=True).attentions
    shift = len(lead)
    for place, (layer, head) in enumerate(HEADS):
        own = layers[layer][0, head, shift:-1, shift:-1]
        assert torch.allclose(found[0, place], own[:2].mean(dim=0), atol=1e-5)
        assert torch.allclose(found[1, place], own[4], atol=1e-5)


@each_kind
def test_loaded_by_name(kind: str, tmp_path: Path) -> None:
    """A folder gives the same scores, and decoder layers above the last head are not loaded."""
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    model.save_pretrained(tmp_path)
    seq2seq_tokenizer(kind).save_pretrained(tmp_path)
    expected = build(kind).rank(QUERY, CHUNKS).scores
    options = {"device": "cpu", "dtype": "float32"}
    whole = AttentionRanker.from_pretrained(tmp_path, heads=HEADS, **options)
    assert whole.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    cut = AttentionRanker.from_pretrained(tmp_path, heads=[(0, 1)], **options)
    reader: Any = cut._layout._reader
    assert len(list(reader._view.decoder.children())[-3 if kind == "t5" else -2]) == 1
    assert cut.rank(QUERY, CHUNKS).scores == pytest.approx(
        build(kind, heads=[(0, 1)]).rank(QUERY, CHUNKS).scores, abs=1e-5
    )


def test_options_contradict() -> None:
    """Options that exclude each other, or are none, are errors that say what to pass."""
    with pytest.raises(ValueError, match="pass one of them"):
        CrossOptions(value_norm=True, aggregation="scores")
    with pytest.raises(ValueError, match="aggregation must be one of"):
        CrossOptions(aggregation="logits")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rows must be one of"):
        CrossOptions(rows="first")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="with_question=True, or rows='last'"):
        CrossOptions(rows="start")
    with pytest.raises(TypeError, match="with_question must be a bool"):
        CrossOptions(with_question=1)  # type: ignore[arg-type]


def test_options_are_for_encoder_decoders() -> None:
    """A decoder does not take options of cross-attention."""
    with pytest.raises(ValueError, match="layout 'pointwise' is not for a decoder"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, reading=PointwiseReading())


def test_layout_is_chosen_by_the_model() -> None:
    """An encoder-decoder is read in its own layout, and asking for a decoder's is an error."""
    assert build("t5").profile.layout == CrossLayout.name == "pointwise"
    with pytest.raises(ValueError, match="'parallel' is not for an encoder-decoder"):
        build("t5", layout="parallel")
