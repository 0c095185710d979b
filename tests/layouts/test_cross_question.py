"""Encoder-decoders that read the question in the encoder, before each chunk."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attnmass.options.cross import CrossOptions
from tests.layouts.pairs import CHUNKS, HEADS, QUERY, build, each_kind
from tests.tiny_seq2seq import EOS, PAD, attend_eagerly, seq2seq_tokenizer, tiny_bart, tiny_seq2seq


@each_kind
def test_start_row(kind: str) -> None:
    """With the question in the encoder the decoder reads its start token alone, by default."""
    ranker = build(kind, cross=CrossOptions(with_question=True))
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    attend_eagerly(model)
    lead, start = ([], [PAD]) if kind == "t5" else ([1], [EOS, 1])
    around = [list(ranker._plain.template(text)) for text in ("question: ", " context: ")]
    asked = list(ranker._plain.content([QUERY])[0].ids)
    before = [*lead, *around[0], *asked, *around[1]]
    tokens = [list(found.ids) for found in ranker._plain.content(CHUNKS[:3])]
    with torch.inference_mode():
        states = [model.get_encoder()(torch.tensor([[*before, *ids, EOS]]))[0] for ids in tokens]
        layers = model.get_decoder()(
            input_ids=torch.tensor([start]),
            encoder_hidden_states=torch.cat(states, dim=1),
            output_attentions=True,
            use_cache=False,
        ).cross_attentions
    mean = torch.stack([layers[layer][0, head, -1] for layer, head in HEADS]).mean(dim=0)
    expected, place = [], 0
    for ids in tokens:
        place += len(before)
        expected.append(float(mean[place : place + len(ids)].sum()))
        place += len(ids) + 1
    assert ranker.rank(QUERY, CHUNKS[:3]).scores == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="leave out query_words"):
        ranker.rank(QUERY, CHUNKS[:3], query_words=True)


@each_kind
def test_with_question(kind: str) -> None:
    """With the question in the encoder it reads `question: ... context: ...`, in plain tokens."""
    ranker = build(kind, cross=CrossOptions(with_question=True, rows="query"))
    seen: list[Any] = []
    layout: Any = ranker._layout
    read = layout._read_batch
    layout._read_batch = lambda rows: (seen.extend(rows), read(rows))[1]
    ranking = ranker.rank(QUERY, CHUNKS[:1])
    tokenizer = seq2seq_tokenizer(kind)
    text = tokenizer.decode(seen[0], skip_special_tokens=True)
    assert text == f"question: {QUERY} context: {CHUNKS[0]}"
    assert seen[0][-1] == EOS
    alone = build(kind, cross=CrossOptions(rows="query")).rank(QUERY, CHUNKS[:1])
    assert 0 < ranking.scores[0] < alone.scores[0]


def test_with_question_queries_do_not_mix() -> None:
    """Several queries, each with its own states, score as each of them alone."""
    ranker = build("t5", cross=CrossOptions(with_question=True), memory_bytes=None)
    queries = [QUERY, "numbers?"]
    together = ranker.rank_batch(queries, CHUNKS)
    for query, ranking in zip(queries, together, strict=True):
        alone = build("t5", cross=CrossOptions(with_question=True)).rank(query, CHUNKS)
        assert ranking.scores == pytest.approx(alone.scores, abs=1e-5)


def test_with_question_cannot_be_warmed() -> None:
    """What is read with the question cannot be read before there is one."""
    ranker = build("t5", cross=CrossOptions(with_question=True), memory_bytes=None)
    with pytest.raises(ValueError, match="with_question=False"):
        ranker.warm(CHUNKS)


def test_question_too_long_for_the_encoder() -> None:
    """A query that leaves the encoder no room for a chunk is an error that says so."""
    ranker = build("bart", cross=CrossOptions(with_question=True))
    query = "why" + "?" * 220
    assert 210 < len(ranker._plain.content([query])[0]) < 250
    with pytest.raises(ValueError, match="encoder has room for"):
        ranker.rank(query, [CHUNKS[5]])
