"""Head profiles: file format, choice, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from transformers import Gemma3TextConfig, LlamaConfig, Qwen2Config

from attnmass import AttentionRanker, HeadProfile, load_profile
from attnmass.models.sizes import fingerprint
from attnmass.profiles import (
    EvidenceRule,
    FuseRule,
    RankRule,
    SpanRule,
    choosing,
    default_profile,
    packaged_profile,
)
from attnmass.profiles.choosing import choose_profile, packaged_profiles
from attnmass.profiles.fusing import COSINE_WEIGHT
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

SHIPPED = sorted(
    entry.name
    for entry in (resources.files("attnmass.profiles") / "data").iterdir()
    if entry.name.endswith(".json")
)


def test_file_round_trip(tmp_path: Path) -> None:
    """A profile that is written and read again is the same."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", fitted_on="nothing")
    path = tmp_path / "profile.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    assert load_profile(path) == profile
    assert json.loads(path.read_text(encoding="utf-8"))["stop_layer"] == 2


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"[]",
            b"{}",
            b"null",
            b'{"model": "m", "heads": [1]}',
            b'{"heads": [], "weights": []}',
        ),
        *(b"\xff\xfe", b"[" * 100_000),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_broken_file_is_named(tmp_path: Path, text: bytes) -> None:
    """A file that is no profile is an error with its name."""
    path = tmp_path / "broken.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"broken\.json is not a head profile"):
        load_profile(path)


@pytest.mark.parametrize(
    ("heads", "weights", "match"),
    [
        ((), (), "at least one"),
        (((0, 0),), (0.5, 0.5), "1 heads need as many weights, not 2"),
        (((0, 0), (0, 1)), (0.5, 0.6), "sum to 1"),
        (((0, 0), (0, 1)), (1.5, -0.5), ">= 0"),
        (((0, 0), (0, 1)), (float("nan"), 1.0), "sum to 1"),
        (((0, 0), (0, 0)), (0.5, 0.5), "twice"),
    ],
)
def test_impossible_profiles(
    heads: tuple[tuple[int, int], ...], weights: tuple[float, ...], match: str
) -> None:
    """Heads and weights that cannot be are an error."""
    with pytest.raises(ValueError, match=match):
        HeadProfile("m", "parallel", heads, weights)


FULL = HeadProfile(
    "tiny",
    "parallel",
    HEADS,
    (0.5, 0.25, 0.25),
    ranking=RankRule(((1, 0), (0, 2)), (1.5, -0.75)),
    spans=SpanRule(((2, 3), (1, 0)), (0.75, 0.25), length_exponent=0.25, chunk_share=0.7),
    evidence=EvidenceRule(
        2.5, 0.5, -1.25, 0.3, threshold=0.4, heads=((1, 1),), best_of=(0.5,), total_of=(-0.5,)
    ),
    context=((0, 1), (2, 3)),
)


def written(path: Path, **changes: Any) -> Path:
    """The file of a full profile with some of its fields changed, or left out where `...`."""
    data = json.loads(FULL.to_json()) | changes
    data = {name: value for name, value in data.items() if value is not ...}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_rules_round_trip(tmp_path: Path) -> None:
    """Rules for chunks, spans and evidence, and heads for context, are written and read, too."""
    path = tmp_path / "profile.json"
    path.write_text(FULL.to_json(), encoding="utf-8")
    assert load_profile(path) == FULL
    assert FULL.last_layer == json.loads(FULL.to_json())["stop_layer"] == 2


def test_signed_exponents_round_trip(tmp_path: Path) -> None:
    """A rule that shares chunks out among their spans is written and read, signs included."""
    spans = SpanRule(((2, 3), (1, 0)), (1.0, 0.0), 0.0, 0.5, exponents=(1.25, -0.5))
    profile = replace(FULL, spans=spans)
    path = tmp_path / "profile.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    assert load_profile(path).spans == spans


def test_files_without_exponents_still_load(tmp_path: Path) -> None:
    """A file from before spans had exponents scores them by weights."""
    spans = json.loads(FULL.to_json())["spans"]
    del spans["exponents"]
    assert load_profile(written(tmp_path / "old.json", spans=spans)) == FULL
    assert FULL.span_rule.exponents == ()


