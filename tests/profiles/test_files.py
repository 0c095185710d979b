"""Files of head profiles: what is written is read again, and what cannot be is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from attnmass import AttentionRanker, HeadProfile, load_profile
from attnmass.profiles import EvidenceRule, FuseRule, SpanRule
from attnmass.profiles.fusing import COSINE_WEIGHT
from tests.conftest import HEADS
from tests.profiles.full import FULL, written
from tests.tiny import tiny_model, tiny_tokenizer


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
    fusing = FuseRule(
        (0.8, 0.7), (0.9, 0.4), (0.9, 0.5), evidence=(0.5, 6.0, -3.0), words=(1.0, 1.5)
    )
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


def test_null_query_and_support_threshold_survive_the_file(tmp_path: Path) -> None:
    """Both are in the file, and read back."""
    profile = HeadProfile.from_heads(
        HEADS, model="tiny", layout="joint", null_query=True, support_threshold=0.25
    )
    path = tmp_path / "heads.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    assert load_profile(path) == profile


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
