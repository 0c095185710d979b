"""The choice of spans as `Trim` documents it, the slow way: everything is counted every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from attnmass.trimming import Trim
from attnmass.trimming.candidates import Candidate, Place
from attnmass.trimming.duplicates import THRESHOLD, _words
from attnmass.trimming.render import join_kept

Count = Callable[[str], int]
Kept = dict[Place, str]


def total(candidates: Sequence[Candidate], kept: Iterable[Place], trim: Trim, count: Count) -> int:
    """What the reader gets of the kept spans: joined or apart, whichever takes more."""
    by_chunk: dict[int, list[tuple[int, int]]] = {}
    for c, i in sorted(kept):
        segment = candidates[c].segments[i]
        by_chunk.setdefault(c, []).append((segment.start, segment.end))
    sent = [
        candidates[c].render(join_kept(candidates[c].text, spans, trim.separator))
        for c, spans in by_chunk.items()
    ]
    return max(count("\n\n".join(sent)), sum(map(count, sent))) if sent else 0


def listed(candidates: Sequence[Candidate], trim: Trim) -> list[Place]:
    """Step 2: the spans that take part, best first."""
    places = []
    for c, chunk in enumerate(candidates):
        body = [i for i, s in enumerate(chunk.segments) if s.kind != "heading"]
        every = range(len(chunk.segments))
        places += [(c, i) for i in (body if trim.keep_titles and body else every)]
    return sorted(places, key=lambda p: (-candidates[p[0]].scores[p[1]], candidates[p[0]].index, p))


def within_top_p(candidates: Sequence[Candidate], trim: Trim, places: Sequence[Place]) -> int:
    """Step 3: how many of them have the share of the mass."""
    reached = list(accumulate(candidates[c].masses[i] for c, i in places))
    if trim.top_p is None or not reached:
        return len(places)
    return next(n for n, mass in enumerate(reached, 1) if mass >= trim.top_p * reached[-1])


def titles_of(candidates: Sequence[Candidate], trim: Trim, place: Place) -> list[Place]:
    """The headings over a span that have to come with it."""
    c, i = place
    return [(c, t) for t in candidates[c].segments[i].headings] if trim.keep_titles else []


def span_text(candidates: Sequence[Candidate], place: Place) -> str:
    """The text of a span."""
    segment = candidates[place[0]].segments[place[1]]
    return candidates[place[0]].text[segment.start : segment.end]


def alike(one: str, other: str) -> bool:
    """Whether two texts say the same, or nearly so, worked out pair by pair."""
    a, b = _words(one), _words(other)
    if not a or not b or a == b:
        return bool(a) and a == b
    digits = [sorted(w for w in words if any(c.isdigit() for c in w)) for words in (a, b)]
    runs = [{words[i : i + 3] for i in range(len(words) - 2)} for words in (a, b)]
    union = runs[0] | runs[1]
    return (
        digits[0] == digits[1]
        and bool(union)
        and len(runs[0] & runs[1]) / len(union) >= THRESHOLD - 1e-12
    )


def choose_slowly(candidates: Sequence[Candidate], trim: Trim, count: Count) -> Kept:
    """Steps 2 to 7, where all is relevant, for counts that are additive; kept places and why."""
    places = listed(candidates, trim)
    last = within_top_p(candidates, trim, places)
    sizes = {
        (c, i): count(chunk.text[s.start : s.end])
        for c, chunk in enumerate(candidates)
        for i, s in enumerate(chunk.segments)
    }
    share = float("inf")
    if trim.keep_ratio is not None:
        share = trim.keep_ratio * sum(sizes.values()) + 1e-9
    kept: Kept = {}
    forbidden: Kept = {}

    def repeats(place: Place) -> bool:
        others = (q for q, why in kept.items() if q[0] != place[0] and why != "title")
        return trim.max_tokens is not None and any(
            alike(span_text(candidates, place), span_text(candidates, q)) for q in others
        )

    def add(place: Place, why: str, exempt: bool = False) -> str:
        if place not in kept and repeats(place):
            return "duplicate"
        new = [p for p in [*titles_of(candidates, trim, place), place] if p not in kept]
        together = {*kept, *new}
        if new and not exempt and sum(sizes[p] for p in together) > share:
            return "keep_ratio"
        if (
            trim.max_tokens is not None
            and total(candidates, together, trim, count) > trim.max_tokens
        ):
            return "max_tokens"
        for p in new:
            kept[p] = why if p == place else "title"
        return ""

    def take(rank: int) -> bool:
        c, i = place = places[rank]
        exempt = sum(why == "score" for why in kept.values()) < trim.min_keep
        if rank >= last and not exempt:
            forbidden[place] = "top_p"
            return False
        if place not in kept and (why_not := add(place, "score", exempt)):
            forbidden[place] = why_not
            return False
        kept[place] = "score"
        beside = []
        chunk = candidates[c]
        if trim.resolve_context and i in chunk.leans_on:
            beside.append((chunk.leans_on[i], "context"))
        mine = sorted(j for d, j in places if d == c)
        at = mine.index(i)
        for distance in range(1, trim.neighbors + 1):
            around = (at - distance, at + distance)
            beside += [(mine[there], "neighbor") for there in around if 0 <= there < len(mine)]
        for j, why in beside:
            if (c, j) not in kept:
                add((c, j), why)
        return True

    for rank in range(len(places)):
        take(rank)
    passed = [rank for rank, place in enumerate(places) if forbidden.get(place) == "max_tokens"]
    while passed and (took := [rank for rank in passed if take(rank)]):
        passed = [rank for rank in passed if rank not in took]
    return kept