def test_what_a_cosine_weighs(tmp_path: Path) -> None:
    """It is written and read; a file that does not say, or has no such rule, has the constant."""
    fusing = FuseRule((0.8, 0.7), (0.9, 0.4), (0.9, 0.5), spans=2.5)
    profile = replace(FULL, fusing=fusing)
    path = tmp_path / "profile.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    assert load_profile(path) == profile
    assert load_profile(path).cosine_weight == 2.5
    old = json.loads(profile.to_json())["fusing"]
    del old["spans"]
    assert load_profile(written(tmp_path / "old.json", fusing=old)).cosine_weight == COSINE_WEIGHT
    none = written(tmp_path / "none.json", fusing=None)
    assert load_profile(none).cosine_weight == COSINE_WEIGHT
    for wrong, match in ((-0.1, "spans must be at least 0, not -0.1"), (float("nan"), "spans")):
        with pytest.raises(ValueError, match=match):
            load_profile(written(tmp_path / "bad.json", fusing={**old, "spans": wrong}))


def test_what_a_cosine_says_of_evidence(tmp_path: Path) -> None:
    """It is written and read, three numbers or none."""
    fusing = FuseRule((0.8, 0.7), (0.9, 0.4), (0.9, 0.5), evidence=(0.5, 6.0, -3.0))
    profile = replace(FULL, fusing=fusing)
    assert (
        load_profile(written(tmp_path / "profile.json", **json.loads(profile.to_json()))) == profile
    )
    told = json.loads(profile.to_json())["fusing"]
    none = replace(FULL, fusing=replace(fusing, evidence=None))
    assert load_profile(written(tmp_path / "none.json", fusing={**told, "evidence": None})) == none
    for wrong, match in (([1, 2], "evidence must be 3 numbers"), ([1, 2, "x"], "x")):
        with pytest.raises(ValueError, match=match):
            load_profile(written(tmp_path / "bad.json", fusing={**told, "evidence": wrong}))


def test_files_without_rules_still_load(tmp_path: Path) -> None:
    """A file from before there were rules has the defaults; so has one that says null."""
    for absent in (..., None):
        rules = dict.fromkeys(("ranking", "spans", "evidence", "context"), absent)
        path = written(tmp_path / "old.json", **rules)
        found = load_profile(path)
        assert found == HeadProfile("tiny", "parallel", HEADS, (0.5, 0.25, 0.25))
        assert found.span_rule == SpanRule(HEADS, (0.5, 0.25, 0.25))
        assert found.evidence == EvidenceRule()
        assert found.ranking is None
        assert found.all_heads == HEADS
        assert found.context_weights == pytest.approx((1 / 3,) * 3)


