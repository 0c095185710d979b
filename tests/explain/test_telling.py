"""Results as people print them and as programs read them."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk, RankedChunk, Ranking, Timings, Trim
from attnmass.profiles import HeadProfile
from attnmass.results.attribution import Attribution
from attnmass.results.citations import cite, ranked_passages
from attnmass.results.support import AnswerSentence, Support
from attnmass.text.lines import beginning
from tests.explain.support import CHUNKS, HOSTILE, QUERY

PROFILE = HeadProfile.from_heads([(0, 0)], model="m", layout="parallel")
TIMINGS = Timings(0.1, 0.2, 0.3, 0.6)


def by_hand(n_kept: int, n_dropped: int = 0, **fields: Any) -> Ranking:
    """A ranking of long texts."""
    kept = [
        RankedChunk(n, 1 / (n + 2), 9, text=f"Text {n} " * 200, relevance=0.5)
        for n in range(n_kept)
    ]
    dropped = [
        RankedChunk(n_kept + n, 0.0, 9, dropped="min_relevance" if n == 1 else "top_n")
        for n in range(n_dropped)
    ]
    scores = tuple(chunk.score for chunk in (*kept, *dropped))
    return Ranking("Who?", tuple(kept), scores, PROFILE, TIMINGS, dropped=tuple(dropped), **fields)


def test_a_ranking_prints_in_a_few_lines() -> None:
    """The best five chunks, how many more there are, and what was dropped for what."""
    assert repr(by_hand(7, 3, evidence=0.25, notes=("one", "two", "three"))).splitlines() == [
        "Ranking of 10 chunks for 'Who?': 7 kept, evidence 0.250",
        *(
            f"  {n + 1}. chunks[{n}]  score {1 / (n + 2):.4f}  relevance 0.500  "
            f"'{f'Text {n} ' * 8}Tex…'"
            for n in range(5)
        ),
        "  and 2 more in .chunks",
        "  dropped 3: 2 top_n, 1 min_relevance",
        "  note: one",
        "  note: two",
        "  and 1 more in .notes",
    ]


def test_what_a_ranking_says_where_it_applies() -> None:
    """No evidence, tokens before and after, and a skipped chunk are told only where there are."""
    found = repr(by_hand(0, 1, no_evidence=True, n_tokens_before=1200, n_tokens_after=30))
    assert found.splitlines() == [
        "Ranking of 1 chunk for 'Who?': 0 kept, evidence 0.000, below the threshold",
        "  dropped 1: 1 top_n",
        "  tokens 1,200 -> 30",
    ]


def test_a_dry_run_says_what_it_would_save(ranker: AttentionRanker) -> None:
    """The sentence of `Saving` is one of the lines, and is said once."""
    ranking = ranker.trim(QUERY, list(CHUNKS), keep_ratio=0.5, dry_run=True)
    assert f"  {ranking.saving}" in repr(ranking).splitlines()
    assert repr(ranking).count("dry run") == 1
    assert str(ranking.saving) in ranking.notes


def test_what_evidence_is_held_against(ranker: AttentionRanker) -> None:
    """Where it is below a threshold, that is told."""
    assert repr(by_hand(2, 0, evidence=0.7)).splitlines()[0].endswith("evidence 0.700")
    below = ranker.rank(QUERY, list(CHUNKS), evidence_threshold=1.0)
    assert "below the threshold of 1.000" in repr(below)


def test_printing_many_chunks_stays_short(ranker: AttentionRanker) -> None:
    """48 long chunks, trimmed, take less than a screen, whatever is in them."""
    chunks = [f"{text} {HOSTILE[n % len(HOSTILE)]}" * 20 for n, text in enumerate(HOSTILE * 4)]
    ranking = ranker.trim(QUERY, chunks, keep_ratio=0.2)
    found = repr(ranking)
    assert len(found.splitlines()) <= 12
    assert len(found) < 1500
    assert found.isprintable() or set(found) - set(filter(str.isprintable, found)) == {"\n"}
    found.encode("utf-8")
    assert all(len(repr(chunk)) < 500 for chunk in (*ranking.chunks, *ranking.dropped))


def test_other_results_print_on_a_line(ranker: AttentionRanker) -> None:
    """So do chunks, explanations, looks inside and numbered texts."""
    chunks = [Chunk(chunk.text * 30) for chunk in CHUNKS]
    ranking = ranker.trim(QUERY, chunks, keep_ratio=0.5)
    cited = cite(ranked_passages(ranking, chunks))
    for result in (ranking.chunks[0], ranking.explain(), ranker.inside(chunks)[0], cited):
        assert "\n" not in repr(result)
        assert len(repr(result)) < 250
    kept = ranking.chunks[0]
    assert repr(kept).startswith(f"RankedChunk(index={kept.index}, score={kept.score:.4f}, text=")
    assert repr(kept).endswith(f"{len(kept.kept_spans)} of {len(kept.spans)} spans kept)")
    assert repr(RankedChunk(3, 0.0, 0, skipped="blank")) == (
        "RankedChunk(index=3, score=0.0000, skipped='blank')"
    )


def test_an_attribution_prints_its_sentences() -> None:
    """Each with its support and the span that it looked at most."""
    span = Support(1, 0, 4, "Here", "sentence", 0.2, 0.2, "id")
    first = AnswerSentence(0, 2, "A.", (span,), (0.1, 0.2), 0.2, True)
    second = replace(first, text="B.", spans=(), support=0.01, supported=False)
    found = Attribution("q", "A. B.", (first, second), (0.1, 0.2), PROFILE, 0.05)
    assert repr(found).splitlines() == [
        "Attribution of 2 sentences to 2 chunks: 1 unsupported below 0.050",
        "  1. support 0.2000  'A.' <- chunks[1] 'Here'",
        "  2. support 0.0100  'B.'",
    ]
    many = repr(replace(found, sentences=(first,) * 30, threshold=None)).splitlines()
    assert many[0] == "Attribution of 30 sentences to 2 chunks"
    assert many[-1] == "  and 20 more in .sentences"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "''"),
        (" a \n b ", "'a b'"),
        ("x" * 10, "'xxxxxxxxxx'"),
        ("x" * 11, "'xxxxxxxxx…'"),
        ("nul \x00", r"'nul \x00'"),
        ("\ud800", r"'\ud800'"),
    ],
)
def test_how_a_text_begins(text: str, told: str) -> None:
    """One quoted line of so many characters, and an ellipsis where there is more."""
    assert beginning(text, 10) == told


def test_to_dict_is_json(ranker: AttentionRanker) -> None:
    """It has every chunk with its numbers and spans, and JSON takes all of it."""
    chunks = [*CHUNKS, "", HOSTILE[5]]
    ranking = ranker.rank(
        QUERY,
        chunks,
        top_n=3,
        fuse=None,
        retrieval_scores=[float("nan"), 2, None, float("inf"), 1.5],
        trim=Trim(keep_ratio=0.5),
    )
    told = json.loads(json.dumps(ranking.to_dict(), allow_nan=False))
    assert told["query"] == QUERY
    assert told["scores"] == list(ranking.scores)
    assert [chunk["rank"] for chunk in told["chunks"]] == [*range(1, len(ranking.chunks) + 1)]
    for chunk, found in zip(
        (*ranking.chunks, *ranking.dropped), (*told["chunks"], *told["dropped"]), strict=True
    ):
        for name in ("index", "score", "share", "mass", "relevance", "n_tokens", "skipped"):
            assert found[name] == getattr(chunk, name)
        assert found.get("dropped") == chunk.dropped
        assert found.get("text", "") == chunk.text
        kept = [span["id"] for span in found.get("spans", ()) if span["kept"]]
        assert kept == [span.id for span in chunk.kept_spans]
    scores = {chunk["index"]: chunk["retrieval_score"] for key in ("chunks", "dropped")
              for chunk in told[key]}  # fmt: skip
    assert scores == {0: None, 1: 2.0, 2: None, 3: None, 4: 1.5}
    assert told["profile"]["heads"] == [list(head) for head in ranking.profile.heads]
    assert told["timings"]["total"] == ranking.timings.total


def test_to_pandas_has_a_row_for_each_chunk(ranker: AttentionRanker) -> None:
    """Kept chunks come first with their ranks, then dropped ones with their reasons."""
    pytest.importorskip("pandas")
    ranking = ranker.rank(QUERY, [*CHUNKS, ""], top_n=2, trim=Trim(keep_ratio=0.9))
    table = ranking.to_pandas()
    every = [*ranking.chunks, *ranking.dropped]
    assert table["index"].tolist() == [chunk.index for chunk in every]
    assert table["score"].tolist() == [chunk.score for chunk in every]
    assert table["rank"].dropna().tolist() == [*range(1, len(ranking.chunks) + 1)]
    assert table["n_kept_spans"].tolist() == [len(chunk.kept_spans) for chunk in every]
    assert table["text"].tolist() == [chunk.text for chunk in every]
    gone = table[table["rank"].isna()]
    assert gone["dropped"].tolist() == [chunk.dropped for chunk in ranking.dropped]
    assert list(by_hand(0).to_pandas().columns) == list(table.columns)


def test_without_pandas_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what to install, and what does without."""
    plain = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return plain(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install pandas, or use to_dict\(\)"):
        by_hand(1).to_pandas()
