"""Fields of head profiles that cannot be, and how they are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attnmass import HeadProfile, load_profile
from tests.conftest import HEADS
from tests.profiles.full import written


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
        ({"evidence": {"total": -(10**400)}}, "evidence: total must be a number, not -1000"),
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
        ({"weights": "123"}, "weights: '123' is not a list of numbers"),
        ({"weights": {"1": 0, "0": 0, "00": 0}}, "weights: .* is not a list of numbers"),
        ({"weights": [True, 0, 0]}, "weights: True is not a number"),
        ({"ranking": {"heads": [[0, 0]], "exponents": [1e300]}}, "between -1e6 and 1e6, not 1e"),
        ({"ranking": {"heads": [[0, 0]], "exponents": [10**400]}}, "ranking: exponents must"),
        (
            {"ranking": {"heads": [[0, 0]], "exponents": "1"}},
            "ranking: exponents: '1' is not a list",
        ),
        ({"spans": {**SPANS, "exponents": ["1"]}}, "spans: exponents: '1' is not a number"),
        ({"evidence": {"bias": -1e300}}, "evidence: bias must be between -1e6 and 1e6"),
        ({"evidence": {"heads": [[1, 1]], "best_of": "1", "total_of": [0]}}, "best_of: '1' is no"),
        ({"relevance": {**SPANS, "bias": 1e300}}, "relevance: bias must be between"),
        ({"relevance": {**SPANS, "weights": [None]}}, "relevance: weights: None is not a number"),
        ({"relevance": [1]}, r"relevance: \[1\] is not an object with fields"),
        ({"fusing": {}}, "fusing lacks 'embedding'"),
        ({"fusing": {**FUSING, "ranks": 0}}, "fusing: ranks: 0 is not a list of numbers"),
        ({"fusing": {**FUSING, "evidence": "123"}}, "fusing: evidence: '123' is not a list"),
        ({"fusing": {**FUSING, "evidence": [1e300, 1, 1]}}, "fusing: evidence must be between"),
        (
            {"fusing": {**FUSING, "evidence": [1, True, 1]}},
            "fusing: evidence: True is not a number",
        ),
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


def test_null_query_is_for_the_joint_layout() -> None:
    """A profile of another layout cannot ask for a null query, and no profile for half of one."""
    with pytest.raises(ValueError, match="layout 'joint'"):
        HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", null_query=True)
    with pytest.raises(TypeError, match="null_query must be True or False"):
        HeadProfile.from_heads(HEADS, model="tiny", layout="joint", null_query=0.5)


def test_support_threshold_is_a_share() -> None:
    """A threshold that no share of attention reaches is an error."""
    with pytest.raises(ValueError, match="support_threshold"):
        HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", support_threshold=2.0)