FUSING = {"embedding": [1, 1], "lexical": [1, 1], "ranks": [1, 1]}
SPANS = {"heads": [[0, 0]], "weights": [1.0]}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"heads": 5}, "heads: "),
        ({"weights": ["a"] * 3}, "weights: "),
        ({"weights": [float("nan"), 0.5, 0.5]}, "sum to 1"),
        ({"heads": [[1, 0], [1, 0], [2, 1]]}, "twice"),
        ({"ranking": 5}, "ranking: "),
        ({"ranking": {"heads": [[0, 0]]}}, "ranking lacks 'exponents'"),
        ({"ranking": {"heads": [], "exponents": []}}, "ranking: .* at least one"),
        ({"ranking": {"heads": [[0, 0]], "exponents": [1, 2]}}, "ranking: 1 heads need as many"),
        ({"ranking": {"heads": [[0, 0]], "exponents": ["x"]}}, "ranking: "),
        ({"ranking": {"heads": [[0, 0]], "exponents": [float("inf")]}}, "ranking: exponents must"),
        ({"ranking": {"heads": [[0, 0]] * 2, "exponents": [1, 2]}}, "ranking: .* twice"),
        ({"spans": 5}, "spans: "),
        ({"spans": {"heads": [[0, 0]]}}, "spans lacks 'weights'"),
        ({"spans": {**SPANS, "weights": [0.5]}}, "spans: weights must be"),
        ({"spans": {**SPANS, "heads": [[0]]}}, "spans: heads: "),
        ({"spans": {"heads": [[0, 0]] * 2, "weights": [0.5, 0.5]}}, "spans: .* twice"),
        ({"spans": {**SPANS, "length_exponent": 2}}, "spans: length_exponent must be between"),
        ({"spans": {**SPANS, "chunk_share": "all"}}, "spans: chunk_share must be between"),
        ({"spans": {**SPANS, "pool": "max"}}, "spans: .*'pool'"),
        ({"spans": {**SPANS, "exponents": [1, 2]}}, "spans: 1 heads need as many exponents"),
        ({"spans": {**SPANS, "exponents": ["x"]}}, "spans: "),
        ({"spans": {**SPANS, "exponents": [float("nan")]}}, "spans: exponents must"),
        ({"evidence": []}, "evidence: "),
        ({"evidence": {"best": "x"}}, "evidence: best must be a number, not 'x'"),
        ({"evidence": {"bias": float("nan")}}, "evidence: bias must be a number, not nan"),
        ({"evidence": {"threshold": 2}}, "evidence: threshold must be between 0 and 1"),
        ({"evidence": {"threshold": True}}, "evidence: threshold must be between 0 and 1"),
        ({"evidence": {"length_exponent": -1}}, "evidence: length_exponent must be"),
        ({"evidence": {"heads": [[1, 1]], "best_of": [1.0]}}, "evidence: total_of must have"),
        ({"evidence": {"heads": [[1, 1]], "best_of": "x", "total_of": [0]}}, "evidence: best_of"),
        ({"evidence": {"worst": 1.0}}, "evidence: .*'worst'"),
        ({"context": 5}, "context: "),
        ({"context": [[0, "a"]]}, "context: "),
        ({"context": [[0, 1], [0, 1]]}, "twice"),
        ({"heads": [[1.9, 0], [1, 3], [2, 1]]}, r"heads: .* not \(1\.9, 0\)"),
        ({"heads": [["1", 0], [1, 3], [2, 1]]}, r"heads: .* not \('1', 0\)"),
        ({"weights": "123"}, "weights: '123' is no list of numbers"),
        ({"weights": {"1": 0, "0": 0, "00": 0}}, "weights: .* is no list of numbers"),
        ({"weights": [True, 0, 0]}, "weights: True is no number"),
        ({"ranking": {"heads": [[0, 0]], "exponents": [1e300]}}, "between -1e6 and 1e6, not 1e"),
        ({"ranking": {"heads": [[0, 0]], "exponents": [10**400]}}, "ranking: exponents must"),
        ({"ranking": {"heads": [[0, 0]], "exponents": "1"}}, "ranking: exponents: '1' is no list"),
        ({"spans": {**SPANS, "exponents": ["1"]}}, "spans: exponents: '1' is no number"),
        ({"evidence": {"bias": -1e300}}, "evidence: bias must be between -1e6 and 1e6"),
        ({"evidence": {"heads": [[1, 1]], "best_of": "1", "total_of": [0]}}, "best_of: '1' is no"),
        ({"relevance": {**SPANS, "bias": 1e300}}, "relevance: bias must be between"),
        ({"relevance": {**SPANS, "weights": [None]}}, "relevance: weights: None is no number"),
        ({"relevance": [1]}, r"relevance: \[1\] is no object with fields"),
        ({"fusing": {}}, "fusing lacks 'embedding'"),
        ({"fusing": {**FUSING, "ranks": 0}}, "fusing: ranks: 0 is no list of numbers"),
        ({"fusing": {**FUSING, "evidence": "123"}}, "fusing: evidence: '123' is no list"),
        ({"fusing": {**FUSING, "evidence": [1e300, 1, 1]}}, "fusing: evidence must be between"),
        ({"fusing": {**FUSING, "evidence": [1, True, 1]}}, "fusing: evidence: True is no number"),
        ({"fusing": {**FUSING, "evidence": []}}, "fusing: evidence must be 3 numbers"),
        ({"fusing": {**FUSING, "spans": 1e300}}, "fusing: spans must be between"),
        ({"background": "text"}, "background must be a sequence"),
        ({"background": [1]}, r"background\[0\] must be a str, not int"),
        ({"context": ""}, "context: "),
        ({"model": 5}, "model must be a str, not 5"),
        ({"fingerprint": 5}, "fingerprint must be a str"),
        ({"prompt_version": "1"}, "prompt_version must be"),
        ({"measured": []}, "measured must be a Mapping"),
        ({"span": SPANS}, "'span'"),
        ({"model": ...}, "'model'"),
    ],
    ids=str,
)
def test_bad_rules_name_the_field(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    """A field that cannot be is an error with the file's and the field's name."""
    path = written(tmp_path / "bad.json", **changes)
    with pytest.raises(ValueError, match=rf"bad\.json is not a head profile: .*{match}"):
        load_profile(path)


def test_all_heads_are_read_once_each() -> None:
    """Heads for chunks come first, then those for all else; weights follow that order."""
    assert FULL.all_heads == ((1, 0), (1, 3), (2, 1), (0, 2), (2, 3), (0, 1), (1, 1))
    assert FULL.chunk_weights == (0.5, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0)
    assert FULL.span_weights == (0.25, 0.0, 0.0, 0.0, 0.75, 0.0, 0.0)
    assert FULL.context_weights == (0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0)


def test_heads_of_rules_are_captured() -> None:
    """Span and context heads beyond the chunks' are read, and the model is run as far as they."""
    profile = HeadProfile(
        "tiny", "parallel", ((0, 1),), (1.0,), spans=SpanRule(((2, 3),), (1.0,)), context=((1, 2),)
    )
    assert profile.last_layer == 2
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    each = [
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[head]).attention("who?", ["trains"])
        for head in ((0, 1), (2, 3), (1, 2))
    ]
    found = ranker.attention("who?", ["trains"]).chunks[0]
    assert found.tolist() == [pytest.approx(one.chunks[0][0].tolist(), abs=1e-6) for one in each]


