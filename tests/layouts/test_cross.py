"""The pointwise layout of encoder-decoders, through the ranker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass import AttentionRanker
from attnmass.capture import CrossReader
from attnmass.layouts import CrossLayout
from attnmass.options.cross import CrossOptions
from attnmass.options.declared import PointwiseReading
from tests.readings import grouped
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_seq2seq import EOS, PAD, attend_eagerly, seq2seq_tokenizer, tiny_bart, tiny_seq2seq

HEADS = ((0, 1), (1, 3), (1, 0))
QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
    "Trains, books and music.",
    "words",
    "A city lies on that river.",
    "Numbers are made of numbers, and the query is made of words; " * 3,
]
KINDS = ["t5", "bart"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind: str, **options: Any) -> AttentionRanker:
    """A ranker over a tiny model, which keeps nothing unless `options` say otherwise."""
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    given_options = {"heads": HEADS, "memory_bytes": 0, **options}
    return AttentionRanker(model, seq2seq_tokenizer(kind), **grouped(given_options))


def by_hand(
    kind: str, model: Any, plain: Any, query: str, chunks: list[str], *, all_rows: bool = False
) -> list[float]:
    """Masses of chunks by the model itself: states joined, specials left out.

    They are those of the query's last token, or the mean over all of its tokens.
    """
    attend_eagerly(model)
    lead, trail = ([], [EOS]) if kind == "t5" else ([1], [EOS])
    start = [PAD] if kind == "t5" else [EOS, 1]
    tokens = [list(found.ids) for found in plain.content(chunks)]
    asked = list(plain.content([query])[0].ids)
    with torch.inference_mode():
        states = [model.get_encoder()(torch.tensor([lead + ids + trail]))[0] for ids in tokens]
        output = model.get_decoder()(
            input_ids=torch.tensor([start + asked]),
            encoder_hidden_states=torch.cat(states, dim=1),
            output_attentions=True,
            use_cache=False,
        )
    n_rows = len(asked) if all_rows else 1
    rows = [output.cross_attentions[layer][0, head, -n_rows:] for layer, head in HEADS]
    mean = torch.stack(rows).mean(dim=(0, 1))
    masses, place = [], 0
    for ids in tokens:
        place += len(lead)
        masses.append(float(mean[place : place + len(ids)].sum()))
        place += len(ids) + len(trail)
    return masses


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
    ranker = _shared(kind)
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
        assert ranking.scores == pytest.approx(_shared(kind).rank(query, CHUNKS).scores, abs=1e-5)


@each_kind
@pytest.mark.parametrize("cross", [None, CrossOptions(value_norm=True)])
def test_cold_warm_and_half_full_give_the_same(
    kind: str, cross: CrossOptions | None, tmp_path: Path
) -> None:
    """What is in the cache, in memory or in a folder, changes no score."""
    cold = build(kind, cross=cross).rank(QUERY, CHUNKS).scores
    warm = build(kind, cross=cross, memory_bytes=None, store=tmp_path)
    assert warm.warm(CHUNKS).read == len(CHUNKS)
    assert warm.rank(QUERY, CHUNKS).scores == pytest.approx(cold, abs=1e-5)
    assert (warm.stats.hits, warm.stats.misses) == (len(set(CHUNKS)), 0)
    folder = build(kind, cross=cross, memory_bytes=None, store=tmp_path)
    assert folder.warm(CHUNKS).skipped == len(CHUNKS)
    assert folder.rank(QUERY, CHUNKS).scores == pytest.approx(cold, abs=1e-5)
    assert folder.stats.tokens_encoded == 0
    half = build(kind, cross=cross, memory_bytes=None)
    half.warm(CHUNKS[:3])
    assert half.rank(QUERY, CHUNKS).scores == pytest.approx(cold, abs=1e-5)
    assert (half.stats.hits, half.stats.misses) == (3, 3)


def test_cache_of_other_options_is_not_used(tmp_path: Path) -> None:
    """A ranker that needs the last layer's values does not take entries without them."""
    build("t5", store=tmp_path).warm(CHUNKS)
    other = build("t5", store=tmp_path, cross=CrossOptions(value_norm=True))
    assert other.rank(QUERY, CHUNKS).scores == pytest.approx(
        build("t5", cross=CrossOptions(value_norm=True)).rank(QUERY, CHUNKS).scores, abs=1e-5
    )
    assert other.stats.hits == 0


