"""What is kept so far, and how many tokens it takes: the accounts of one choice of spans."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from functools import partial
from itertools import islice

from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.candidates import Candidate, Place
from attnmass.trimming.cut import longest_beginning
from attnmass.trimming.options import Trim
from attnmass.trimming.render import join_kept

_MERGED = 2  # tokens by which a span may take less next to others than alone


class Accounts:
    """Spans that are kept, and their tokens: estimated span by span, counted where close.

    Attributes:
        kept: For each candidate, its kept spans, with the reasons.
        order: The same, in reading order.
        sizes: Tokens of each span of each candidate, each by itself; zeros where there is no
            budget.
        ratio_left: Tokens that `keep_ratio` leaves.
    """

    def __init__(self, candidates: Sequence[Candidate], trim: Trim, count: TokenCounter) -> None:
        """Nothing is kept."""
        self._candidates = candidates
        self._trim = trim
        self._count = count
        budgets = trim.max_tokens is not None or trim.keep_ratio is not None
        self.sizes = _sizes(candidates, count if budgets else None)
        self._join = count("\n\n")
        # How much less a span may take where it fills a gap that was marked.
        self._less = _MERGED + count(trim.separator)
        self._ends: dict[Place, int] = {}  # of spans that are cut
        self.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self.kept: list[dict[int, str]] = [{} for _ in self._candidates]
        self.order: list[list[int]] = [[] for _ in self._candidates]
        self._used = 0  # tokens of what is kept, by the sum of its parts since they were counted
        self._doubt = 0  # by how much that may be too high
        self.ratio_left = float("inf")
        if self._trim.keep_ratio is not None:
            self.ratio_left = self._trim.keep_ratio * sum(map(sum, self.sizes)) + 1e-9

    def take(self, c: int, new: Sequence[int], why: Sequence[str]) -> None:
        """Keep spans of a chunk, however many tokens they take."""
        for i, reason in zip(new, why, strict=True):
            self.kept[c][i] = reason
            insort(self.order[c], i)
        self.ratio_left -= self.size(c, new)

    def let_go(self, c: int, i: int) -> str:
        """Drop a span again; returns why it was kept."""
        self.order[c].remove(i)
        self.ratio_left += self.sizes[c][i]
        return self.kept[c].pop(i)

    def size(self, c: int, spans: Sequence[int]) -> int:
        """Tokens of spans of a chunk, each by itself."""
        return sum(self.sizes[c][i] for i in spans)

    def may_have_room(self, c: int, new: Sequence[int]) -> bool:
        """Whether `has_room` may say yes, without counting."""
        return self._trim.max_tokens is None or self._fits(
            self.size(c, new) - self._less * len(new)
        )

    def has_room(self, c: int, new: Sequence[int]) -> bool:
        """Whether `max_tokens` has room for more spans of a chunk; if so, they are counted."""
        if self._trim.max_tokens is None:
            return True
        if not self.may_have_room(c, new):
            return False
        more = self.growth(c, new)
        if not self._fits(more):
            return False
        self._used += more
        self._doubt += self._join + _MERGED * len(new)
        return True

    def _fits(self, more: int) -> bool:
        """Whether this many more tokens fit; where it is close, what is kept is counted first."""
        room = (self._trim.max_tokens or 0) - self._used
        if room < more <= room + self._doubt:
            room = (self._trim.max_tokens or 0) - self.recount()
        return more <= room

    def growth(self, c: int, new: Sequence[int]) -> int:
        """Tokens that spans of a chunk add, each counted with what is kept on either side."""
        if not self.order[c]:
            first = self._count(self._render(c, sorted(new)))
            return first + (self._join if any(self.order) else 0)
        order = list(self.order[c])
        more = 0
        for i in new:
            at = bisect_left(order, i)
            before = order[max(at - 1, 0) : at + 1]
            order.insert(at, i)
            after = order[max(at - 1, 0) : at + 2]
            more += self._count(self._text(c, after)) - self._count(self._text(c, before))
        return more

    def recount(self) -> int:
        """Count everything as it will be sent."""
        sent = [self._render(c, order) for c, order in enumerate(self.order) if order]
        self._used, self._doubt = self._count.total(sent), 0
        return self._used

    def over(self) -> int:
        """By how many tokens everything exceeds `max_tokens`; 0 or less where it does not."""
        return 0 if self._trim.max_tokens is None else self.recount() - self._trim.max_tokens

    @property
    def texts(self) -> tuple[str, ...]:
        """For each candidate, its kept text."""
        return tuple(self._text(c, order) for c, order in enumerate(self.order))

    def span(self, c: int, i: int) -> tuple[int, int]:
        """`[start, end)` of a span, as far as it is kept."""
        segment = self._candidates[c].segments[i]
        return segment.start, self._ends.get((c, i), segment.end)

    def words(self, c: int, i: int) -> str:
        """The text of a span."""
        start, end = self.span(c, i)
        return self._candidates[c].text[start:end]

    def take_beginning(self, c: int, i: int) -> bool:
        """Keep as much of a span as fits by itself, in whole words; whether that is any."""
        size = longest_beginning(self.words(c, i), partial(self._is_within, c))
        if size:
            self.take(c, [i], ["score"])
            self._ends[c, i] = self.span(c, i)[0] + size
        return size > 0

    def _is_within(self, c: int, text: str) -> bool:
        """Whether this much of a chunk, and nothing else, is within both budgets."""
        if not self._trim.min_keep and self._count(text) > self.ratio_left:
            return False
        sent = self._candidates[c].render(text)
        return self._trim.max_tokens is None or self._count.total([sent]) <= self._trim.max_tokens

    def _render(self, c: int, order: Sequence[int]) -> str:
        return self._candidates[c].render(self._text(c, order))

    def _text(self, c: int, order: Sequence[int]) -> str:
        text = self._candidates[c].text
        return join_kept(text, [self.span(c, i) for i in order], self._trim.separator)


def _sizes(candidates: Sequence[Candidate], count: TokenCounter | None) -> list[list[int]]:
    """Tokens of each span of each candidate, counted all at once; zeros where none count."""
    if count is None:
        return [[0] * len(chunk.segments) for chunk in candidates]
    sizes = iter(
        count.each([chunk.text[s.start : s.end] for chunk in candidates for s in chunk.segments])
    )
    return [list(islice(sizes, len(chunk.segments))) for chunk in candidates]