@pytest.mark.parametrize(
    "changes",
    [
        {"ranking": RankRule(((3, 0),), (1.0,))},
        {"spans": SpanRule(((3, 0),), (1.0,))},
        {"context": ((0, 4),)},
    ],
)
def test_heads_of_rules_that_are_not_there(changes: dict[str, Any]) -> None:
    """A rule's head that the model does not have is an error as any other is."""
    profile = HeadProfile("tiny", "parallel", HEADS, (0.5, 0.25, 0.25), **changes)
    with pytest.raises(ValueError, match="is not in this model"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_unknown_model_warns_and_takes_the_middle() -> None:
    """A model without a profile is read at mid-depth, with a warning that names the command."""
    with pytest.warns(UserWarning, match=r"attnmass fit --model MODEL --layout parallel --out"):
        ranker = AttentionRanker(tiny_model(), tiny_tokenizer())
    assert ranker.profile.source == "default"
    assert {layer for layer, _ in ranker.profile.heads} == {1}


def test_profile_of_another_model_is_refused() -> None:
    """A profile whose fingerprint is another model's is an error with both."""
    profile = HeadProfile.from_heads(
        HEADS, model="other", layout="parallel", fingerprint="0123456789abcdef"
    )
    with pytest.raises(ValueError, match="is for other"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_profile_of_another_prompt_warns() -> None:
    """Heads that were selected with other wording are used with a warning."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", prompt_version=0)
    with pytest.warns(UserWarning, match="version 0 of the prompt"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_profile_of_another_layout_is_refused() -> None:
    """A profile of another layout is an error."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="joint")
    with pytest.raises(ValueError, match="layout 'joint'"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, layout="parallel")


def test_profile_and_heads_contradict() -> None:
    """Giving both is an error."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel")
    with pytest.raises(ValueError, match="not both"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, heads=HEADS)


def test_weights_of_the_profile_count(ranker: AttentionRanker) -> None:
    """A profile with all weight on one head scores as that head alone."""
    chunks = ["Albert Einstein", "the river", "trains"]
    one = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[HEADS[1]])
    profile = HeadProfile("tiny", "parallel", HEADS, (0.0, 1.0, 0.0))
    weighted = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    expected = one.rank("who?", chunks).scores
    assert weighted.rank("who?", chunks).scores == pytest.approx(expected, abs=1e-6)
    assert ranker.rank("who?", chunks).scores != pytest.approx(expected, abs=1e-6)


def test_fingerprint_tells_models_apart() -> None:
    """Another number of layers, or other rotations, are another model."""
    config = tiny_model().config
    other = type(config).from_dict({**config.to_dict(), "num_hidden_layers": 4})
    assert fingerprint(config) != fingerprint(other)
    rotary = type(config).from_dict(
        {**config.to_dict(), "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}
    )
    assert fingerprint(config) != fingerprint(rotary)
    assert fingerprint(config) == fingerprint(type(config).from_dict(config.to_dict()))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_are_whole(name: str) -> None:
    """Every profile that ships names its model, its data, and scores on other data."""
    with resources.as_file(resources.files("attnmass.profiles") / "data" / name) as path:
        profile = load_profile(path)
    assert profile.fingerprint
    assert profile.fitted_on
    assert profile.measured


def test_gemma_is_known_by_its_shape() -> None:
    """A config with the numbers of Gemma 3 270M gets its profile, another size does not."""
    config = Gemma3TextConfig(
        vocab_size=262144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18,
        num_attention_heads=4, num_key_value_heads=1, head_dim=256, max_position_embeddings=32768,
    )  # fmt: skip
    found = packaged_profile(config, "parallel")
    assert found is not None
    assert found.model == "gemma-3-270m"
    assert found.last_layer == 5
    config.num_hidden_layers = 26
    assert packaged_profile(config, "parallel") is None


def test_no_profile_for_a_tiny_model() -> None:
    """Only the model that a profile was made for gets it."""
    config = tiny_model().config
    assert packaged_profile(config, "parallel") is None
    assert default_profile(config, "parallel").layout == "parallel"


def test_default_heads_and_how_far_others_may_be() -> None:
    """Heads of the middle layers are read, and those up to three quarters of the depth chosen."""
    found = default_profile(LlamaConfig(num_hidden_layers=26, num_attention_heads=2), "late")
    assert found.heads == tuple((layer, head) for layer in range(13, 17) for head in range(2))
    assert found.last_layer == 19
    settled = found.as_it_is()
    assert type(settled) is HeadProfile
    assert (settled.heads, settled.weights, settled.last_layer) == (found.heads, found.weights, 16)
    assert found.to_json() == settled.to_json()


@pytest.mark.parametrize(
    ("heads", "match"),
    [
        ((), "at least one"),
        (((0, 1), (0, 1)), "twice"),
        (((3, 0),), "layers 0 to 2"),
        (((0, 4),), "heads 0 to 3"),
        (((-1, 0),), "not in this model"),
    ],
)
def test_heads_that_are_not_there(heads: Any, match: str) -> None:
    """Heads that the model does not have are an error that says which it has."""
    with pytest.raises(ValueError, match=match):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=heads)


def test_null_query_is_for_the_joint_layout() -> None:
    """A profile of another layout cannot ask for a null query, and no profile for half of one."""
    with pytest.raises(ValueError, match="layout 'joint'"):
        HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", null_query=True)
    with pytest.raises(TypeError, match="null_query must be True or False"):
        HeadProfile.from_heads(HEADS, model="tiny", layout="joint", null_query=0.5)


def test_null_query_and_support_threshold_survive_the_file(tmp_path: Path) -> None:
    """Both are in the file, and read back."""
    profile = HeadProfile.from_heads(
        HEADS, model="tiny", layout="joint", null_query=True, support_threshold=0.25
    )
    path = tmp_path / "heads.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    assert load_profile(path) == profile


def test_support_threshold_is_a_share() -> None:
    """A threshold that no share of attention reaches is an error."""
    with pytest.raises(ValueError, match="support_threshold"):
        HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", support_threshold=2.0)


@pytest.mark.parametrize("layout", ["parallel", "joint"])
def test_all_heads_by_name(layout: str) -> None:
    """`heads="all"` is every head, with a null query in the joint layout and nowhere else."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads="all", layout=layout)
    assert ranker.profile.heads == tuple((la, he) for la in range(3) for he in range(4))
    assert ranker.profile.null_query == (layout == "joint")


def test_other_words_for_heads_are_refused() -> None:
    """A word that is not 'all' is an error, not a list of letters."""
    with pytest.raises(ValueError, match="or 'all', not 'every'"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads="every")  # type: ignore[arg-type]


def test_default_heads_of_the_joint_layout() -> None:
    """An unknown model is read at its middle layers in the joint layout too, with a warning."""
    with pytest.warns(UserWarning, match="no head profile ships"):
        ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), layout="joint")
    assert {layer for layer, _ in ranker.profile.heads} == {1}
    assert ranker.profile.null_query


