"""Which heads are read: those of all rules, those that are named, and those that there are."""

from __future__ import annotations

from typing import Any

import pytest

from attnmass import AttentionRanker, HeadProfile
from attnmass.profiles import RankRule, SpanRule
from tests.conftest import HEADS
from tests.profiles.full import FULL
from tests.tiny import tiny_model, tiny_tokenizer


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
