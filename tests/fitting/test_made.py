"""A rule fitted on queries that are made of texts."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.arrays import Arrays, Quality
from attnmass.fitting.heads.crossval import CrossValidation, split_folds
from attnmass.fitting.heads.methods import MADE
from attnmass.fitting.shares.made import OWN, MadeSharing, fit_made
from attnmass.fitting.shares.ranking import Sharing
from tests.fitting.test_ranking import BIAS, biased


def sharing_of(arrays: Arrays) -> MadeSharing:
    """A rule over all heads, and its folds."""
    return MadeSharing(arrays, split_folds(arrays.sets, 5, 0), np.arange(24))


def test_the_best_heads_count_by_themselves() -> None:
    """A head that looks at what is relevant counts, one that looks anyway does against it."""
    (rule,) = sharing_of(biased()).path().values()
    exponents = dict(zip(rule.heads, rule.exponents, strict=True))
    assert len(exponents) == 24
    assert min(exponents[0], exponents[1]) > 0 > exponents[BIAS]
    noise = [abs(exponents[head]) for head in range(6, 24)]
    assert min(exponents[0], exponents[1]) > max(noise)


def test_more_queries_do_not_weaken_the_penalty() -> None:
    """The same queries three times over give the same rule, and with labels another one."""
    once = biased(n_queries=30)
    thrice = Arrays(*(np.concatenate([found] * 3) for found in vars_of(once)))
    (first,), (second,) = (sharing_of(one).path().values() for one in (once, thrice))
    assert first.heads == pytest.approx(second.heads)
    assert first.exponents == pytest.approx(second.exponents, abs=2e-3)
    labelled = [
        Sharing(one, split_folds(one.sets, 5, 0), np.arange(24)).path()[16]
        for one in (once, thrice)
    ]
    assert sum(map(abs, labelled[1].exponents)) > 1.2 * sum(map(abs, labelled[0].exponents))


def vars_of(arrays: Arrays) -> tuple[np.ndarray, ...]:
    """The arrays as they are passed."""
    return arrays.masses, arrays.relevant, arrays.present, arrays.lexical, arrays.sets


def test_every_query_is_judged_by_others() -> None:
    """What is held out is better than the heads alone, and what was fitted has all queries."""
    arrays = biased()
    sharing = sharing_of(arrays)
    crossed = CrossValidation(
        {False: Quality(arrays)}, sharing.folds, np.arange(24), 8, MADE, least=8
    )
    plain, _ = crossed.nested()
    found = fit_made(crossed, sharing, plain)
    assert found.chosen is sharing.path()[24]
    assert not np.isnan(found.nested).any()
    assert found.nested.mean() > plain.mean() + 0.01
    own = dict(zip(found.chosen.heads, found.chosen.exponents, strict=True))
    assert sum(own.values()) > OWN / 2
    assert set(found.by_count) == {0, 24}
