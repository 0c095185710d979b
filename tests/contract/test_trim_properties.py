"""Trimming over random texts, metadata and budgets, for both adapters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.adapters import Candidate, LangChainAdapter, LlamaIndexAdapter
from tests.contract.candidates import QUERY
from tests.contract.checks import trim_and_check
from tests.tiny import tiny_tokenizer
from tests.trimming.build import words

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
    trim_and_check(build(), candidates, options, QUERY)
