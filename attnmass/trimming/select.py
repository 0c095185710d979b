"""The choice of spans: which are kept, and why each of the others is not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate, islice

from attnmass.text.segmentation import Segment
from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.candidates import Candidate, Choice
from attnmass.trimming.cut import longest_beginning
from attnmass.trimming.options import Trim
from attnmass.trimming.render import join_kept

Place = tuple[int, int]  # chunk, span

_MERGED = 2  # tokens that a span may take less of beside others than alone


def choose(candidates: Sequence[Candidate], trim: Trim, count: TokenCounter) -> Choice:
    """Choose spans as `Trim` says.

    Args:
        candidates: In the order that the reader gets them.
        trim: What was asked for.
        count: Counts the reader's tokens.

    Raises:
        ValueError: If no span is kept and `on_empty` is `"raise"`.
    """
    return _Chooser(candidates, trim, count).run()


class _Chooser:
    """The state of one choice."""

    def __init__(self, candidates: Sequence[Candidate], trim: Trim, count: TokenCounter) -> None:
        self._candidates = candidates
        self._trim = trim
        self._count = count
        self._listed = [_taking_part(chunk.segments, trim.keep_titles) for chunk in candidates]
        budgets = trim.max_tokens is not None or trim.keep_ratio is not None
        self._sizes = _sizes(candidates, count if budgets else None)
        self._join = count("\n\n")
        # What a span may take less, where it fills a gap that was marked.
        self._less = _MERGED + count(trim.separator)
        self._kept: list[dict[int, str]] = [{} for _ in candidates]
        self._order: list[list[int]] = [[] for _ in candidates]  # what is kept, in reading order
        self._beyond: set[Place] = set()  # what `top_p` leaves out
        self._dropped: dict[Place, str] = {}
        self._ends: dict[Place, int] = {}  # of spans that are cut
        self._taken: list[list[Place]] = []  # what was added together, in order
        self._by_score = 0
        self._used = 0  # tokens of what is kept, by the sum of its parts since they were counted
        self._doubt = 0  # by how much that may be too much
        self._ratio_left = float("inf")
        if trim.keep_ratio is not None:
            self._ratio_left = trim.keep_ratio * sum(map(sum, self._sizes)) + 1e-9

    def run(self) -> Choice:
        places = self._ranked()
        self._beyond = set(places[self._within_top_p(places) :])
        for place in places:
            self._take(place)
        self._settle(places)
        if places and not any(self._kept):
            self._nothing_fits(places)
        return self._result()

    def _ranked(self) -> list[Place]:
        """Spans that take part, best first."""
        places = [(c, i) for c, listed in enumerate(self._listed) for i in listed]

        def key(place: Place) -> tuple[float, int]:
            chunk = self._candidates[place[0]]
            return -chunk.scores[place[1]], chunk.index

        return sorted(places, key=key)

    def _within_top_p(self, places: Sequence[Place]) -> int:
        """How many of the ranked spans it takes to have `top_p` of their mass."""
        if self._trim.top_p is None or not places:
            return len(places)
        reached = list(accumulate(self._candidates[c].masses[i] for c, i in places))
        return bisect_left(reached, self._trim.top_p * reached[-1]) + 1

    def _take(self, place: Place) -> bool:
        """Keep a span if the requests allow, and then what goes with it; whether it is kept."""
        c, i = place
        least = self._by_score < self._trim.min_keep
        if place in self._beyond and not least:
            self._dropped[place] = "top_p"
            return False
        if i in self._kept[c]:  # came with another one
            self._kept[c][i] = "score"
        elif why_not := self._add(c, i, "score", exempt=least):
            self._dropped[place] = why_not
            return False
        self._by_score += 1
        for other, why in self._beside(c, i):
            self._add(c, other, why)
        return True

    def _beside(self, c: int, i: int) -> Iterator[tuple[int, str]]:
        """What a kept span brings along if there is room."""
        chunk = self._candidates[c]
        if self._trim.resolve_context and i in chunk.leans_on:
            yield chunk.leans_on[i], "context"
        listed = self._listed[c]
        at = bisect_left(listed, i)
        for distance in range(1, min(self._trim.neighbors, len(listed)) + 1):
            for there in (at - distance, at + distance):
                if 0 <= there < len(listed):
                    yield listed[there], "neighbor"

    def _add(self, c: int, i: int, why: str, exempt: bool = False) -> str:
        """Keep a span with the headings over it, all or none; returns what forbids it, if any."""
        kept = self._kept[c]
        if i in kept:
            return ""
        new = [place for place in (*self._titles(c, i), i) if place not in kept]
        size = sum(self._sizes[c][place] for place in new)
        if size > self._ratio_left and not exempt:
            return "keep_ratio"
        if self._trim.max_tokens is not None:
            if not self._fits(size - self._less * len(new)):  # spares an exact count
                return "max_tokens"
            more = self._growth(c, new)
            if not self._fits(more):
                return "max_tokens"
            self._used += more
            self._doubt += self._join + _MERGED * len(new)
        for place in new:
            kept[place] = why if place == i else "title"
            insort(self._order[c], place)
        self._ratio_left -= size
        self._taken.append([(c, place) for place in new])
        return ""

    def _titles(self, c: int, i: int) -> Sequence[int]:
        return self._candidates[c].segments[i].headings if self._trim.keep_titles else ()

    def _fits(self, more: int) -> bool:
        """Whether so many more tokens fit; where it is close, what is kept is counted first."""
        room = (self._trim.max_tokens or 0) - self._used
        if room < more <= room + self._doubt:
            room = (self._trim.max_tokens or 0) - self._recount()
        return more <= room

    def _growth(self, c: int, new: Sequence[int]) -> int:
        """Tokens that spans of a chunk add, each counted with what is kept on either side."""
        if not self._order[c]:
            first = self._count(self._render(c, sorted(new)))
            return first + (self._join if any(self._order) else 0)
        order = list(self._order[c])
        more = 0
        for i in new:
            at = bisect_left(order, i)
            before = order[max(at - 1, 0) : at + 1]
            order.insert(at, i)
            after = order[max(at - 1, 0) : at + 2]
            more += self._count(self._text(c, after)) - self._count(self._text(c, before))
        return more

    def _recount(self) -> int:
        """Count everything as it will be sent."""
        sent = [self._render(c, order) for c, order in enumerate(self._order) if order]
        self._used, self._doubt = self._count.total(sent), 0
        return self._used

    def _settle(self, places: Sequence[Place]) -> None:
        """Let go of what is too much when all is counted, and take what fits after all.

        Parts may take more together than their sum, and what came later may have made room.
        """
        if self._trim.max_tokens is None:
            return
        passed = dict.fromkeys(place for place in places if place in self._dropped)
        while True:
            for place in self._hold_ceiling():
                passed.pop(place, None)  # once is enough
            took = [place for place in passed if self._take(place)]
            for place in took:
                del passed[place]
            if not took:
                return

    def _hold_ceiling(self) -> list[Place]:
        """Let go of what came last while it is too much; returns what went."""
        gone: list[Place] = []
        while (over := self._recount() - (self._trim.max_tokens or 0)) > 0 and self._taken:
            kept = sum(self._sizes[c][i] for c, order in enumerate(self._order) for i in order)
            enough = kept * (1 - over / self._used / 2)  # half of what is too much, then count
            while True:
                last = self._taken.pop()
                self._let_go(last)
                gone += last
                kept -= sum(self._sizes[c][i] for c, i in last)
                if kept <= enough or not self._taken:
                    break
        return gone

    def _let_go(self, places: Sequence[Place]) -> None:
        for c, i in places:
            self._by_score -= self._kept[c].pop(i) == "score"
            self._order[c].remove(i)
            self._dropped[c, i] = "max_tokens"
            self._ratio_left += self._sizes[c][i]

    def _render(self, c: int, order: Sequence[int]) -> str:
        return self._candidates[c].render(self._text(c, order))

    def _text(self, c: int, order: Sequence[int]) -> str:
        text = self._candidates[c].text
        return join_kept(text, [self._span(c, i) for i in order], self._trim.separator)

    def _span(self, c: int, i: int) -> tuple[int, int]:
        segment = self._candidates[c].segments[i]
        return segment.start, self._ends.get((c, i), segment.end)

    def _result(self) -> Choice:
        kept: list[tuple[tuple[int, int] | None, ...]] = []
        reasons: list[tuple[str, ...]] = []
        for c, chunk in enumerate(self._candidates):
            mine, listed, every = self._kept[c], set(self._listed[c]), range(len(chunk.segments))
            kept.append(tuple(self._span(c, i) if i in mine else None for i in every))
            reasons.append(
                tuple(
                    mine.get(i) or (self._dropped[c, i] if i in listed else "title") for i in every
                )
            )
        texts = tuple(self._text(c, order) for c, order in enumerate(self._order))
        return Choice(tuple(reasons), tuple(kept), texts, self._recount())

    def _nothing_fits(self, places: Sequence[Place]) -> None:
        """What `on_empty` says."""
        if self._trim.on_empty == "cut":
            self._cut(places)
        if self._trim.on_empty != "raise":
            return
        asked = sorted({self._dropped[place] for place in places})
        told = " and ".join(f"{name}={getattr(self._trim, name)}" for name in asked)
        more = ""
        if self._trim.max_tokens is not None:
            least = min(self._growth(c, [*self._titles(c, i), i]) for c, i in places)
            more = f": the shortest takes {least} tokens with its titles and metadata"
        raise ValueError(
            f"{told} is too few for any span{more}. Raise {' and '.join(asked)}, or pass "
            "on_empty='empty' or on_empty='cut'"
        )

    def _cut(self, places: Sequence[Place]) -> None:
        """Keep the longest beginning that fits of the best span that has one.

        Of each chunk its best span is tried: what else it is sent with is the same for the others.
        """
        best: dict[int, int] = {}
        for c, i in places:
            best.setdefault(c, i)
        for c, i in best.items():
            start, end = self._span(c, i)
            text = self._candidates[c].text[start:end]
            size = longest_beginning(text, partial(self._is_within, c))
            if size:
                self._kept[c][i] = "score"
                self._order[c].append(i)
                self._ends[c, i] = start + size
                return

    def _is_within(self, c: int, text: str) -> bool:
        """Whether this much of a chunk, and nothing else, is within both budgets."""
        if not self._trim.min_keep and self._count(text) > self._ratio_left:
            return False
        sent = self._candidates[c].render(text)
        return self._trim.max_tokens is None or self._count.total([sent]) <= self._trim.max_tokens


def _sizes(candidates: Sequence[Candidate], count: TokenCounter | None) -> list[list[int]]:
    """Tokens of each span of each candidate, counted all at once; zeros where none count."""
    if count is None:
        return [[0] * len(chunk.segments) for chunk in candidates]
    sizes = iter(
        count.each([chunk.text[s.start : s.end] for chunk in candidates for s in chunk.segments])
    )
    return [list(islice(sizes, len(chunk.segments))) for chunk in candidates]


def _taking_part(segments: Sequence[Segment], keep_titles: bool) -> list[int]:
    """Spans that are chosen for themselves: not headings that come with what they head."""
    body = [i for i, segment in enumerate(segments) if segment.kind != "heading"]
    return body if keep_titles and body else list(range(len(segments)))
