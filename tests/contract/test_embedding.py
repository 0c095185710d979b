"""What both adapters promise of an embedding model that a pipeline has."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import pytest

from tests.contract.adapters import Adapter
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, make
from tests.trimming.embedders import KINDS, OfLangChain

pytestmark = pytest.mark.in_process  # a server is told of no model, see `test_remote`

ASKED = "Who played music?"


class Violins(OfLangChain):
    """Finds violins, and has a key."""

    def __init__(self) -> None:
        super().__init__()
        self.api_key = "open-sesame"

    def one(self, text: str) -> Any:
        """A query's vector."""
        self.queries.append(text)
        return [1.0, 0.0]

    def many(self, texts: Any) -> Any:
        """Vectors of texts."""
        self.batches.append(list(texts))
        return [[1.0, 0.0] if "violin" in text else [-1.0, 0.0] for text in texts]


def kept(adapter: Adapter, rerank: Any) -> list[str]:
    """Texts of what is left of the candidates."""
    return [i.text for i in adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), ASKED))]


def test_it_has_a_part_in_what_is_kept(adapter: Adapter) -> None:
    """The sentence that is most like the query is kept, where attention alone has another."""
    model = Violins()
    (text,) = kept(adapter, make(adapter, max_tokens=None, keep_ratio=0.15, embed_model=model))
    (plain,) = kept(adapter, make(adapter, max_tokens=None, keep_ratio=0.15))
    assert "violin" in text
    assert "violin" not in plain
    assert model.queries == [ASKED]
    assert len(model.batches) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_framework_keeps_the_same(adapter: Adapter, kind: Any) -> None:
    """Whose methods it has does not matter, nor which adapter it is passed to."""
    assert kept(adapter, make(adapter, embed_model=kind())) == kept(
        adapter, make(adapter, embed_model=OfLangChain())
    )


def test_what_is_none_fails_at_construction(adapter: Adapter) -> None:
    """A name, or anything else that does not embed, is a `TypeError` before any query."""
    with pytest.raises(TypeError, match="embed_model cannot be 'minilm': pass a Sentence"):
        adapter.Rerank(max_tokens=5, embed_model="minilm")


def test_vectors_that_are_none_pass_through_where_asked(adapter: Adapter) -> None:
    """A model that fails is a failure like any other: an error, or the candidates untouched."""

    class Broken(Violins):
        def many(self, texts: Any) -> Any:
            return [[float("nan"), 0.0] for _ in texts]

    with pytest.raises(ValueError, match="embed_model, a Broken, gave a vector with NaN"):
        kept(adapter, make(adapter, embed_model=Broken()))
    rerank = make(adapter, embed_model=Broken(), on_error="passthrough")
    with pytest.warns(RuntimeWarning, match="not reranked: ValueError: embed_model"):
        assert kept(adapter, rerank) == [candidate.text for candidate in CANDIDATES]


def test_copies_share_it(adapter: Adapter) -> None:
    """A copy, deep or not, embeds with the very same model."""
    rerank = make(adapter, embed_model=Violins())
    for other in (rerank.model_copy(), copy.copy(rerank), copy.deepcopy(rerank)):
        assert other.embed_model is rerank.embed_model
        assert kept(adapter, other) == kept(adapter, rerank)
        assert other == rerank


def test_it_is_in_no_pickle_dump_or_text(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold weights or a key: a pickle goes without it and says so, its owner keeps it."""
    rerank = make(adapter, embed_model=Violins())
    with caplog.at_level(logging.WARNING):
        pickled = pickle.dumps(rerank)
    assert "embed_model stays behind" in caplog.text
    assert b"open-sesame" not in pickled
    assert "Violins" not in repr(rerank) + str(rerank) + rerank.model_dump_json()
    other = pickle.loads(pickled)
    assert other.embed_model is None
    other._ranker, other.embed_model = rerank._ranker, rerank.embed_model
    assert kept(adapter, other) == kept(adapter, rerank)


def test_another_model_is_another_request(adapter: Adapter) -> None:
    """What was trimmed with one model is not taken for the result of another, or of none."""
    rerank = make(adapter, embed_model=Violins())
    once = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    model = Violins()
    rerank.embed_model = model
    adapter.run(rerank, once, QUERY)
    assert model.queries == [QUERY]
