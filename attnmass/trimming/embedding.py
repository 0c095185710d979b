"""How like a query spans are, by an embedding model that the caller has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from attnmass.trimming.budget import encodable
from attnmass.trimming.scores import Floats

# What a framework's model gives: a vector, or one for each text.
_OfQuery = Callable[[str], Any]
_OfTexts = Callable[[list[str]], Any]


class Embedder:
    """Vectors of a query and of texts, whichever framework the model is of.

    Nothing of the frameworks is imported: a model is known by the methods that it has.
    """

    def __init__(self, model: Any) -> None:
        """Bind to a model, of which nothing is changed.

        Args:
            model: Of sentence-transformers (`encode`; where it has them `encode_query` and
                `encode_document`, which set its prompts), a LlamaIndex `BaseEmbedding`
                (`get_query_embedding`, `get_text_embedding_batch`), or LangChain `Embeddings`
                (`embed_query`, `embed_documents`).

        Raises:
            TypeError: If it is none of these.
        """
        self._model = model
        self._name = type(model).__name__
        self._of_query, self._of_texts = _methods(model)

    def __reduce__(self) -> tuple[type[Embedder], tuple[Any]]:
        return type(self), (self._model,)

    def query(self, text: str) -> Floats:
        """The vector of a query, `[size]`.

        Raises:
            ValueError: If it is none, or has NaN.
        """
        (vector,) = self._vectors([self._of_query(encodable(text))], 1)
        return np.asarray(vector)

    def texts(self, texts: Sequence[str]) -> Floats:
        """The vectors of texts, embedded in one call, `[text, size]`.

        Raises:
            ValueError: If they are not as many, not of one length, or have NaN.
        """
        return self._vectors(self._of_texts(list(map(encodable, texts))), len(texts))

    def cosines(self, query: Floats, texts: Floats) -> Floats:
        """The cosine of each text with the query, `[text]`, in [-1, 1]; of zeros it is 0.

        Args:
            query: From `query`.
            texts: From `texts`.

        Raises:
            ValueError: If the vectors are of different lengths.
        """
        if texts.shape[-1] != len(query):
            raise ValueError(
                f"embed_model, a {self._name}, gave vectors of different lengths: {len(query)} for "
                f"the query, {texts.shape[-1]} for a span"
            )
        sizes = np.linalg.norm(texts, axis=-1) * np.linalg.norm(query)
        products = texts @ query
        found = np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0)
        return np.asarray(np.clip(found, -1.0, 1.0))

    def _vectors(self, given: Any, count: int) -> Floats:
        try:
            vectors: Floats = np.asarray(given, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"embed_model, a {self._name}, gave vectors of different lengths, or none: {error}"
            ) from error
        if vectors.ndim != 2 or len(vectors) != count or not vectors.size:
            raise ValueError(
                f"embed_model, a {self._name}, gave an array of {vectors.shape} where {count} "
                "vectors were asked for"
            )
        if not np.isfinite(vectors).all():
            raise ValueError(f"embed_model, a {self._name}, gave a vector with NaN or infinity")
        return vectors


def with_cosines(scores: Floats, cosines: Floats, weight: float) -> Floats:
    """Scores of spans that embeddings have a part in: `score * exp(weight * (cosine - 1))`.

    That is a conditional logit of the score's logarithm and the cosine. No factor is above 1, so
    that what bounds the scores still does; no other span has a part in it.

    Args:
        scores: By attention, `[span]`, in [0, 1].
        cosines: With the query, `[span]`, in [-1, 1].
        weight: The profile's, at least 0.
    """
    return np.asarray(scores * np.exp(weight * (cosines - 1.0)))


def _methods(model: Any) -> tuple[_OfQuery, _OfTexts]:
    if _has(model, "get_query_embedding", "get_text_embedding_batch"):  # LlamaIndex
        return model.get_query_embedding, model.get_text_embedding_batch
    if _has(model, "embed_query", "embed_documents"):  # LangChain
        return model.embed_query, model.embed_documents
    if _has(model, "encode") and not isinstance(model, str) and not hasattr(model, "decode"):
        return _sentence_transformers(model)
    raise TypeError(
        f"embed_model cannot be {_told(model)}: pass a SentenceTransformer, an embedding model of "
        "LlamaIndex (BaseEmbedding) or of LangChain (Embeddings), as an object that is loaded"
    )


def _has(model: Any, *methods: str) -> bool:
    """Whether an object, not a class, has some methods."""
    return not isinstance(model, type) and all(
        callable(getattr(model, name, None)) for name in methods
    )


def _told(model: Any) -> str:
    if isinstance(model, type):
        return f"the class {model.__name__}"
    return repr(model) if isinstance(model, str) else f"a {type(model).__name__}"


def _sentence_transformers(model: Any) -> tuple[_OfQuery, _OfTexts]:
    ways = ("encode_query", "encode_document")
    of_query, of_texts = ways if _has(model, *ways) else ("encode", "encode")
    plain = {"show_progress_bar": False, "convert_to_numpy": True}

    def query(text: str) -> Any:
        with _as_it_was(model):
            return getattr(model, of_query)([text], **plain)[0]

    def texts(texts: list[str]) -> Any:
        with _as_it_was(model):
            return getattr(model, of_texts)(texts, **plain)

    return query, texts


@contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """`encode` puts a model that is being trained into evaluation mode; put it back."""
    training = [each for each in getattr(model, "modules", list)() if each.training]
    try:
        yield
    finally:
        for each in training:
            each.training = True
