"""What surrounds a chunk in an encoder: the model's special tokens, and perhaps the query."""

from __future__ import annotations

from dataclasses import dataclass

from attnmass.text.tokens import PlainTokenizer, Tokens


@dataclass(frozen=True, slots=True)
class Frame:
    """Token ids around a chunk.

    Attributes:
        before: Those in front of it.
        after: Those after it.
        n_asked: How many of both belong to the query.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    n_asked: int = 0

    def __len__(self) -> int:
        return len(self.before) + len(self.after)

    def around(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The ids of a piece of a chunk in its frame."""
        return (*self.before, *ids, *self.after)


def special_tokens(plain: PlainTokenizer) -> Frame:
    """What the model's own tokenizer puts around a text: `</s>` for T5, also `<s>` for BART."""
    encoding = plain.as_reader().encode("a")
    is_special = list(encoding.special_tokens_mask)
    if 0 not in is_special:
        return Frame((), ())
    first = is_special.index(0)
    last = len(is_special) - is_special[::-1].index(0)
    ids = tuple(encoding.ids)
    return Frame(ids[:first], ids[last:])


def frame_of(plain: PlainTokenizer, special: Frame, query: Tokens, *, is_rag: bool) -> Frame:
    """The frame of an encoder that reads the query with each chunk; see `CrossOptions`.

    Args:
        plain: Our own copy of the tokenizer.
        special: What it puts around a text.
        query: The query.
        is_rag: Whether to use the format of RAG, `chunk // question`, else that of
            Fusion-in-Decoder.
    """
    if is_rag:
        after = (*plain.template(" // "), *query.ids, *special.after)
        return Frame(special.before, after, len(query))
    before = (
        *special.before,
        *plain.template("question: "),
        *query.ids,
        *plain.template(" context: "),
    )
    return Frame(before, special.after, len(query))
