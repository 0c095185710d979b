"""What a caller may ask of trimming, and the order in which the requests combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from attnmass.options.checked import check_option
from attnmass.options.choices import OnEmpty
from attnmass.options.declared import Trimming, names_of
from attnmass.options.keywords import names_nearest
from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.embedding import Embedder
from attnmass.trimming.patterns import Patterns, read_patterns


@names_nearest
@dataclass(frozen=True, slots=True)
class Trim:
    """Which spans of the chunks are kept.

    Requests combine in this order, after `min_relevance`, `top_n` and `on_no_evidence` have said
    which chunks there are:

    1. What `must_keep` names stays, with the headings over it, whatever it scores, also in chunks
       that are not relevant. Where that is more than `max_tokens`, `on_empty` decides.
    2. The spans of all chunks are ordered by score, those that are relevant (`min_relevance`)
       before all others. With `keep_titles`, headings do not take part: they come with what they
       head, unless a chunk has nothing else.
    3. `top_p` ends the list after the spans that together have that share of the list's mass; spans
       that are not relevant are not in it.
    4. Down the list, each span is taken with the headings over it, if with them `keep_ratio` and
       `max_tokens` hold; one that does not fit is passed over, and shorter ones may still fit.
       Under `max_tokens`, one that another chunk's kept span repeats is left out (see below).
    5. Until `min_keep` spans are taken, `min_relevance`, `top_p` and `keep_ratio` do not count, but
       `max_tokens` does: the best span is kept even where nothing is relevant.
    6. With each span taken, as far as both budgets allow: what it leans on (`resolve_context`),
       then its `neighbors`, the nearest first, each with the headings over it, relevant or not.
    7. All that is kept is counted as it will be sent. What came last is removed if that is over
       `max_tokens`, and what was passed over is taken, best first, if it now fits.
    8. If nothing is kept, `on_empty` decides; where that is only for lack of relevance, with
       `min_keep=0`, the result is empty.

    Spans of two chunks repeat each other if their words are the same, whatever their case, white
    space and punctuation, or if they have the same numbers and share nine tenths of their runs of
    three words (see `attnmass.trimming.duplicates`). The first one in the order above is kept.

    A chunk with no span taken is dropped. Kept spans stay in reading order whatever their scores.

    Attributes:
        max_tokens: Ceiling, not a quota, on what the reader gets: all kept chunks as they are
            rendered, titles and metadata included, joined by blank lines, counted by `tokenizer`.
        keep_ratio: Largest share of the tokens of all spans to keep, each span counted on its own,
            in (0, 1].
        top_p: Keep the best spans that have this share of all spans' mass, in (0, 1].
        min_keep: Keep at least this many spans, over all chunks, if `max_tokens` allows.
        keep_titles: Whether the headings over a kept span are kept with it.
        neighbors: Also keep up to this many spans before and after each, from the same chunk;
            headings do not count where `keep_titles` brings them.
        resolve_context: Keep the earlier span that a kept one leans on most ("He developed it in
            1905" leans on the sentence that says who he is), by attention within the chunk.
        separator: What stands where text was dropped between two kept spans.
        on_empty: When no span fits: `"raise"` a `ValueError`, return an `"empty"` result, or
            `"cut"` the best span to its beginning, at a word's end; the result is still empty where
            not even a word fits. When what `must_keep` names does not fit: the same, but `"cut"`
            keeps the best of it, in whole spans.
        must_keep: What stays: names of ready-made sets (`"numbers"`, `"amounts"`,
            `"percentages"`, `"dates"`, `"identifiers"`, `"error_codes"`, `"emails"`, `"urls"`,
            `"versions"`; words in them are English), and regular expressions of the `regex`
            package, which may take 5 seconds each in a call. Every span that a match touches
            stays.
        dry_run: Whether to return all chunks whole, in the order asked for, and only report in
            `Ranking.saving` what trimming would have saved and lost.
        tokenizer: The reader's: a transformers or tokenizers tokenizer, one with an `encode`
            method such as tiktoken's, or a callable that returns a text's tokens or their number.
            Default: the ranking model's.
        language: ISO 639-1 code of the chunks' language for the split into sentences; default: by
            script, with English rules for Latin scripts.
        embed_model: An embedding model that is already loaded: a `SentenceTransformer`, a
            LlamaIndex `BaseEmbedding` or LangChain `Embeddings`. A span's score is then its score
            by attention times `exp(b * (cosine - 1))`, with the cosine of its vector and the
            query's, and `b` from the head profile. Only spans of chunks that are looked into are
            embedded, and the query once.
        counter: What `tokenizer` became; not an option.
        embedder: What `embed_model` became; not an option.
        patterns: What `must_keep` became; not an option.

    Raises:
        ValueError: If an option is out of range, or a pattern is not one.
        TypeError: If an option is of another type, or `tokenizer` or `embed_model` is not one.
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
    must_keep: Sequence[str] = ()
    dry_run: bool = False
    tokenizer: Any = None
    language: str | None = None
    embed_model: Any = field(default=None, repr=False)  # it may have a key, and show it
    counter: TokenCounter | None = field(default=None, init=False, repr=False, compare=False)
    embedder: Embedder | None = field(default=None, init=False, repr=False, compare=False)
    patterns: Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in names_of(Trimming):
            value = check_option(name, Trimming.model_fields[name], getattr(self, name))
            object.__setattr__(self, name, value)
        object.__setattr__(self, "patterns", read_patterns(self.must_keep))
        if self.tokenizer is not None:
            object.__setattr__(self, "counter", TokenCounter(self.tokenizer))
        if self.embed_model is not None:
            object.__setattr__(self, "embedder", Embedder(self.embed_model))
