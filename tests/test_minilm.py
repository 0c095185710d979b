"""A real encoder, all-MiniLM-L6-v2, from the installed package: its profile and its sense."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

from attnmass import AttentionRanker, Ranking
from attnmass.loading.sources import ALIASES
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec(ALIASES["all-minilm-l6-v2"].package) is None,
        reason="the package with the weights is not installed",
    ),
]

CHUNKS = [
    "A Jersey cow gives milk that is rich in butterfat.",
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The Eiffel Tower was built from 1887 to 1889.",
    "Relational databases store rows in tables.",
]
QUESTION = "Who invented the theory of relativity?"


@pytest.fixture(scope="module")
def minilm() -> AttentionRanker:
    """The model with its own profile, which ships."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no word about a missing profile
        return AttentionRanker.from_pretrained("all-minilm-l6-v2", dtype="float32")


def test_comes_with_its_profile(minilm: AttentionRanker) -> None:
    """It is read pair by pair, at the heads and in the direction that were selected for it."""
    assert minilm.profile.source == "fitted"
    assert minilm.profile.layout == "pointwise"
    assert minilm.profile.direction is not None


def test_finds_the_evidence(minilm: AttentionRanker) -> None:
    """The chunk that answers the question is first, and its sentence is what trimming keeps."""
    ranking = minilm.rank(QUESTION, CHUNKS)
    assert ranking.chunks[0].index == 1
    trimmed = minilm.trim(QUESTION, [" ".join(CHUNKS)], keep_ratio=0.4)
    assert CHUNKS[1] in trimmed.chunks[0].text


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("llama_index.embeddings.huggingface", "HuggingFaceEmbedding"),
        ("langchain_huggingface", "HuggingFaceEmbeddings"),
    ],
)
def test_embeds_spans_in_every_framework(module: str, name: str) -> None:
    """The same weights score spans alike as a model of whichever package."""
    spec = importlib.util.find_spec(ALIASES["all-minilm-l6-v2"].package)
    assert spec is not None
    assert spec.origin is not None
    folder = str(Path(spec.origin).parent / "model")
    transformers = pytest.importorskip("sentence_transformers").SentenceTransformer(folder)
    other = getattr(pytest.importorskip(module), name)(model_name=folder)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)

    def scores(ranking: Ranking) -> list[float]:
        return [span.score for chunk in ranking.chunks for span in chunk.spans]

    plain, mine, theirs = (
        ranker.trim(QUESTION, CHUNKS, top_p=1.0, embed_model=model)
        for model in (None, transformers, other)
    )
    assert scores(theirs) == pytest.approx(scores(mine), rel=1e-5)
    assert all(0 < one < two for one, two in zip(scores(mine), scores(plain), strict=True))
