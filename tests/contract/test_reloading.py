"""What a reranker around a ranker is reloaded as, by its name."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sentence_transformers import CrossEncoder

from attnmass import (
    AttentionRanker,
    CrossOptions,
    HeadProfile,
    JointReading,
    PointwiseReading,
    WeightsNotFoundError,
)
from attnmass.options.renamed import RENAMED
from attnmass.profiles import EvidenceRule, RankRule, SpanRule, packaged_profiles
from tests.conftest import HEADS
from tests.contract.adapters import Adapter
from tests.contract.candidates import CANDIDATES, QUERY, TEXTS
from tests.contract.stub import StubRanker
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import cross_encoder_folder, tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

pytestmark = pytest.mark.in_process

FEW = ((0, 1), (1, 2))


def named(model: Any, folder: Path) -> Any:
    """A model that knows what it was loaded from."""
    model.config._name_or_path = str(folder)
    return model


def decoder(folder: Path, **options: Any) -> AttentionRanker:
    """A ranker of a decoder that lies in a folder."""
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return AttentionRanker(
        named(tiny_model(), folder), tiny_tokenizer(), **{"heads": HEADS, **options}
    )


def encoder(folder: Path, **options: Any) -> AttentionRanker:
    """The same of an encoder."""
    tiny_encoder().save_pretrained(folder)
    wordpiece_tokenizer().save_pretrained(folder)
    return AttentionRanker(
        named(tiny_encoder(), folder), wordpiece_tokenizer(), heads=FEW, **options
    )


def cross_encoder(folder: Path, **options: Any) -> AttentionRanker:
    """The same of a cross-encoder."""
    model = CrossEncoder(str(cross_encoder_folder(folder)), device="cpu")
    return AttentionRanker(model, heads=FEW, **options)


def seq2seq(folder: Path, **options: Any) -> AttentionRanker:
    """The same of an encoder-decoder."""
    tiny_seq2seq().save_pretrained(folder)
    seq2seq_tokenizer().save_pretrained(folder)
    return AttentionRanker(named(tiny_seq2seq(), folder), seq2seq_tokenizer(), heads=FEW, **options)


Build = Callable[..., AttentionRanker]

CASES: list[tuple[str, Build, dict[str, Any]]] = [
    ("parallel", decoder, {}),
    ("joint", decoder, {"reading": JointReading(second_pass=True, max_context_tokens=180)}),
    ("encoder, one way", encoder, {"reading": PointwiseReading(direction="query_to_chunk")}),
    ("encoder, other way", encoder, {"reading": PointwiseReading(direction="chunk_to_query")}),
    ("cross-encoder", cross_encoder, {}),
    ("cross-encoder, attention", cross_encoder, {"rank_by": "attention"}),
    (
        "cross-encoder, both",
        cross_encoder,
        {"rank_by": "both", "reading": PointwiseReading(direction="both")},
    ),
    ("encoder-decoder", seq2seq, {}),
    (
        "encoder-decoder, otherwise",
        seq2seq,
        {"reading": PointwiseReading(cross=CrossOptions(with_question=True, value_norm=True))},
    ),
]
each_case = pytest.mark.parametrize(
    ("build", "options"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)


def copies(adapter: Adapter, rerank: Any) -> list[Any]:
    """A reranker by every way that leaves its ranker behind."""
    released = rerank.model_copy()
    released._ranker = None
    return [
        pickle.loads(pickle.dumps(rerank)),
        adapter.Rerank.model_validate(rerank.model_dump()),
        adapter.Rerank.model_validate(json.loads(rerank.model_dump_json())),
        released,
    ]


@each_case
def test_reloaded_as_it_was(
    adapter: Adapter, build: Build, options: dict[str, Any], tmp_path: Path
) -> None:
    """After pickling, dumping or releasing, the model is read the way that the ranker read it."""
    ranker = build(tmp_path, **options)
    rerank = adapter.Rerank.from_ranker(ranker, top_n=None, model=str(tmp_path))
    found = adapter.build(CANDIDATES)
    expected = adapter.read(adapter.run(rerank, found, QUERY))
    for other in copies(adapter, rerank):
        assert other._ranker is None
        other.dtype = "float32"
        result = adapter.read(adapter.run(other, found, QUERY))
        assert other._load().options == ranker.options
        assert [item.id for item in result] == [item.id for item in expected]
        assert [item.score for item in result] == pytest.approx([i.score for i in expected])


def test_options_matter_here(tmp_path: Path) -> None:
    """Cases of one model score otherwise, so that the test above says something."""
    folders = {name: tmp_path / str(number) for number, (name, _, _) in enumerate(CASES)}
    scores = {
        name: build(folders[name], **options).rank(QUERY, TEXTS).scores
        for name, build, options in CASES
    }
    for kind in ("encoder, ", "encoder-decoder", "cross-encoder"):
        mine = [found for name, found in scores.items() if name.startswith(kind)]
        assert len(mine) > 1
        assert mine[0] != pytest.approx(mine[1], abs=1e-4)
    assert scores["parallel"] != pytest.approx(scores["joint"], abs=1e-4)


@each_case
def test_fields_read_as_the_ranker_does(
    adapter: Adapter, build: Build, options: dict[str, Any], tmp_path: Path
) -> None:
    """What the ranker's constructor takes is a field, too, of a model by its name."""
    expected = build(tmp_path, **options).rank(QUERY, TEXTS).scores
    heads = HEADS if build is decoder else FEW
    rerank = adapter.Rerank(
        model=str(tmp_path), dtype="float32", heads=heads, top_n=None, add_scores=True, **options
    )
    result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    by_place = {item.hidden["rank_before"]: item.score for item in result}
    assert [by_place[place] for place in range(len(TEXTS))] == pytest.approx(expected)


