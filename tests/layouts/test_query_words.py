"""Which token of the query looked where: the same promises in every layout, and the slow way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attnmass import AttentionRanker, CrossOptions, HeadProfile, Ranking, Trim
from tests.conftest import HEADS
from tests.layouts import test_cross, test_joint, test_pointwise
from tests.layouts.pairs import CHUNKS, QUERY
from tests.readings import grouped
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import cross_encoder_folder
from tests.tiny_seq2seq import attend_eagerly, tiny_bart, tiny_seq2seq

LONG = [*CHUNKS, " ".join(CHUNKS) * 2]


def joint(**options: Any) -> AttentionRanker:
    """A ranker without a null query."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="joint")
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, **grouped(options))


def late(**options: Any) -> AttentionRanker:
    """A ranker that reads chunks and query apart."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout="late", **options)


def parallel(**options: Any) -> AttentionRanker:
    """A ranker in a decoder's other layout."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, **options)


CASES: dict[str, Any] = {
    "late": late,
    "parallel": parallel,
    "joint": joint,
    "joint, both orders": lambda: joint(second_pass=True),
    "joint, null query": test_joint.build,
    "pairs, one way": lambda: test_pointwise.build(direction="query_to_chunk"),
    "pairs, other way": lambda: test_pointwise.build(direction="chunk_to_query"),
    "pairs, both ways": lambda: test_pointwise.build("byte level", direction="both"),
    "T5": lambda: test_cross.build("t5", cross=CrossOptions(rows="query")),
    "BART": lambda: test_cross.build("bart", cross=CrossOptions(rows="query")),
}
# Where the whole is no mean of the rows: merged contexts, and other ways to read.
ODD: dict[str, Any] = {
    "joint, contexts": lambda: joint(max_context_tokens=200),
    "T5, last": lambda: test_cross.build("t5", cross=CrossOptions(rows="last")),
    "T5, norms": lambda: test_cross.build("t5", cross=CrossOptions(rows="query", value_norm=True)),
    "BART, scores": lambda: test_cross.build(
        "bart", cross=CrossOptions(rows="query", aggregation="scores")
    ),
}


def rows(ranking: Ranking) -> dict[int, Any]:
    """What each token of the query pays each chunk's tokens."""
    assert ranking.trace is not None
    found = {index: mine.rows for index, mine in ranking.trace.scored.items()}
    assert all(mine is not None for mine in found.values())
    return found


@pytest.mark.parametrize("case", [*CASES, *ODD])
def test_scores_stay(case: str) -> None:
    """Keeping where each token looked changes no score, no evidence and no span."""
    ranker = {**CASES, **ODD}[case]()
    trim = Trim(keep_ratio=0.5)
    plain, told = (
        ranker.rank(QUERY, LONG, trim=trim, query_words=asked) for asked in (False, True)
    )
    assert told.scores == pytest.approx(plain.scores, abs=1e-6)
    assert told.evidence == pytest.approx(plain.evidence, abs=1e-6)
    assert told.stability == plain.stability
    assert [chunk.text for chunk in told.chunks] == [chunk.text for chunk in plain.chunks]
    n_tokens = len(told.trace.query_offsets)  # type: ignore[union-attr]
    for index, mine in rows(told).items():
        assert mine.shape == (n_tokens, *told.trace.scored[index].masses.shape)  # type: ignore[union-attr]
        assert mine.min() >= 0
        assert np.abs(mine - mine[:1]).max() > 1e-4  # tokens do not all look the same way


@pytest.mark.parametrize("case", CASES)
def test_rows_average_to_the_whole(case: str) -> None:
    """What the query's tokens pay is on average what the query pays, in split chunks too."""
    told = CASES[case]().rank(QUERY, LONG, query_words=True)
    for index, mine in rows(told).items():
        whole = told.trace.scored[index].masses  # type: ignore[union-attr]
        np.testing.assert_allclose(mine.mean(axis=0), whole, atol=1e-6)


@pytest.mark.parametrize("case", [*CASES, *ODD])
def test_queries_in_a_batch_get_their_own(case: str) -> None:
    """Queries of unlike length that are asked together get the rows that each has alone."""
    ranker = {**CASES, **ODD}[case]()
    queries = [QUERY, "numbers?", "  Trains and music "]
    for query, found in zip(
        queries, ranker.rank_batch(queries, CHUNKS, query_words=True), strict=True
    ):
        alone = rows(ranker.rank(query, CHUNKS, query_words=True))
        for index, mine in rows(found).items():
            np.testing.assert_allclose(mine, alone[index], atol=1e-5)


@pytest.mark.parametrize("case", [*CASES, *ODD])
def test_they_are_drawn(case: str) -> None:
    """Each word of the query is in the explanation, with its own masses."""
    told = {**CASES, **ODD}[case]().rank(QUERY, CHUNKS, query_words=True)
    explanation = told.explain()
    assert [QUERY[a:b] for a, b in explanation.query_words][:2] == ["Who", "developed"]
    assert all(chunk.rows is not None for chunk in explanation.chunks)


