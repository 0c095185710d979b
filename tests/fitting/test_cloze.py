"""Labelled queries out of texts alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass.fitting.metrics import auc
from attnmass.fitting.queries.bm25 import bm25
from attnmass.fitting.queries.cloze import cloze_queries, paragraphs_of
from attnmass.fitting.queries.jsonl import check_labels
from attnmass.profiles.texts import Document, ordinary_documents

CHINESE = (
    "长江是亚洲最长的河流，发源于青藏高原。它流经十一个省份，最后在上海注入东海。"
    "三峡大坝建在宜昌附近，是世界上最大的水电站。很多城市都依靠它的水源生活和发展。"
)
_WORDS = st.sampled_from(
    ["river", "stone", "winter", "market", "harbour", "old", "seven", "walked", "light", "paper"]
)
_SENTENCES = st.lists(_WORDS, min_size=5, max_size=9).map(
    lambda words: f"{' '.join(words).capitalize()}."
)
_PARAGRAPHS = st.lists(_SENTENCES, min_size=1, max_size=4).map(" ".join)
_DOCUMENTS = st.lists(
    st.lists(_PARAGRAPHS, min_size=1, max_size=4).map(
        lambda found: Document("Title", tuple(found))
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(_DOCUMENTS, st.integers(2, 9), st.integers(0, 3))
def test_what_every_query_has(documents: list[Document], candidates: int, seed: int) -> None:
    """One chunk is relevant, none holds the sentence that was taken out, none is there twice."""
    found = cloze_queries(documents, candidates=candidates, seed=seed)
    assert found == cloze_queries(documents, candidates=candidates, seed=seed)
    paragraphs = {text for document in documents for text in document.paragraphs}
    assert len({query.query for query in found}) == len({query.id for query in found}) == len(found)
    for query in found:
        check_labels(query)
        texts = [chunk.text for chunk in query.chunks]
        assert sum(query.relevant) == 1
        assert 2 <= len(texts) <= candidates
        assert len(set(texts)) == len(texts)
        assert len({chunk.id for chunk in query.chunks}) == len(texts)
        if query.query.endswith("."):  # keywords may stand in a row somewhere by chance
            assert not any(query.query in text for text in texts)
        (relevant,) = (chunk.text for chunk in query.chunks if chunk.relevant)
        assert relevant not in paragraphs


def test_the_texts_that_ship() -> None:
    """They give 120 queries of as many documents as there are, half of them keywords."""
    documents = ordinary_documents()
    found = cloze_queries(documents)
    assert len(found) == 120
    assert all(len(query.chunks) == 20 for query in found)
    assert len({query.id.partition("-")[0] for query in found}) == len(documents)
    whole = [any(query.query in p for d in documents for p in d.paragraphs) for query in found]
    assert all(whole[0::2])
    assert sum(whole[1::2]) < 10
    assert all(len(query.query.split()) <= 8 for query in found[1::2] if "." not in query.query)
    assert cloze_queries(documents, most=12, seed=1) != cloze_queries(documents, most=12)


def test_a_hole_tells_little() -> None:
    """Half of all chunks lack a sentence, however few of them are asked for."""
    documents = ordinary_documents()
    whole = {paragraph for document in documents for paragraph in document.paragraphs}
    for most in (20, 120):
        others = [
            chunk.text in whole
            for query in cloze_queries(documents, most=most)
            for chunk in query.chunks
            if not chunk.relevant
        ]
        assert 0.4 < np.mean(others) < 0.6


def test_hard_candidates() -> None:
    """Half of a query's others are of its own document as far as there are so many."""
    documents = ordinary_documents()
    for query in cloze_queries(documents, most=6, candidates=5):
        own = query.id.partition("-")[0]
        assert sum(chunk.id.partition("-")[0] == own for chunk in query.chunks) == 3


def test_words_in_common_do_not_count_against_a_chunk() -> None:
    """Candidates are not chosen by the sentence's words: BM25 does better than chance on them."""
    found = cloze_queries(ordinary_documents())
    values = []
    for query in found:
        scores = bm25(query.query, [chunk.text for chunk in query.chunks])
        values.append(float(auc(np.array(query.relevant) > 0, scores)))
    assert 0.6 < np.mean(values) < 0.8


def test_languages_without_spaces() -> None:
    """Chinese gives whole sentences as queries, and no space where one was taken out."""
    other = "故宫位于北京市中心，曾是明清两代的皇宫。如今它是一座博物馆，每年接待数百万游客参观。"
    found = cloze_queries([paragraphs_of(CHINESE), paragraphs_of(other)])
    assert len(found) == 2
    for query in found:
        assert query.query in CHINESE + other
        assert all(" " not in chunk.text for chunk in query.chunks)


def test_texts_are_cut_into_paragraphs() -> None:
    """What is long is cut at blank lines or at sentences, a heading stays with what it heads."""
    sentence = "The old bridge over the river was rebuilt in the winter after the flood. "
    text = f"# First\n\n{sentence * 6}\n\n# Second\n\n{sentence * 30}"
    found = paragraphs_of(text).paragraphs
    assert found[0].startswith("# First")
    assert found[1].startswith("# Second")
    assert len(found) == 4
    assert all(len(one) <= 1000 for one in found)
    assert "".join(found).replace(" ", "").replace("\n", "") == text.replace(" ", "").replace(
        "\n", ""
    )
    assert paragraphs_of(" \n").paragraphs == ()


def test_texts_that_give_nothing() -> None:
    """Texts without a sentence to take out give no query, and sizes that are off are errors."""
    assert cloze_queries([Document("", ("One short line.",)), Document("", ("Two.",))]) == ()
    assert cloze_queries([]) == ()
    with pytest.raises(ValueError, match="candidates must be at least 2, not 1"):
        cloze_queries([], candidates=1)
    with pytest.raises(ValueError, match="most must be at least 1, not 0"):
        cloze_queries([], most=0)