@pytest.mark.parametrize("store_format", ["float16", "int8"])
def test_smaller_formats_come_close(store_format: str) -> None:
    """States kept in fewer bytes give nearly the same scores."""
    found = build("bart", memory_bytes=None, store_format=store_format)
    expected = _shared("bart").rank(QUERY, CHUNKS).scores
    assert found.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=0.05)


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
    expected = by_hand(kind, model, _shared(kind)._plain, QUERY, CHUNKS, all_rows=True)
    assert found.scores == pytest.approx(expected, abs=1e-5)
    last = build(kind, cross=CrossOptions(rows="last")).rank(QUERY, CHUNKS).scores
    assert last == _shared(kind).rank(QUERY, CHUNKS).scores
    assert found.scores != pytest.approx(last, abs=1e-3)


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


def test_long_chunk_is_read_in_windows() -> None:
    """A chunk beyond BART's positions is split, merged and marked; T5 has no such limit."""
    long = CHUNKS[5] * 8
    bart = build("bart").rank(QUERY, [CHUNKS[0], long])
    assert bart.split == (1,)
    assert "chunks[1] was longer" in bart.notes[0]
    assert 0 < sum(bart.scores) < 1
    assert build("t5").rank(QUERY, [CHUNKS[0], long]).split == ()
    assert build("t5", max_chunk_tokens=80).rank(QUERY, [CHUNKS[0], long]).split == (1,)


def test_long_query() -> None:
    """A query beyond BART's decoder is an error with both numbers; T5 takes it."""
    query = "why " * 200
    with pytest.raises(ValueError, match=r"the query has \d+ tokens.*decoder has room for 254"):
        build("bart").rank(query, CHUNKS)
    assert sum(build("t5").rank(query, CHUNKS).scores) > 0


def test_question_too_long_for_the_encoder() -> None:
    """A query that leaves the encoder no room for a chunk is an error that says so."""
    ranker = build("bart", cross=CrossOptions(with_question=True))
    query = "why" + "?" * 220
    assert 210 < len(ranker._plain.content([query])[0]) < 250
    with pytest.raises(ValueError, match="encoder has room for"):
        ranker.rank(query, [CHUNKS[5]])


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


def test_out_of_memory_makes_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the keys of all chunks do not fit, they are looked at in parts, scores the same."""
    ranker = build("t5")
    chunks = [f"{text} {number}" for number in range(12) for text in CHUNKS]
    expected = ranker.rank(QUERY, chunks).scores
    original, blocks = CrossReader.look, []

    def small(self: CrossReader, *args: Any, key_block: int | None = None, **kwargs: Any) -> Any:
        blocks.append(key_block)
        if key_block is None or key_block > 1000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *args, key_block=key_block, **kwargs)

    monkeypatch.setattr(CrossReader, "look", small)
    assert ranker.rank(QUERY, chunks).scores == pytest.approx(expected, abs=1e-5)
    assert blocks == [16384, 4096, 1024, 256]


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch of chunks does not fit, smaller ones are read, with the same scores."""
    ranker = build("bart")
    expected = ranker.rank(QUERY, CHUNKS).scores
    run, sizes = ranker._layout._read_batch, []

    def small(rows: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(rows)

    monkeypatch.setattr(ranker._layout, "_read_batch", small)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert max(sizes) > 1


def test_changed_weights_are_noticed() -> None:
    """Once the caller's weights change, what was kept of the old ones is not used."""
    model = tiny_seq2seq()
    ranker = AttentionRanker(model, seq2seq_tokenizer(), heads=HEADS)
    before = ranker.rank(QUERY, CHUNKS).scores
    with torch.no_grad():
        model.encoder.block[0].layer[0].SelfAttention.v.weight.mul_(-1)
    after = ranker.rank(QUERY, CHUNKS).scores
    fresh = AttentionRanker(model, seq2seq_tokenizer(), heads=HEADS).rank(QUERY, CHUNKS).scores
    assert after == pytest.approx(fresh, abs=1e-5)
    assert after != pytest.approx(before, abs=1e-4)


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


_SHARED: dict[str, AttentionRanker] = {}


def _shared(kind: str) -> AttentionRanker:
    """One ranker of a kind for tests that ask again and again."""
    return _SHARED.setdefault(kind, build(kind))