def test_joint_is_as_eager() -> None:
    """In one context each token of the query looks as in a plain forward over all of it."""
    told = joint().rank(QUERY, CHUNKS, query_words=True)
    tokens, spans = _joint_rows()
    for index, (start, end) in enumerate(spans):
        expected = tokens[:, :, start:end].numpy()
        np.testing.assert_allclose(rows(told)[index], expected, atol=1e-5)


def _joint_rows() -> tuple[Tensor, list[tuple[int, int]]]:
    """Attention of the query's tokens, `[query token, head, token]`, and where the chunks are."""
    model, tokenizer = tiny_model(), tiny_tokenizer()

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    ids, spans = encode("<|im_start|>user\nHere are some paragraphs:\n\n"), []
    for number, text in enumerate(CHUNKS, 1):
        ids += encode(f"[{number}] ")
        spans.append((len(ids), len(ids) + len(encode(text))))
        ids += encode(text) + encode("\n\n")
    ids += encode(
        "Please find information that are relevant to the following query in the paragraphs "
        "above.\n\nQuery: "
    )
    n_query = len(encode(QUERY))
    model.config._attn_implementation = "eager"
    with torch.inference_mode():
        found = model(
            input_ids=torch.tensor([ids + encode(QUERY)]), output_attentions=True
        ).attentions
    by_head = torch.stack([found[layer][0, head, -n_query:] for layer, head in HEADS])
    return by_head.transpose(0, 1), spans


@pytest.mark.parametrize("direction", ["query_to_chunk", "chunk_to_query", "both"])
def test_pairs_are_as_eager(direction: str) -> None:
    """Of a pair each token of the query has what a plain pass over the pair gives it."""
    told = test_pointwise.build(direction=direction).rank(
        test_pointwise.QUERY, test_pointwise.CHUNKS, query_words=True
    )
    for index, chunk in enumerate(test_pointwise.CHUNKS):
        expected = _pair_rows(chunk, direction)
        np.testing.assert_allclose(rows(told)[index], expected.numpy(), atol=1e-5)


def _pair_rows(chunk: str, direction: str) -> Tensor:
    """`[query token, head, chunk token]` from one plain pass over a pair."""
    tokenizer, config = test_pointwise.KINDS["wordpiece"]
    model = test_pointwise.tiny_encoder(config())
    model.set_attn_implementation("eager")
    encoded = tokenizer()(test_pointwise.QUERY, chunk, return_tensors="pt")
    with torch.inference_mode():
        layers = model(**encoded, output_attentions=True).attentions
    attention = torch.stack([layers[layer][0, head] for layer, head in test_pointwise.HEADS])
    which = torch.tensor([-1 if s is None else s for s in encoded.sequence_ids(0)])
    queries, chunks = (which == 0).nonzero()[:, 0], (which == 1).nonzero()[:, 0]
    there = attention[:, queries][:, :, chunks].transpose(0, 1)
    back = attention[:, chunks][:, :, queries].permute(2, 0, 1) * len(queries) / len(chunks)
    both = {"query_to_chunk": there, "chunk_to_query": back, "both": (there + back) / 2}
    return both[direction]


@pytest.mark.parametrize("how", ["query", "last"])
@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_cross_attention_is_as_eager(kind: str, how: Any) -> None:
    """In an encoder-decoder each token has its own cross-attention, whichever rows rank."""
    ranker = test_cross.build(kind, cross=CrossOptions(rows=how))
    told = ranker.rank(QUERY, CHUNKS[:3], query_words=True)
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    attend_eagerly(model)
    lead, start = ([], [0]) if kind == "t5" else ([1], [2, 1])
    tokens = [list(found.ids) for found in ranker._plain.content(CHUNKS[:3])]
    asked = list(ranker._plain.content([QUERY])[0].ids)
    with torch.inference_mode():
        states = [model.get_encoder()(torch.tensor([[*lead, *ids, 2]]))[0] for ids in tokens]
        layers = model.get_decoder()(
            input_ids=torch.tensor([start + asked]),
            encoder_hidden_states=torch.cat(states, dim=1),
            output_attentions=True,
            use_cache=False,
        ).cross_attentions
    by_head = torch.stack(
        [layers[layer][0, head, -len(asked) :] for layer, head in test_cross.HEADS]
    ).transpose(0, 1)
    place = 0
    for index, ids in enumerate(tokens):
        place += len(lead)
        expected = by_head[:, :, place : place + len(ids)].numpy()
        np.testing.assert_allclose(rows(told)[index], expected, atol=1e-5)
        place += len(ids) + 1


def test_a_cross_encoder_tells_it_beside_its_logit(tmp_path: Any) -> None:
    """One forward gives the logit, which ranks, and where each token of the query looked."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(cross_encoder_folder(tmp_path)), device="cpu")
    ranker = AttentionRanker(model, heads=[(0, 1), (1, 2)])
    plain, told = (ranker.rank(QUERY, CHUNKS, query_words=asked) for asked in (False, True))
    assert told.scores == pytest.approx(plain.scores, abs=1e-6)
    assert all(chunk.logit is not None for chunk in told.chunks)
    assert rows(told)
