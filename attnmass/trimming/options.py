"""What a caller may ask of trimming, and in which order the requests combine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from attnmass.options.checked import check_option
from attnmass.options.choices import OnEmpty
from attnmass.options.declared import Trimming, names_of
from attnmass.trimming.budget import TokenCounter


@dataclass(frozen=True, slots=True)
class Trim:
    """Which spans of the chunks are kept.

    Requests combine in this order, after `top_n`, `min_relevance` and `on_no_evidence` have
    said which chunks there are:

    1. The spans of all chunks are ordered by score. With `keep_titles`, headings do not take part:
       they come with what they head, unless a chunk has nothing else.
    2. `top_p` ends the list after the spans that together have that share of the list's mass.
    3. Down the list, each span is taken with the headings over it, if with them `keep_ratio` and
       `max_tokens` hold; one that does not fit is passed over, and shorter ones still may.
    4. Until `min_keep` spans are taken, `top_p` and `keep_ratio` do not count, `max_tokens` does.
    5. With each span taken, as far as both budgets allow: what it leans on (`resolve_context`),
       then its `neighbors`, the nearest first, each with the headings over it.
    6. All that is kept is counted as it will be sent. What came last goes if that is over
       `max_tokens`, and what was passed over is taken, best first, if it fits now.
    7. If nothing is kept, `on_empty` decides.

    A chunk with no span taken is dropped. Kept spans stand in reading order whatever their scores.

    Attributes:
        max_tokens: Ceiling on what the reader gets: all kept chunks as they are rendered, titles
            and metadata included, joined by blank lines, counted by `tokenizer`.
        keep_ratio: Share of the tokens of all spans to keep at most, each span counted on its own,
            in (0, 1].
        top_p: Keep the best spans that have this share of all spans' mass, in (0, 1].
        min_keep: Keep at least so many spans, over all chunks, if `max_tokens` allows.
        keep_titles: Whether the headings over a kept span are kept with it.
        neighbors: Keep up to so many spans before and after each as well, of the same chunk;
            headings are none where `keep_titles` brings them.
        resolve_context: Keep the earlier span that a kept one leans on most ("He developed it in
            1905" leans on the sentence that says who he is), as attention within the chunk has it.
        separator: Stands where text was dropped between two kept spans.
        on_empty: When no span fits: `"raise"` a `ValueError`, return an `"empty"` result, or
            `"cut"` the best span to its beginning, at a word's end; the result is empty all the
            same where not a word fits.
        tokenizer: The reader's: a transformers or tokenizers tokenizer, one with an `encode`
            method such as tiktoken's, or a callable that returns a text's tokens or their number.
            Default: the ranking model's.
        language: ISO 639-1 code of the chunks' language for the split into sentences; default:
            by script, English rules for Latin ones.
        counter: What `tokenizer` became; not an option.

    Raises:
        ValueError: If an option is out of range.
        TypeError: If an option is of another type, or `tokenizer` is none.
    """

    max_tokens: int | None = None
    keep_ratio: float | None = None
    top_p: float | None = None
    min_keep: int = 1
    keep_titles: bool = True
    neighbors: int = 0
    resolve_context: bool = False
    separator: str = "…"
    on_empty: OnEmpty = "raise"
    tokenizer: Any = None
    language: str | None = None
    counter: TokenCounter | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in names_of(Trimming):
            check_option(name, Trimming.model_fields[name], getattr(self, name))
        if self.tokenizer is not None:
            object.__setattr__(self, "counter", TokenCounter(self.tokenizer))