def test_models_at_hand_take_them(adapter: Adapter) -> None:
    """`from_model` hands the fields of the layouts on, and keeps them."""
    for model, tokenizer, heads, reading in (
        (
            tiny_seq2seq(),
            seq2seq_tokenizer(),
            FEW,
            PointwiseReading(cross=CrossOptions(value_norm=True)),
        ),
        (tiny_model(), tiny_tokenizer(), HEADS, JointReading(second_pass=True)),
    ):
        rerank = adapter.Rerank.from_model(model, tokenizer, heads=heads, reading=reading)
        assert rerank.reading == rerank._load().options["reading"] == reading
        assert rerank.layout == reading.layout


def test_a_profile_goes_along_whole(adapter: Adapter, tmp_path: Path) -> None:
    """Weights, rules for spans and evidence, and heads for context are not lost on the way."""
    profile = HeadProfile(
        str(tmp_path),
        "parallel",
        HEADS,
        (0.5, 0.3, 0.2),
        spans=SpanRule(((2, 3),), (1.0,), chunk_share=0.1),
        evidence=EvidenceRule(threshold=0.01, heads=((1, 1),), best_of=(0.5,), total_of=(0.1,)),
        context=((0, 2),),
        measured={"ndcg": {"a": 1.0}},
    )
    ranker = decoder(tmp_path, heads=None, profile=profile)
    rerank = adapter.Rerank.from_ranker(ranker, top_n=None, keep_ratio=0.6, resolve_context=True)
    found = adapter.build(CANDIDATES)
    expected = adapter.read(adapter.run(rerank, found, QUERY))
    for other in copies(adapter, rerank):
        other.dtype = "float32"
        assert other._load().profile == profile
        result = adapter.read(adapter.run(other, found, QUERY))
        assert [item.text for item in result] == [item.text for item in expected]


def test_a_ranking_rule_goes_along(adapter: Adapter, tmp_path: Path) -> None:
    """A profile that differs from its heads alone by any one rule is not cut down to them."""
    heads = HeadProfile.from_heads(HEADS, model=str(tmp_path), layout="parallel")
    for rule in (
        {"ranking": RankRule(((2, 3), (1, 0)), (2.0, -1.0))},
        {"spans": SpanRule(((2, 3),), (1.0,))},
        {"evidence": EvidenceRule(bias=1.0)},
        {"context": ((0, 2),)},
        {"support_threshold": 0.5},
        {"weights": (0.5, 0.3, 0.2)},
    ):
        profile = replace(heads, **rule)
        assert adapter.Rerank.from_ranker(StubRanker(profile=profile)).profile == profile, rule
    assert adapter.Rerank.from_ranker(StubRanker(profile=heads)).heads == HEADS


def test_of_several_that_ship_the_same_is_found(adapter: Adapter) -> None:
    """Where a model has several published lists of heads, a name alone would find the first."""
    by_model: dict[tuple[str, str], list[HeadProfile]] = {}
    for profile in packaged_profiles().values():
        by_model.setdefault((profile.model, profile.layout), []).append(profile)
    first, second, *_ = max(by_model.values(), key=len)
    assert adapter.Rerank.from_ranker(StubRanker(profile=first)).heads is None
    other = adapter.Rerank.from_ranker(StubRanker(profile=second))
    assert second.heads in (other.heads, getattr(other.profile, "heads", None))


def test_a_model_without_a_name_is_not_looked_for(adapter: Adapter) -> None:
    """One that was built in memory is not loaded by its kind, but asked for."""
    rerank = adapter.Rerank.from_model(tiny_model(), tiny_tokenizer(), heads=HEADS)
    assert rerank.model == "unnamed llama model"
    other = pickle.loads(pickle.dumps(rerank))
    with pytest.raises(WeightsNotFoundError, match="set model to its folder or repository"):
        other._load()


