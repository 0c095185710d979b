"""How similar spans are to a query, by an embedding model that the caller has."""

from __future__ import annotations

import inspect
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

    Nothing from the frameworks is imported: a model is recognised by the methods that it has.
    """

    def __init__(self, model: Any) -> None:
        """Bind to a model; nothing in it is changed.

        Args:
            model: One of sentence-transformers (`encode`; where it has them, `encode_query` and
                `encode_document`, which set its prompts), a LlamaIndex `BaseEmbedding`
                (`get_query_embedding`, `get_text_embedding_batch`), or LangChain `Embeddings`
                (`embed_query`, `embed_documents`).

        Raises:
            TypeError: If it is none of these.
        """
        self._model = model
        self._who = f"embed_model, a {type(model).__name__},"
        self._of_query, self._of_texts = _methods(model)

    def __reduce__(self) -> tuple[type[Embedder], tuple[Any]]:
        return type(self), (self._model,)

    def query(self, text: str) -> Floats:
        """The vector of a query, `[size]`.

        Raises:
            ValueError: If it is not one, or has NaN.
            TypeError: If it has to be awaited.
        """
        found = self._numbers(self._of_query(encodable(text)))
        (vector,) = self._rows(found[None] if found.ndim == 1 else found, 1)
        return np.asarray(vector)

    def texts(self, texts: Sequence[str]) -> Floats:
        """The vectors of texts, embedded in one call, `[text, size]`.

        Raises:
            ValueError: If they are not as many as the texts, not of one length, or have NaN.
            TypeError: If they have to be awaited.
        """
        return self._rows(self._numbers(self._of_texts(list(map(encodable, texts)))), len(texts))

    def cosines(self, query: Floats, texts: Floats) -> Floats:
        """The cosine of each text with the query, `[text]`, in [-1, 1]; 0 for vectors of zeros.

        Args:
            query: From `query`.
            texts: From `texts`.

        Raises:
            ValueError: If the vectors are of different lengths.
        """
        if texts.shape[-1] != len(query):
            raise ValueError(
                f"{self._who} gave vectors of different lengths: {len(query)} for the query, "
                f"{texts.shape[-1]} for a span"
            )
        found = _of_length_one(texts) @ _of_length_one(query)
        return np.asarray(np.clip(found, -1.0, 1.0))

    def _numbers(self, given: Any) -> Floats:
        """What the model gave, as an array."""
        if inspect.isawaitable(given):
            if inspect.iscoroutine(given):
                given.close()  # nobody will await it
            raise TypeError(
                f"{self._who} gave something to await: pass a model whose methods are not async"
            )
        try:
            found = np.asarray(_in_memory(given))
            if found.dtype.kind not in "fiuO":  # digits in texts and complex numbers can be cast
                raise TypeError(f"there are values of type {found.dtype.name} in them")
            return found.astype(np.float64)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ValueError(
                f"{self._who} gave vectors of different lengths, or none of numbers: {error}"
            ) from error

    def _rows(self, found: Floats, count: int) -> Floats:
        """Checks that it is `count` vectors."""
        if found.ndim != 2 or len(found) != count or not found.size:
            asked = f"{count} vector{'s were' if count > 1 else ' was'} asked for"
            raise ValueError(f"{self._who} gave an array of {found.shape} where {asked}")
        if not np.isfinite(found).all():
            raise ValueError(f"{self._who} gave a vector with NaN or infinity")
        return found


def _in_memory(given: Any) -> Any:
    """What numpy can read: no tensor on a device, in bfloat16, sparse, or with a gradient."""
    if _is_tensor(given):
        found = given.detach().cpu().to_dense()
        return (found.double() if found.is_floating_point() else found).numpy()
    if isinstance(given, list | tuple):
        return [_in_memory(each) if _is_tensor(each) else each for each in given]
    return given


def _is_tensor(given: Any) -> bool:
    return hasattr(given, "detach") and hasattr(given, "to_dense")  # torch is not brought in here


def _of_length_one(vectors: Floats) -> Floats:
    """Vectors over their lengths, `[..., size]`; zeros stay zeros."""
    # First by the largest: no float holds the squares of what is beyond 1e154, or below 1e-162.
    found = _over(vectors, np.abs(vectors).max(axis=-1, keepdims=True))
    return _over(found, np.linalg.norm(found, axis=-1, keepdims=True))


def _over(vectors: Floats, sizes: Floats) -> Floats:
    return np.asarray(np.divide(vectors, sizes, out=np.zeros_like(vectors), where=sizes > 0))


def with_cosines(scores: Floats, cosines: Floats, weight: float) -> Floats:
    """Scores of spans in which embeddings play a part: `score * exp(weight * (cosine - 1))`.

    That is a conditional logit of the score's logarithm and the cosine. No factor is above 1, so
    what bounds the scores still does; no other span affects it.

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
    return repr(model) if isinstance(model, str) else f"of type {type(model).__name__}"


def _sentence_transformers(model: Any) -> tuple[_OfQuery, _OfTexts]:
    ways = ("encode_query", "encode_document")
    of_query, of_texts = ways if _has(model, *ways) else ("encode", "encode")

    def embed(name: str, texts: list[str]) -> Any:
        encode = getattr(model, name)
        with _as_it_was(model):
            return encode(texts, **_taken(encode))

    return lambda text: embed(of_query, [text]), lambda texts: embed(of_texts, texts)


def _taken(encode: Callable[..., Any]) -> dict[str, bool]:
    """Of the arguments for sentence-transformers' `encode`, those that another one also takes."""
    takes = inspect.signature(encode).parameters.values()
    every = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes)
    names = {one.name for one in takes}
    wanted = {"show_progress_bar": False, "convert_to_numpy": True}
    return {name: value for name, value in wanted.items() if every or name in names}


@contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """`encode` puts a model that is being trained into evaluation mode; put it back."""
    training = [each for each in getattr(model, "modules", list)() if each.training]
    try:
        yield
    finally:
        for each in training:
            each.training = True
