"""What the caller passed in, checked, as the ranker uses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnmass.options.checks import as_str, check_items
from attnmass.text.chunk import Chunk
from attnmass.text.lines import beginning
from attnmass.text.prompt import chunk_text, text_start
from attnmass.text.tokens import PlainTokenizer, Tokens


@dataclass(frozen=True, slots=True)
class Inputs:
    """The chunks of one call.

    Attributes:
        chunks: All of them by input index; what is not text has the text `""`.
        tokens: What the model reads of each chunk that it reads.
        skipped: Why it does not read the others.
        places: For each of `tokens`, where it is in `distinct`.
    """

    chunks: tuple[Chunk, ...]
    tokens: dict[int, Tokens]
    skipped: dict[int, str]
    places: dict[int, int]

    @property
    def distinct(self) -> list[Tokens]:
        """What the model reads, each text once: a copy must not reduce what others get."""
        found: dict[int, Tokens] = {}
        for index, place in self.places.items():
            found.setdefault(place, self.tokens[index])
        return list(found.values())

    def start(self, index: int) -> int:
        """Where a chunk's own text begins in what the model reads of it."""
        return text_start(self.chunks[index])


def read_chunks(
    chunks: Sequence[str | Chunk], plain: PlainTokenizer, *, lazily: bool = False
) -> Inputs:
    """Check and tokenize chunks.

    Args:
        chunks: As the caller passed them.
        plain: Our own copy of the tokenizer.
        lazily: Whether texts that were seen before are tokenized only once their tokens are needed.

    Raises:
        TypeError: As `check_chunks`.
    """
    known, not_text = as_chunks(chunks)
    skipped: dict[int, str] = {}
    for index, chunk in enumerate(known):
        if index in not_text:
            skipped[index] = "not text"
        elif not chunk.text.strip():
            skipped[index] = "blank"
    read = {i: chunk_text(chunk) for i, chunk in enumerate(known) if i not in skipped}
    tokenize = plain.known if lazily else plain.content
    tokens = dict(zip(read, tokenize(list(read.values())), strict=True))
    for index in [index for index, found in tokens.items() if not len(found)]:
        skipped[index] = "no tokens"
        del tokens[index]
    first: dict[str, int] = {}
    places = {index: first.setdefault(read[index], len(first)) for index in tokens}
    return Inputs(tuple(known), tokens, skipped, places)


def as_chunks(chunks: Sequence[str | Chunk]) -> tuple[list[Chunk], set[int]]:
    """What the caller passed as chunks, and which of it is not text: that gets the text `""`.

    Raises:
        TypeError: As `check_chunks`.
    """
    check_chunks(chunks)
    known: list[Chunk] = []
    not_text: set[int] = set()
    for index, item in enumerate(chunks):
        chunk = Chunk(item) if isinstance(item, str) else item
        if not isinstance(chunk, Chunk) or not isinstance(chunk.text, str):
            not_text.add(index)
            chunk = Chunk("")
        known.append(chunk)
    return known, not_text


def check_chunks(chunks: Sequence[str | Chunk], *, name: str = "chunks") -> None:
    """Check that what a caller passed as chunks is one flat list.

    What stands in for a missing text, such as `None`, NaN or another number, and bytes, passes: it
    is not scored. An item that contains texts has the wrong shape, and would silently be worth
    nothing.

    Raises:
        TypeError: For a single text, for what has no length or no order, and for an item that is a
            list, a mapping, or a framework's document or node.
    """
    if isinstance(chunks, str | bytes | Chunk):
        raise TypeError(f"{name} must be a sequence of texts: pass [text]")
    check_items(name, chunks, object, instead="a list of texts")
    for index, item in enumerate(chunks):
        inner = item.text if isinstance(item, Chunk) else item
        if isinstance(inner, str | bytes | bytearray):
            continue
        where = f"{name}[{index}]{'.text' if isinstance(item, Chunk) else ''}"
        if isinstance(inner, list | tuple | set | frozenset):
            raise TypeError(
                f"{where} is a {type(inner).__name__}, and must be a text: pass one flat list of "
                "texts. All queries of a call share it; call once for each query that has its own"
            )
        if isinstance(inner, Iterable) or hasattr(inner, "text"):
            raise TypeError(
                f"{where} is a {type(inner).__name__}, and must be a text or a Chunk: pass its "
                "text. AttentionRerank of langchain_attn and llama_index_attn takes documents and "
                "nodes"
            )


def as_queries(queries: Sequence[str], *, name: str = "query") -> list[str]:
    """What the caller passed as queries, each as a `str` of its own characters.

    Raises:
        TypeError: If one is not a string, or all together are one string.
        ValueError: If one is blank.
    """
    if isinstance(queries, str):
        raise TypeError("queries must be a sequence of strings: pass [query], or call rank()")
    check_items("queries", queries, object, instead="a list of strings")
    for number, query in enumerate(queries):
        which = f"the {name}" if len(queries) == 1 else f"queries[{number}]"
        if not isinstance(query, str):
            several = name == "query" and len(queries) == 1 and isinstance(query, list | tuple)
            raise TypeError(
                f"{which} must be a string, not {type(query).__name__}"
                + (": pass the query first, or several to rank_batch" if several else "")
            )
        if not query.strip():
            raise ValueError(f"{which} is empty or blank: {query[:20]!r}")
    return [as_str(query) for query in queries]


def read_queries(queries: Sequence[str], plain: PlainTokenizer) -> list[Tokens]:
    """Tokenize queries.

    Raises:
        ValueError: If one has no tokens for this model.
    """
    found = plain.content([query.strip() for query in queries])
    for query, tokens in zip(queries, found, strict=True):
        if not len(tokens):
            raise ValueError(f"the query has no tokens for this model: {beginning(query)}")
    return found
