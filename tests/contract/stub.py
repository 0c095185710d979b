"""A ranker without a model: scores, delays and failures as a test needs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from attnmass import AttentionRanker, Chunk, Ranking, WarmResult
from attnmass.engine.building import Built
from attnmass.layouts import LayoutOptions, LayoutResult, QueryAttention
from attnmass.profiles import HeadProfile, RelevanceRule
from attnmass.results.scored import ScoredRanking
from attnmass.text.prompt import chunk_text
from attnmass.text.tokens import PlainTokenizer, Tokens


class StubRanker(AttentionRanker):
    """Gives chunks the mass that `mass` says, nearly all of it on words with `hot` in them.

    All else is the real ranker's. It remembers what it was asked and where.
    """

    def __init__(
        self,
        mass: Callable[[Chunk], float] = lambda chunk: 0.01,
        *,
        hot: str = "",
        profile: HeadProfile | None = None,
        seconds: float = 0.0,
        error: Exception | None = None,
        windows: int = 1,
        relevance: Callable[[Chunk], float] | None = None,
    ) -> None:
        plain = PlainTokenizer(word_tokenizer())
        self._stub = StubLayout(windows)
        if relevance is not None:
            rule = RelevanceRule(((0, 0),), (1.0,))
            profile = HeadProfile("stub", "late", ((0, 0),), (1.0,), relevance=rule)
        profile = profile or HeadProfile("stub", "parallel", ((0, 0),), (1.0,))
        self._relevance = relevance
        built = Built(profile, plain, self._stub, "attention", {})
        with patch("attnmass.engine.engine.build", return_value=built):
            super().__init__(nn.Module(), max_batch_tokens=1024)
        self.calls: list[SimpleNamespace] = []
        self._mass, self._hot, self._seconds, self._error = mass, hot, seconds, error

    def rank_batch(
        self, queries: Sequence[str], chunks: Sequence[Chunk], **options: Any
    ) -> list[Ranking]:
        """As `AttentionRanker.rank_batch`, by which `rank` ranks."""
        self._prepare(queries[0], chunks, options)
        return super().rank_batch(queries, chunks, **options)

    def rank_spans(
        self, queries: Sequence[str], chunks: Sequence[Chunk], **options: Any
    ) -> list[ScoredRanking]:
        """As `AttentionRanker.rank_spans`."""
        self._prepare(queries[0], chunks, options)
        return super().rank_spans(queries, chunks, **options)

    def _prepare(self, query: str, chunks: Sequence[Chunk], options: dict[str, Any]) -> None:
        """Remember what was asked, and have the layout give what it should."""
        thread = threading.current_thread().name
        self.calls.append(
            SimpleNamespace(query=query, chunks=chunks, thread=thread, options=options)
        )
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        distinct: dict[str, Chunk] = {}
        for chunk in chunks:
            if chunk.text.strip():
                distinct.setdefault(chunk_text(chunk), chunk)
        self._stub.rows = [
            self._row(chunk, words) for chunk in distinct.values() if (words := split(chunk))
        ]
        if self._relevance is not None:
            likely = [self._relevance(chunk) for chunk in distinct.values() if split(chunk)]
            self._stub.beside = StubBeside(likely)

    def _row(self, chunk: Chunk, words: Sequence[str]) -> Tensor:
        if not self._hot:  # exact, whatever the number of words
            return torch.tensor([[self._mass(chunk), *[0.0] * (len(words) - 1)]])
        weights = torch.tensor([100.0 if self._hot in word else 1.0 for word in words])
        return self._mass(chunk) * weights[None] / weights.sum()

    def warm(
        self,
        chunks: Sequence[Chunk],
        *,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> WarmResult:
        """As `AttentionRanker.warm`."""
        thread = threading.current_thread().name
        options = {"batch_size": batch_size, "progress": progress}
        self.calls.append(SimpleNamespace(chunks=chunks, thread=thread, options=options))
        time.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        return WarmResult(read=len(chunks), skipped=0, unreadable=0, evicted=0)

    @property
    def read(self) -> list[str]:
        """What the model read of each chunk in the last call."""
        return [chunk_text(chunk) for chunk in self.calls[-1].chunks]


class StubBeside:
    """Gives the masses that a rule of weight 1 and bias 0 makes these relevances of."""

    def __init__(self, relevances: Sequence[float]) -> None:
        masses = [one / (1 - one) - 0.01 for one in relevances]
        self.chunks = torch.tensor(masses, dtype=torch.float64).reshape(-1, 1)

    def parts(self, place: int, groups: Sequence[Sequence[int]]) -> Tensor:
        """As `Beside.parts`: every span has what its chunk has."""
        return self.chunks[place].expand(len(groups), 1)


class StubLayout:
    """Gives the attention that it is told to give."""

    name = "parallel"

    def __init__(self, windows: int) -> None:
        self.rows: list[Tensor] = []
        self.beside: StubBeside | None = None
        self._windows = windows

    def attend(
        self, queries: Sequence[Tokens], chunks: Sequence[Tokens], *_: object
    ) -> LayoutResult:
        """As `Layout.attend`."""
        found = QueryAttention(tuple(self.rows), torch.ones(1), beside=self.beside)
        return LayoutResult((found,) * len(queries), (self._windows,) * len(chunks), 0.0, 0.0)

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Any], options: LayoutOptions
    ) -> list[Tensor]:
        """As `Layout.within`: every sentence looks at the first one."""
        found = [
            torch.zeros(len(mine), 1, len(chunk))
            for chunk, mine in zip(chunks, groups, strict=True)
        ]
        for attention, mine in zip(found, groups, strict=True):
            if mine:
                attention[:, :, mine[0][0]] = 1.0
        return found


def split(chunk: Chunk) -> list[str]:
    """The words that `word_tokenizer` finds in a chunk."""
    text = chunk_text(chunk).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return [word for word, _ in pre_tokenizers.WhitespaceSplit().pre_tokenize_str(text)]


def word_tokenizer() -> Any:
    """A tokenizer with a token for every word between white space."""
    tokenizer = Tokenizer(models.WordLevel({"word": 0}, unk_token="word"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return SimpleNamespace(backend_tokenizer=tokenizer, chat_template=None)
