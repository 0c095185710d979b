"""Trimming over random texts, metadata and budgets, for both adapters."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.adapters import Adapter, Candidate, LangChainAdapter, LlamaIndexAdapter
from tests.contract.test_trimming import QUERY, counter, make, words
from tests.tiny import tiny_tokenizer

WORDS = [
    "theory",
    "river",
    "Dr.",
    "1905",
    "\u76f8\u5bf9\u8bba\u3002",
    "\u05e9\u05dc\u05d5\u05dd",
    "**b**",
    "\U0001f9ea",
    "...",
]
PIECES = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(
        lambda found: " ".join(found) + "."
    ),
    st.sampled_from(
        ["# Title", "- item of a theory", "```\ncode theory\n```", "|a|b|\n|-|-|\n|1|2|"]
    ),
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=8).flatmap(
        lambda found: st.sampled_from([" ", "\n", "\n\n", "  "]).map(lambda gap: gap.join(found))
    ),
    st.text(max_size=60),
)
METADATA = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.text(max_size=12) | st.integers(), max_size=3
)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        text=TEXTS,
        score=st.floats(0, 1),
        id=st.sampled_from(["a", "b", "c"]),
        metadata=METADATA,
        offset=st.none() | st.integers(0, 1000),
    ),
    max_size=5,
)
OPTIONS = st.fixed_dictionaries(
    {
        "max_tokens": st.integers(1, 120),
        "tokenizer": st.sampled_from([None, words, len, tiny_tokenizer()]),
    },
    optional={
        "keep_ratio": st.floats(0.05, 1),
        "top_p": st.floats(0.05, 1),
        "min_keep": st.integers(0, 4),
        "neighbors": st.integers(0, 2),
        "keep_titles": st.booleans(),
        "resolve_context": st.booleans(),
        "separator": st.sampled_from(["", "…", " [...] ", "\n"]),
        "on_empty": st.sampled_from(["raise", "empty", "cut"]),
        "order": st.sampled_from(["score", "input", "best_last"]),
        "top_n": st.none() | st.integers(1, 3),
    },
)


@pytest.mark.parametrize("build", [LlamaIndexAdapter, LangChainAdapter])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(candidates=CANDIDATES, options=OPTIONS)
def test_any_texts_any_budget(
    build: type[Any], candidates: list[Candidate], options: dict[str, Any]
) -> None:
    """The ceiling holds, kept text is verbatim, twice is once, and `restore` undoes it all."""
    adapter: Adapter = build()
    found = adapter.build(candidates)
    before = copy.deepcopy(found)
    rerank = make(adapter, **options)
    try:
        result = adapter.run(rerank, found, QUERY)
    except ValueError as error:
        assert "for any span" in str(error)  # noqa: PT017 - else it is one more result
        assert options.get("on_empty", "raise") == "raise"
        result = []
    assert found == before

    tokenizer = options["tokenizer"]
    count = adapter.count
    if tokenizer is not None:
        count = tokenizer if tokenizer in (words, len) else counter(tokenizer)
    shown = [adapter.visible(native)[0] for native in result]
    if shown:
        assert count("\n\n".join(shown)) <= options["max_tokens"]
        assert sum(map(count, shown)) <= options["max_tokens"]

    for native, item in zip(result, adapter.read(result), strict=True):
        hidden = item.hidden
        assert json.loads(json.dumps(hidden)) == hidden
        source = candidates[hidden["rank_before"]]
        assert hidden.get("original_text", item.text) == source.text
        at = 0
        for span in hidden["spans"]:
            kept = source.text[span["start"] : span["end"]]
            assert kept
            at = item.text.index(kept, at) + len(kept)
            assert span.get("doc_start") == (
                None if source.offset is None else source.offset + span["start"]
            )
        offset = adapter.offset(native)
        if offset is not None:
            start = offset - source.offset
            assert source.text[start : start + len(item.text)] == item.text
        assert adapter.restore(native) == found[hidden["rank_before"]]
    assert adapter.run(rerank, result, QUERY) == result
    cited = adapter.cite(result)
    assert len(cited.sources) == sum(len(item.hidden["spans"]) for item in adapter.read(result))
    for item, native in zip(adapter.read(result), result, strict=True):
        assert [source.text for source in adapter.cite([native]).sources] == [
            candidates[item.hidden["rank_before"]].text[span["start"] : span["end"]]
            for span in item.hidden["spans"]
        ]
