"""Rules that may look deeper than what gives the mass."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.arrays import Arrays, Quality
from attnmass.fitting.heads.crossval import CrossValidation, split_folds
from attnmass.fitting.metrics import Floats
from attnmass.fitting.shares.ranking import RankingFit, Sharing
from attnmass.fitting.shares.sharing import Heads, fit_sharing
from tests.fitting.planted import planted
from tests.fitting.test_ranking import BIAS, biased

NEAR = np.array([0, 1, 2, 3, 4])


def fit(
    arrays: Arrays, heads: Heads, *, made: bool = False
) -> tuple[RankingFit, Sharing, Floats, int]:
    """What folds decide, what fitted it, nested values without a rule, and the steps taken."""
    folds = split_folds(arrays.sets, 5, 0)
    crossed = CrossValidation({False: Quality(arrays)}, folds, NEAR, 4, ("single",))
    plain, _ = crossed.nested()
    count = [0]

    def advance() -> None:
        count[0] += 1

    found, sharing = fit_sharing(crossed, arrays, heads, plain, advance, made=made)
    return found, sharing, plain, count[0]


def test_deeper_heads_where_they_are_better() -> None:
    """A deep head that takes away what pulls attention anyway has its part in the rule."""
    found, sharing, plain, _ = fit(biased(), Heads(NEAR, np.arange(24)))
    assert found.chosen is not None
    assert BIAS in found.chosen.heads
    assert len(sharing.heads) == 24
    assert found.nested.mean() > plain.mean() + 0.1


def test_no_deeper_where_that_gains_nothing() -> None:
    """Layers cost time: where near heads know it all, no deeper one is read."""
    found, sharing, plain, _ = fit(planted({3: 20.0}), Heads(NEAR, np.arange(24)))
    assert found.chosen is None
    assert list(sharing.heads) == list(NEAR)
    assert found.nested == pytest.approx(plain)


@pytest.mark.parametrize(("every", "made"), [(24, False), (5, False), (24, True)])
def test_steps_are_told_right(every: int, made: bool) -> None:
    """The progress bar counts to what it said, less the rules of all queries that nobody chose."""
    heads = Heads(NEAR, np.arange(every))
    _, _, _, count = fit(biased(n_queries=40), heads, made=made)
    left = heads.n_selections(5, made=made) - count
    assert 0 <= left <= (0 if made else 2 if every > 5 else 1)
