"""The choice of spans: which are kept, and why the others are not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from attnmass.trimming.accounts import Accounts
from attnmass.trimming.budget import TokenCounter
from attnmass.trimming.candidates import Candidate, Choice, Place
from attnmass.trimming.duplicates import Copies
from attnmass.trimming.errors import BudgetError
from attnmass.trimming.options import Trim

_BUDGETS = ("keep_ratio", "max_tokens")


def choose(
    candidates: Sequence[Candidate], trim: Trim, count: TokenCounter, *, final: bool = True
) -> Choice:
    """Choose spans as `Trim` says.

    Args:
        candidates: In the order that the reader gets them.
        trim: What was asked for.
        count: Counts the reader's tokens.
        final: Whether `on_empty` says what to do where no span fits; if not, nothing is kept.

    Raises:
        BudgetError: If no span is kept, or what must stay is more than `max_tokens`, and `on_empty`
            is `"raise"`.
    """
    return _Chooser(candidates, trim, count).run(final)


class _Chooser:
    """The state of one choice."""

    def __init__(self, candidates: Sequence[Candidate], trim: Trim, count: TokenCounter) -> None:
        self._candidates = candidates
        self._trim = trim
        self._listed = [chunk.taking_part(trim.keep_titles) for chunk in candidates]
        self._accounts = Accounts(candidates, trim, count)
        # Without a ceiling, nothing is gained by leaving repetitions out.
        self._copies = None if trim.max_tokens is None else Copies()
        self._duplicate_of: dict[Place, Place] = {}
        self._beyond: set[Place] = set()  # what `top_p` leaves out
        self._dropped: dict[Place, str] = {}
        self._taken: list[list[Place]] = []  # what was added together, in order
        self._by_score = 0
        self._over = 0

    def run(self, final: bool) -> Choice:
        places = self._ranked()
        relevant = [place for place in places if not self._is_irrelevant(place)]
        self._beyond = set(relevant[self._within_top_p(relevant) :])
        if self._take_what_must_stay():
            for place in places:
                self._take(place)
            self._settle(places)
        else:
            self._dropped |= dict.fromkeys(places, "max_tokens")
        if final and places and not self._over and not any(self._accounts.kept):
            self._nothing_fits(places)
        return self._result(places)

    def _ranked(self) -> list[Place]:
        """Spans that take part, relevant ones first, best first within each group."""
        places = [(c, i) for c, listed in enumerate(self._listed) for i in listed]
        return sorted(places, key=self._rank)

    def _rank(self, place: Place) -> tuple[bool, float, int]:
        chunk = self._candidates[place[0]]
        return self._is_irrelevant(place), -chunk.scores[place[1]], chunk.index

    def _is_irrelevant(self, place: Place) -> bool:
        return place[1] in self._candidates[place[0]].irrelevant

    def _within_top_p(self, places: Sequence[Place]) -> int:
        """How many of the ranked spans it takes to have `top_p` of their mass."""
        if self._trim.top_p is None or not places:
            return len(places)
        reached = list(accumulate(self._candidates[c].masses[i] for c, i in places))
        return bisect_left(reached, self._trim.top_p * reached[-1]) + 1

    def _take_what_must_stay(self) -> bool:
        """Keep what `must_keep` names before all else; returns whether the choice goes on."""
        must = [(c, i) for c, chunk in enumerate(self._candidates) for i in chunk.must]
        must.sort(key=self._rank)
        for c, i in must:
            twin = (
                None if self._copies is None else self._copies.same(c, self._accounts.words(c, i))
            )
            if twin is not None:
                self._dropped[c, i], self._duplicate_of[c, i] = "duplicate", twin
                continue
            new = self._new(c, i)
            self._accounts.take(c, new, _why(new, i, "must_keep"))
            self._remember(c, i)
        over = self._accounts.over() if must else 0
        if over <= 0:
            return True
        if self._trim.on_empty == "raise":
            raise BudgetError(
                f"what must_keep names takes {over + (self._trim.max_tokens or 0)} tokens with its "
                f"titles and metadata, {over} more than max_tokens={self._trim.max_tokens}: raise "
                "max_tokens, narrow the patterns, lower top_n, or pass on_empty='cut' for the best "
                "of it, or on_empty='empty' for nothing"
            )
        self._over = over
        self._accounts.clear()
        self._copies = Copies()
        self._duplicate_of.clear()
        self._dropped.clear()
        if self._trim.on_empty == "empty":
            return False
        for place in must:
            if why_not := self._add(*place, "must_keep"):
                self._dropped[place] = why_not
        return True

    def _take(self, place: Place) -> bool:
        """Keep a span if the requests allow, and then what goes with it; whether it is kept."""
        c, i = place
        kept = self._accounts.kept[c]
        if i in self._candidates[c].must and self._is_said(place):
            return False  # for good
        why_not = ""
        least = self._by_score < self._trim.min_keep
        if not least and self._is_irrelevant(place):
            why_not = "min_relevance"
        elif not least and place in self._beyond:
            why_not = "top_p"
        elif i not in kept:
            why_not = self._add(c, i, "score", exempt=least)
        elif kept[i] != "must_keep":  # came with another one
            kept[i] = "score"
            self._remember(c, i)
        if why_not:
            self._dropped[place] = why_not
            return False
        self._by_score += 1
        for other, why in self._beside(c, i):
            self._add(c, other, why)
        return True

    def _is_said(self, place: Place) -> bool:
        """Whether a span was found to repeat one that is kept."""
        twin = self._duplicate_of.get(place)
        return twin is not None and twin[1] in self._accounts.kept[twin[0]]

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
        if i in self._accounts.kept[c]:
            return ""
        new = self._new(c, i)
        much = self._accounts.size(c, new) > self._accounts.ratio_left and not exempt
        again = self._dropped.get((c, i)) == "max_tokens"
        if again and not much and not self._accounts.may_have_room(c, new):
            return "max_tokens"  # and need not be compared with others again
        copies, words = self._copies, self._accounts.words(c, i)
        twin = None if copies is None else copies.like(c, words)
        if twin is not None:
            self._duplicate_of[c, i] = twin
            return "duplicate"
        if much:
            return "keep_ratio"
        if not self._accounts.has_room(c, new):
            return "max_tokens"
        self._accounts.take(c, new, _why(new, i, why))
        self._remember(c, i)
        self._taken.append([(c, place) for place in new])
        return ""

    def _new(self, c: int, i: int) -> list[int]:
        """A span and the headings over it, those of them that are not kept yet."""
        titles = self._candidates[c].segments[i].headings if self._trim.keep_titles else ()
        return [place for place in (*titles, i) if place not in self._accounts.kept[c]]

    def _remember(self, c: int, i: int) -> None:
        if self._copies is not None:
            self._copies.add((c, i), self._accounts.words(c, i))

    def _settle(self, places: Sequence[Place]) -> None:
        """Drop what is too much once everything is counted, and take what now fits after all.

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
        """Drop what came last while it is too much; returns what was dropped."""
        gone: list[Place] = []
        accounts = self._accounts
        while (over := accounts.over()) > 0 and self._taken:
            kept = sum(accounts.size(c, order) for c, order in enumerate(accounts.order))
            # Half of what is too much, then count.
            enough = kept * (1 - over / (over + (self._trim.max_tokens or 0)) / 2)
            while True:
                last = self._taken.pop()
                self._let_go(last)
                gone += last
                kept -= sum(accounts.sizes[c][i] for c, i in last)
                if kept <= enough or not self._taken:
                    break
        return gone

    def _let_go(self, places: Sequence[Place]) -> None:
        for c, i in places:
            why = self._accounts.let_go(c, i)
            self._by_score -= why == "score"
            if why != "title":
                self._dropped[c, i] = "max_tokens"
            if self._copies is not None:
                self._copies.remove((c, i))

    def _result(self, places: Sequence[Place]) -> Choice:
        accounts = self._accounts
        kept: list[tuple[tuple[int, int] | None, ...]] = []
        reasons: list[tuple[str, ...]] = []
        for c, chunk in enumerate(self._candidates):
            mine, every = accounts.kept[c], range(len(chunk.segments))
            kept.append(tuple(accounts.span(c, i) if i in mine else None for i in every))
            reasons.append(
                tuple(mine.get(i) or self._dropped.get((c, i)) or "title" for i in every)
            )

        def why(place: Place) -> str:
            return reasons[place[0]][place[1]]

        missed = next((place for place in places if why(place) == "max_tokens"), None)
        twins = {p: twin for p, twin in self._duplicate_of.items() if why(p) == "duplicate"}
        return Choice(
            reasons=tuple(reasons),
            kept=tuple(kept),
            texts=accounts.texts,
            n_tokens=accounts.recount(),
            duplicate_of=twins,
            missed=missed,
            missed_tokens=0 if missed is None else accounts.sizes[missed[0]][missed[1]],
            over=self._over,
        )

    def _nothing_fits(self, places: Sequence[Place]) -> None:
        """Do what `on_empty` says, where a budget is the reason that nothing is kept."""
        places = [place for place in places if self._dropped[place] in _BUDGETS]
        if places and self._trim.on_empty == "cut":
            self._cut(places)
        if not places or self._trim.on_empty != "raise":
            return
        asked = sorted({self._dropped[place] for place in places})
        told = " and ".join(f"{name}={getattr(self._trim, name)}" for name in asked)
        more = ""
        if self._trim.max_tokens is not None:
            least = min(self._accounts.growth(c, self._new(c, i)) for c, i in places)
            more = f": the shortest takes {least} tokens with its titles and metadata"
        raise BudgetError(
            f"{told} is too few for any span{more}. Raise {' and '.join(asked)}, or pass "
            "on_empty='empty' or on_empty='cut'"
        )

    def _cut(self, places: Sequence[Place]) -> None:
        """Keep the longest beginning that fits of the best span that has one.

        For each chunk, its best span is tried: what it is sent with is the same for its other
        spans.
        """
        best: dict[int, int] = {}
        for c, i in places:
            best.setdefault(c, i)
        for c, i in best.items():
            if self._accounts.take_beginning(c, i):
                return


def _why(new: Sequence[int], i: int, why: str) -> list[str]:
    return [why if place == i else "title" for place in new]
