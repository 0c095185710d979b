"""Self-attention inside a chunk: which of its tokens and sentences look at which others."""

from __future__ import annotations

from dataclasses import dataclass

from attnmass.results.trace import Floats, Integers
from attnmass.text.lines import beginning, counted


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """Where the tokens and sentences of one chunk look inside it; the arrays are read-only.

    Rows look, columns are looked at. A row sums to less than 1: the rest is on what stands around
    the chunk, such as the prompt or special tokens. In a decoder no token looks at later ones. In a
    chunk that is too long for the model, a token looks only at those in its window.

    Attributes:
        text: The chunk's own text.
        read: What the model read: title, what stands before, the text, what comes after.
        start: Where the text begins in that.
        offsets: `[start, end)` of each token in characters into `read`, `[token, 2]`.
        by_head: Attention of each head, `[head, token, token]`.
        heads: These heads, `(layer, head)`.
        tokens: Their weighted mean, `[token, token]`.
        spans: `[start, end)` of each sentence (heading, list item, table, ...) into `text`.
        sentences: The mean over the tokens of a sentence, summed over those of another, a token
            that crosses its end by its share of characters, `[sentence, sentence]`; zeros for one
            without tokens.
        skipped: Why the chunk was not read, which leaves nothing in the arrays, else `None`.
    """

    text: str
    read: str
    start: int
    offsets: Integers
    by_head: Floats
    heads: tuple[tuple[int, int], ...]
    tokens: Floats
    spans: tuple[tuple[int, int], ...]
    sentences: Floats
    skipped: str | None = None

    def __repr__(self) -> str:
        return (
            f"Inside({beginning(self.text)}, {counted(len(self.tokens), 'token')}, "
            f"{counted(len(self.spans), 'span')}, {counted(len(self.heads), 'head')})"
        )

    def leans_on(self, sentence: int) -> int | None:
        """The other sentence that this one looks at most, `None` where it looks at no other.

        Raises:
            IndexError: If there is no such sentence.
        """
        row = self.sentences[sentence].copy()
        row[sentence] = 0.0
        best = int(row.argmax())
        return best if row[best] > 0 else None
