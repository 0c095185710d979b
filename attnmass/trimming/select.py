"""The choice of spans: which are kept, and why each of the others is not."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attnmass.segmentation import Segment
from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.options import Trim
from attnmass.trimming.render import join_kept

Place = tuple[int, int]  # chunk, span


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk whose spans are up for choice.

    Attributes:
        text: The chunk's text.
        segments: Its spans, in reading order.
        scores: What they are ordered by, one for each.
        masses: Their attention mass, one for each.
        render: What the reader gets of the chunk, given the text that is kept of it.
        leans_on: For a span the earlier one that it leans on, if any.
    """

    text: str
    segments: Sequence[Segment]
    scores: Sequence[float]
    masses: Sequence[float]
    render: Callable[[str], str]
    leans_on: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen of the candidates.

    Attributes:
        reasons: For each candidate, for each span, why it is kept or dropped, as in `Span.reason`.
        kept: For each candidate, for each span, `[start, end)` as it is kept, else `None`.
        texts: For each candidate its kept text.
        n_tokens: Tokens of what the reader gets.
    """

    reasons: tuple[tuple[str, ...], ...]
    kept: tuple[tuple[tuple[int, int] | None, ...], ...]
    texts: tuple[str, ...]
    n_tokens: int


def choose(candidates: Sequence[Candidate], trim: Trim, count: TokenCounter) -> Choice:
    """Choose spans as `Trim` says.

    Args:
        candidates: Best first: at equal scores a span of an earlier chunk goes first.
        trim: What was asked for.
        count: Counts the reader's tokens.

    Raises:
        ValueError: If no span fits into `max_tokens` and `on_empty` is `"raise"`.
    """
    return _Chooser(candidates, trim, count).run()


class _Chooser:
    """The state of one choice."""

    def __init__(self, candidates: Sequence[Candidate], trim: Trim, count: TokenCounter) -> None:
        self._candidates = candidates
        self._trim = trim
        self._count = count
        budgets = trim.max_tokens is not None or trim.keep_ratio is not None
        self._sizes = [
            [count(chunk.text[s.start : s.end]) if budgets else 0 for s in chunk.segments]
            for chunk in candidates
        ]
        self._join = count("\n\n")
        self._kept: list[dict[int, str]] = [{} for _ in candidates]
        self._dropped: dict[Place, str] = {}
        self._rendered = [0] * len(candidates)  # tokens of each chunk as it is kept now
        self._ratio_left = float("inf")
        if trim.keep_ratio is not None:
            self._ratio_left = trim.keep_ratio * sum(map(sum, self._sizes))
        self._taken: list[list[Place]] = []  # what was added together, in order

    def run(self) -> Choice:
        places = self._ranked()
        listed = self._within_top_p(places)
        for rank, place in enumerate(places):
            exempt = rank < self._trim.min_keep
            if rank >= listed and not exempt:
                self._dropped[place] = "top_p"
            else:
                self._take(place, exempt)
        self._hold_ceiling()
        if places and not any(self._kept):
            return self._nothing_fits(places)
        return self._result()

    def _ranked(self) -> list[Place]:
        """Spans that take part, best first."""
        places = []
        for c, chunk in enumerate(self._candidates):
            body = [i for i, s in enumerate(chunk.segments) if s.kind != "heading"]
            if not self._trim.keep_titles or not body:
                body = list(range(len(chunk.segments)))
            places += [(c, i) for i in body]
        return sorted(places, key=lambda place: -self._candidates[place[0]].scores[place[1]])

    def _within_top_p(self, places: Sequence[Place]) -> int:
        """How many of the ranked spans it takes to have `top_p` of the mass."""
        if self._trim.top_p is None:
            return len(places)
        masses = [self._candidates[c].masses[i] for c, i in places]
        wanted = self._trim.top_p * sum(masses)
        so_far = 0.0
        for rank, mass in enumerate(masses):
            if so_far >= wanted:
                return rank
            so_far += mass
        return len(places)

    def _take(self, place: Place, exempt: bool) -> None:
        """Keep a span if the budgets allow, and then what goes with it."""
        c, i = place
        if i in self._kept[c]:  # came with another one
            self._kept[c][i] = "score"
        else:
            titles = self._candidates[c].segments[i].headings if self._trim.keep_titles else ()
            why_not = self._add(c, {**dict.fromkeys(titles, "title"), i: "score"}, exempt)
            if why_not:
                self._dropped[place] = why_not
                return
        for other, why in self._beside(c, i):
            self._add(c, {other: why})

    def _beside(self, c: int, i: int) -> Iterator[tuple[int, str]]:
        """What a kept span brings along if there is room."""
        chunk = self._candidates[c]
        if self._trim.resolve_context and i in chunk.leans_on:
            yield chunk.leans_on[i], "context"
        body = [j for j, s in enumerate(chunk.segments) if s.kind != "heading" or j == i]
        at = body.index(i)
        for distance in range(1, self._trim.neighbors + 1):
            for there in (at - distance, at + distance):
                if 0 <= there < len(body):
                    yield body[there], "neighbor"

    def _add(self, c: int, wanted: Mapping[int, str], exempt: bool = False) -> str:
        """Keep these spans of a chunk, all or none; returns what forbids it, or nothing."""
        new = {i: why for i, why in wanted.items() if i not in self._kept[c]}
        if not new:
            return ""
        size = sum(self._sizes[c][i] for i in new)
        if size > self._ratio_left and not exempt:
            return "keep_ratio"
        before = self._kept[c]
        if self._trim.max_tokens is not None:
            used = sum(self._rendered) + self._join * max(0, sum(map(bool, self._kept)) - 1)
            left = self._trim.max_tokens - used
            if size - 2 * len(new) > left:  # by far too long: not worth the exact count
                return "max_tokens"
            join = self._join if used and not before else 0
            tokens = self._count(self._render(c, {**before, **new}))
            if tokens - self._rendered[c] + join > left:
                return "max_tokens"
            self._rendered[c] = tokens
        self._kept[c] = {**before, **new}
        self._ratio_left -= size
        self._taken.append([(c, i) for i in new])
        return ""

    def _hold_ceiling(self) -> None:
        """Count everything as it will be sent; let go of what came last while it is too much."""
        ceiling = self._trim.max_tokens
        while ceiling is not None and self._taken and self._total() > ceiling:
            for c, i in self._taken.pop():
                self._kept[c].pop(i, None)
                self._dropped[c, i] = "max_tokens"

    def _total(self) -> int:
        return self._count.total(
            [self._render(c, kept) for c, kept in enumerate(self._kept) if kept]
        )

    def _render(self, c: int, kept: Mapping[int, str]) -> str:
        chunk = self._candidates[c]
        return chunk.render(self._text(c, kept))

    def _text(self, c: int, kept: Mapping[int, str]) -> str:
        chunk = self._candidates[c]
        spans = [(chunk.segments[i].start, chunk.segments[i].end) for i in sorted(kept)]
        return join_kept(chunk.text, spans, self._trim.separator)

    def _result(self, cut: tuple[Place, int] | None = None) -> Choice:
        kept: list[tuple[tuple[int, int] | None, ...]] = []
        reasons: list[tuple[str, ...]] = []
        for c, chunk in enumerate(self._candidates):
            spans = [(s.start, s.end) for s in chunk.segments]
            mine = self._kept[c]
            if cut is not None and cut[0][0] == c:
                (_, i), end = cut
                spans[i] = (spans[i][0], end)
                mine = {i: "score"}
            kept.append(tuple(span if i in mine else None for i, span in enumerate(spans)))
            reasons.append(
                tuple(mine.get(i) or self._dropped.get((c, i), "title") for i in range(len(spans)))
            )
        texts = tuple(
            join_kept(chunk.text, [span for span in spans if span], self._trim.separator)
            for chunk, spans in zip(self._candidates, kept, strict=True)
        )
        sent = [c.render(t) for c, t in zip(self._candidates, texts, strict=True) if t]
        return Choice(tuple(reasons), tuple(kept), texts, self._count.total(sent))

    def _nothing_fits(self, places: Sequence[Place]) -> Choice:
        """What `on_empty` says."""
        if self._trim.on_empty == "empty":
            return self._result()
        if self._trim.on_empty == "cut":
            return self._result(self._cut(places[0]))
        c, i = min(places, key=lambda place: self._sizes[place[0]][place[1]])
        titles = self._candidates[c].segments[i].headings if self._trim.keep_titles else ()
        least = self._count(self._render(c, {**dict.fromkeys(titles, "title"), i: "score"}))
        raise ValueError(
            f"max_tokens={self._trim.max_tokens} is too few for any span: the shortest takes "
            f"{least} tokens with its titles and metadata. Raise max_tokens, or pass "
            "on_empty='empty' or on_empty='cut'"
        )

    def _cut(self, place: Place) -> tuple[Place, int] | None:
        """The longest beginning of a span that fits, up to a word's end; `None` if nothing does."""
        c, i = place
        chunk = self._candidates[c]
        start, end = chunk.segments[i].start, chunk.segments[i].end
        words = re.finditer(r"\S+", chunk.text[start:end])
        ends = [start + word.end() for word in words]
        if len(ends) == 1:  # a script without spaces
            ends = list(range(start + 1, end + 1))

        def fits(end: int) -> bool:
            sent = self._count.total([chunk.render(chunk.text[start:end])])
            return sent <= (self._trim.max_tokens or 0)

        known = bisect_left(ends, True, key=lambda end: not fits(end))
        return (place, ends[known - 1]) if known and fits(ends[known - 1]) else None
