"""Embedding models of the caller's: which are taken, and what comes of their vectors."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnmass import Trim
from attnmass.trimming.embedding import Embedder, with_cosines
from attnmass.trimming.scores import best_possible, span_scores
from tests.tiny import tiny_tokenizer
from tests.trimming.embedders import KINDS, OfLangChain, OfSentenceTransformers, vector
from tests.trimming.test_scores import SHARING


def test_the_formula_by_hand() -> None:
    """A score times `exp(b * (cosine - 1))`: as it was at a cosine of 1, or with no weight."""
    scores, cosines = np.array([0.5, 0.5, 0.2]), np.array([1.0, 0.5, -1.0])
    found = with_cosines(scores, cosines, 2.0)
    assert found == pytest.approx([0.5, 0.5 * math.exp(-1), 0.2 * math.exp(-4)])
    assert with_cosines(scores, cosines, 0.0).tolist() == scores.tolist()


share = st.floats(0, 1)


@given(share=share, cosine=st.floats(-1, 1), weight=st.floats(0, 20), chunk=share)
def test_bounds_still_hold(share: float, cosine: float, weight: float, chunk: float) -> None:
    """What no span of a chunk could score more than is not exceeded with embeddings either."""
    scores = span_scores(np.array([share]), np.ones(1), chunk, SHARING)
    (found,) = with_cosines(scores, np.array([cosine]), weight)
    assert 0 <= found <= scores[0] <= best_possible(1.0, chunk, SHARING)


@pytest.mark.parametrize("kind", KINDS)
def test_each_framework_gives_the_same(kind: Any) -> None:
    """Vectors and cosines do not depend on whose methods were called."""
    embedder = Embedder(kind())
    query, texts = embedder.query("the theory"), embedder.texts(["theory of music", "a river"])
    assert query.tolist() == vector("the theory")
    expected = [
        float(np.dot(query, each) / np.linalg.norm(query) / np.linalg.norm(each))
        for each in map(vector, ("theory of music", "a river"))
    ]
    assert embedder.cosines(query, texts) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("all-MiniLM-L6-v2", "'all-MiniLM-L6-v2'"),
        (OfLangChain, "the class OfLangChain"),
        (len, "of type builtin_function_or_method"),
        (3, "of type int"),
        (tiny_tokenizer(), "of type "),
    ],
    ids=["name", "class", "function", "number", "tokenizer"],
)
def test_what_is_no_embedding_model(wrong: Any, told: str) -> None:
    """It is a `TypeError`, before anything is ranked, that says what was passed and what to."""
    with pytest.raises(TypeError, match=f"embed_model cannot be {told}.*: pass a Sentence"):
        Trim(embed_model=wrong)


@pytest.mark.parametrize(
    ("of_query", "of_texts", "match"),
    [
        ([math.nan, 1.0], [[1.0, 0.0]], "a vector with NaN"),
        ([1.0, 0.0], [[1.0, math.inf]], "a vector with NaN or infinity"),
        ([1.0, 0.0], [[1.0, None]], "a vector with NaN"),
        ([1.0, 0.0, 0.0], [[1.0, 0.0]], "different lengths: 3 for the query, 2 for a span"),
        ([1.0, 0.0], [[1.0, 0.0], [1.0, 0.0]], r"of \(2, 2\) where 1 vector was"),
        ([1.0, 0.0], [[]], r"of \(1, 0\) where 1 vector was"),
        ([1.0, 0.0], None, "gave"),
        ([1.0, 0.0], [["a", "b"]], "vectors of different lengths, or none of numbers"),
        ([1.0, 0.0], [["1", "0"]], "none of numbers"),
        ([1.0, 0.0], [[1j, 0.0]], "none of numbers"),
        ([True, False], [[1.0, 0.0]], "none of numbers"),
        ({"dense": [1.0, 0.0]}, [[1.0, 0.0]], "none of numbers"),
        (torch.empty(2, device="meta"), [[1.0, 0.0]], "none of numbers"),
    ],
)
def test_vectors_that_are_none(of_query: Any, of_texts: Any, match: str) -> None:
    """It is a `ValueError` that names the model."""

    class Broken(OfLangChain):
        def one(self, text: str) -> Any:
            return of_query

        def many(self, texts: Any) -> Any:
            return of_texts

    embedder = Embedder(Broken())
    with pytest.raises(ValueError, match=f"embed_model, a Broken, .*{match}"):
        embedder.cosines(embedder.query("q"), embedder.texts(["a"]))


def test_rows_of_different_lengths() -> None:
    """Vectors of two texts that are not of one length are an error, too."""

    class Ragged(OfLangChain):
        def many(self, texts: Any) -> Any:
            return [[1.0] * (place + 1) for place, _ in enumerate(texts)]

    with pytest.raises(ValueError, match="a Ragged, gave vectors of different lengths"):
        Embedder(Ragged()).texts(["a", "b"])


@pytest.mark.parametrize(
    "kind",
    [
        np.float16,
        tuple,
        lambda rows: np.array(rows) * 1e300,
        lambda rows: np.array(rows) * 1e-300,
        lambda rows: torch.tensor(rows, requires_grad=True),
        lambda rows: torch.tensor(rows).bfloat16(),
        lambda rows: torch.tensor(rows).to_sparse(),
        lambda rows: [torch.tensor(row, requires_grad=True) for row in rows],
    ],
    ids=["half", "tuple", "huge", "tiny", "gradient", "bfloat16", "sparse", "list of tensors"],
)
def test_numbers_of_any_kind(kind: Any) -> None:
    """Arrays and tensors of all kinds and sizes have the cosines of the same numbers in lists."""

    class Other(OfLangChain):
        def one(self, text: str) -> Any:
            return kind([vector(text)])[0]

        def many(self, texts: Any) -> Any:
            return kind([vector(text) for text in texts])

    query, texts = "the theory of music", ["theory of music", "a river", "music music"]
    plain, other = Embedder(OfLangChain()), Embedder(Other())
    expected = plain.cosines(plain.query(query), plain.texts(texts))
    found = other.cosines(other.query(query), other.texts(texts))
    assert found == pytest.approx(expected, abs=1e-12)


def test_methods_that_are_to_be_awaited() -> None:
    """They are a `TypeError` that says so, and nobody is warned of what was not awaited."""

    class Async:
        async def embed_query(self, text: str) -> Any:
            return vector(text)

        async def embed_documents(self, texts: list[str]) -> Any:
            return [vector(text) for text in texts]

    with pytest.raises(TypeError, match=r"a Async, gave something to await: .*not async"):
        Embedder(Async()).query("q")
    with pytest.raises(TypeError, match="gave something to await"):
        Embedder(Async()).texts(["a"])


def test_an_encode_that_takes_texts_alone() -> None:
    """A model that knows no progress bar and no `convert_to_numpy` is not told of them."""

    class Plain:
        def encode(self, texts: list[str]) -> Any:
            return [vector(text) for text in texts]

    embedder = Embedder(Plain())
    assert embedder.query("the theory").tolist() == vector("the theory")
    assert embedder.texts(["a", "b"]).shape == (2, len(vector("a")))


def test_models_get_texts_that_can_be_encoded() -> None:
    """A lone surrogate, which no tokenizer takes, is a sign for it."""
    model = OfLangChain()
    embedder = Embedder(model)
    embedder.query("a\ud800")
    embedder.texts(["b\udfff c"])
    assert (model.queries, model.texts) == (["a\ufffd"], ["b\ufffd c"])


def test_a_vector_of_zeros_is_like_nothing() -> None:
    """Its cosine is 0, and nobody is warned."""
    embedder = Embedder(OfLangChain())
    found = embedder.cosines(np.array([1.0, 0.0]), np.array([[0.0, 0.0], [2.0, 0.0]]))
    assert found.tolist() == [0.0, 1.0]


def test_a_model_in_training_stays_so() -> None:
    """`encode` of sentence-transformers sets evaluation mode; each module has its own back."""

    class Training(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.trained = torch.nn.Linear(1, 1).eval(), torch.nn.Linear(1, 1)
            self.noted = OfSentenceTransformers()

        def encode(self, sentences: list[str], **options: Any) -> Any:
            self.eval()
            return self.noted.encode(sentences, **options)

    model = Training()
    model.train()
    model.frozen.eval()
    embedder = Embedder(model)
    embedder.query("q")
    embedder.texts(["a"])
    assert (model.training, model.trained.training, model.frozen.training) == (True, True, False)


@pytest.mark.parametrize("kind", KINDS)
def test_options_with_one_can_be_copied(kind: Any) -> None:
    """Copies of options, and pickles of them, which the caller asks for, embed as they did."""
    trim = Trim(embed_model=kind())
    for other in (replace(trim, top_p=0.5), copy.deepcopy(trim), pickle.loads(pickle.dumps(trim))):
        assert other.embedder is not None
        assert other.embedder.query("the theory").tolist() == vector("the theory")


def test_it_is_not_told() -> None:
    """A model may have a key, and tell it: options that are printed leave it out."""
    assert "OfLangChain" not in repr(Trim(embed_model=OfLangChain()))