def test_late_borrows_the_heads_of_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the parallel layout has a profile, late reads its heads, and says so."""
    lender = packaged_profiles()["qwen2.5-coder-1.5b.parallel"]
    monkeypatch.setattr(choosing, "packaged_profiles", lambda: {"parallel": lender})
    config = Qwen2Config(
        vocab_size=151936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
        num_attention_heads=12, num_key_value_heads=2, max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )  # fmt: skip
    found = packaged_profile(config, "parallel")
    with pytest.warns(
        UserWarning, match=r"in layout 'late'.*layout 'parallel' are read.*attnmass fit"
    ):
        found = choose_profile(config, "late")
    assert (found.layout, found.heads, found.ranking) == ("late", lender.heads, lender.ranking)
    assert found.evidence == EvidenceRule()
    assert found.measured == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smollm2-135m.lat", r"no profile of that name ships.*Did you mean 'smollm2-135m\.late'\?"),
        ("smollm2-135m.late", "found by themselves: leave out profile"),
        ("owm.json", r"no such file\. Did you mean 'own\.json'\?"),
        ("nothing like it", r"no such file\.$"),
        ("own.json/deeper", r"no such file\.$"),
        (".", r"cannot be read: Is a directory"),
    ],
)
def test_a_profile_that_is_not_there(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is misspelled and a file that is missing are one error, with what is nearest."""
    (tmp_path / "own.json").write_text(FULL.to_json())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        load_profile(name)
    with pytest.raises(ValueError, match=said):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=name)