def test_a_rejected_value_leaves_no_trace(adapter: Adapter) -> None:
    """What is refused, by itself or beside the other fields, is not kept."""
    rerank = adapter.Rerank(heads=HEADS, max_tokens=50, neighbors=1)
    before, known = rerank.model_dump(), set(rerank.model_fields_set)
    for name, value in (
        ("profile", "a.json"),  # beside heads
        ("max_tokens", None),  # beside neighbors
        ("max_tokens", 0),
        ("fuse", 2.0),
        ("top_n", "many"),
        ("evidence_threshold", 5.0),
        ("store_bytes", 0),
        ("no_such_field", 1),
        ("tokenizer", 3),
        ("embed_model", 3),
    ):
        with pytest.raises((ValueError, TypeError), match=name):
            setattr(rerank, name, value)
        assert rerank.model_dump() == before
        assert rerank.model_fields_set == known
    rerank.top_n = 3
    assert rerank.top_n == 3


def test_a_profile_that_ships_is_named_by_its_model(adapter: Adapter) -> None:
    """What ships is found again with all its rules, and neither copied nor cut down to heads."""
    profile = packaged_profiles()["smollm2-135m.parallel"]
    rerank = adapter.Rerank.from_ranker(StubRanker(profile=profile))
    assert (rerank.model, rerank.layout) == ("smollm2-135m", "parallel")
    assert (rerank.heads, rerank.profile) == (None, None)
    other = replace(profile, context=())
    assert adapter.Rerank.from_ranker(StubRanker(profile=other)).profile == other


@pytest.mark.parametrize(
    ("reading", "match"),
    [
        ({"layout": "pointwise", "cross": {"rows": "first"}}, r"reading\.cross\.rows"),
        ({"layout": "pointwise", "cross": {"row": "last"}}, "row"),
        (
            {"layout": "pointwise", "cross": {"value_norm": True, "aggregation": "scores"}},
            "pass one of them",
        ),
        ({"layout": "pointwise", "cross": "last"}, "cross must be a CrossOptions"),
        ({"layout": "joint", "max_context_tokens": 0}, "max_context_tokens must be at least 1"),
        ({"layout": "joint", "second_pass": "perhaps"}, "second_pass must be a bool"),
        ({"layout": "joint", "second_pas": True}, "Did you mean 'second_pass'"),
        ({"layout": "joint", "direction": "both"}, r"It is reading=PointwiseReading\(direction"),
        ({"layout": "pointwise", "direction": "sideways"}, "direction must be one of"),
        ({"layout": "pointwize"}, "Did you mean 'pointwise'"),
        ({"second_pass": True}, "reading needs its layout"),
        ("joint", "reading"),
    ],
    ids=str,
)
def test_bad_values_fail_at_construction(adapter: Adapter, reading: Any, match: str) -> None:
    """Options of a layout are checked before there is a model."""
    with pytest.raises(ValidationError, match=match):
        adapter.Rerank(reading=reading)


def test_a_mapping_is_an_option_too(adapter: Adapter) -> None:
    """`reading` comes as an object or as its fields, as JSON has it."""
    one = adapter.Rerank(reading={"layout": "pointwise", "cross": {"value_norm": True}})
    assert one.reading == PointwiseReading(cross=CrossOptions(value_norm=True))
    assert copy.deepcopy(one).reading == one.reading
    assert hash(one.reading) == hash(copy.deepcopy(one.reading))


def test_a_reading_is_of_one_layout(adapter: Adapter) -> None:
    """It says which layout, and another one contradicts it, at construction and later."""
    with pytest.raises(ValidationError, match="JointReading is for layout='joint', not 'late'"):
        adapter.Rerank(reading=JointReading(), layout="late")
    rerank = adapter.Rerank(reading=JointReading(), layout="joint")
    with pytest.raises(ValidationError, match="leave out one of them"):
        rerank.reading = PointwiseReading()
    assert rerank.reading == JointReading()


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_names_say_the_new_ones(adapter: Adapter, old: str, new: str) -> None:
    """What an option was called before is told with what to write now, from adapter and core."""
    said = re.escape(f"{old!r}. It is {new} now.")
    with pytest.raises(ValidationError, match=said):
        adapter.Rerank(**{old: 1})
    with pytest.raises(TypeError, match=said):
        AttentionRanker(tiny_model(), tiny_tokenizer(), **{old: 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=said):
        AttentionRanker.from_pretrained("nowhere", **{old: 1})  # type: ignore[arg-type]


def test_a_ranker_has_its_options_already(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Options that say how a model is read contradict a ranker that reads it already."""
    with pytest.raises(ValueError, match="leave out reading, store"):
        adapter.Rerank.from_ranker(ranker, reading=JointReading(), store="folder")
