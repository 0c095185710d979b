"""Rules that share mass out: what they find, what they leave, and who had a say."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.arrays import Arrays, Quality
from attnmass.fitting.heads.crossval import CrossValidation, split_folds
from attnmass.fitting.metrics import Floats
from attnmass.fitting.shares.ranking import (
    Exponents,
    RankingFit,
    Sharing,
    features,
    fit_ranking,
    n_paths,
)
from attnmass.profiles import RankRule
from tests.fitting.planted import planted

BIAS = 5


def biased(seed: int = 0, n_queries: int = 80, strength: float = 1.0) -> Arrays:
    """Heads 0 and 1 look at what is relevant and at what head 5 always looks at, too."""
    arrays = planted({}, n_queries=n_queries, n_heads=24, seed=seed)
    draw = np.random.default_rng(seed + 1)
    shape = arrays.present.shape
    pull: Floats = draw.normal(0, 1.5 * strength, shape)  # of a chunk, whatever the query
    for head in (0, 1):
        own = 1.2 * arrays.relevant + pull + draw.normal(0, 0.5, shape)
        arrays.masses[:, head] = np.exp(own) / 100
    arrays.masses[:, BIAS] = np.exp(pull + draw.normal(0, 0.2, shape)) / 100
    arrays.masses[:] *= arrays.present[:, None]
    return arrays


def fit(arrays: Arrays, heads: Floats | None = None) -> tuple[RankingFit, Sharing, Floats]:
    """What five folds decide, and the nested values without a rule."""
    quality = Quality(arrays)
    folds = split_folds(arrays.sets, 5, 0)
    everyone = np.arange(arrays.masses.shape[1])
    crossed = CrossValidation({False: quality}, folds, everyone, 4, ("single",))
    plain, _ = crossed.nested()
    sharing = Sharing(arrays, folds, everyone if heads is None else heads)
    return fit_ranking(crossed, sharing, plain), sharing, plain


def test_head_that_looks_anyway_counts_against() -> None:
    """What pulls attention whatever the query is found, and taken away again."""
    found, _, plain = fit(biased())
    assert found.chosen is not None
    exponents = dict(zip(found.chosen.heads, found.chosen.exponents, strict=True))
    assert exponents[0] > 0
    assert exponents[1] > 0
    assert exponents[BIAS] < 0
    assert found.nested.mean() > plain.mean() + 0.1


def test_no_rule_where_none_is_needed() -> None:
    """One head knows it all, and no rule is written."""
    found, _, plain = fit(planted({3: 20.0}))
    assert found.chosen is None
    assert found.nested == pytest.approx(plain)


def test_noise_promises_nothing() -> None:
    """Rules over noise fit the queries that made them, and are worth nothing on others."""
    arrays = planted({}, n_heads=60)
    found, sharing, _ = fit(arrays)
    rule = sharing.path()[32]
    chance = Quality(arrays).alone.mean()
    assert sharing.values(rule).mean() > chance + 0.1
    assert found.nested.mean() < chance + 0.05


def test_nested_score_never_looks_at_its_own_fold() -> None:
    """The rule for a fold does not change when that fold's queries do."""
    arrays = biased()
    _, before, _ = fit(arrays)
    mine = before.folds == 2
    arrays.masses[mine] = np.random.default_rng(5).random(arrays.masses[mine].shape)
    _, after, _ = fit(arrays)
    outside = frozenset({2})
    assert after.path(outside) == before.path(outside)
    assert after.path() != before.path()


def test_only_heads_that_may_take_part() -> None:
    """A head that is too deep has no part in a rule, whatever it knows."""
    found, _, _ = fit(biased(), np.array([0, 1, 2, 3, 4, 6, 7]))
    assert set(found.by_count) == {0, 4}
    assert found.chosen is None or BIAS not in found.chosen.heads


def test_number_of_paths_is_told_right() -> None:
    """The progress bar counts to what it said."""
    arrays = biased(n_queries=40)
    quality = Quality(arrays)
    folds = split_folds(arrays.sets, 5, 0)
    crossed = CrossValidation({False: quality}, folds, np.arange(24), 4, ("single",))
    plain, _ = crossed.nested()
    count = [0]

    def advance() -> None:
        count[0] += 1

    fit_ranking(crossed, Sharing(arrays, folds, np.arange(24), advance), plain)
    assert count[0] == n_paths(5)


def test_fitted_exponents_mean_what_a_profile_means_by_them() -> None:
    """A rule orders chunks in a ranking as it did where it was fitted."""
    arrays = biased(n_queries=30)
    folds = split_folds(arrays.sets, 5, 0)
    chosen = Sharing(arrays, folds, np.arange(24)).path()[8]
    rule = RankRule(tuple((head, 0) for head in chosen.heads), chosen.exponents)
    logits = np.einsum("qhc,h->qc", features(arrays)[:, list(chosen.heads)], chosen.exponents)
    for row, there in enumerate(arrays.present):
        masses = arrays.masses[row][:, there].astype(float)
        scores = rule(masses[0].tolist(), masses[list(chosen.heads)].tolist())
        assert np.argsort(scores).tolist() == np.argsort(logits[row, there]).tolist()
        assert sum(scores) == pytest.approx(min(1.0, masses[0].sum()))


def test_penalty_is_that_of_all_queries_together() -> None:
    """Twice the same queries pull exponents further from zero, as more data should."""
    arrays = biased(n_queries=20)
    twice = Arrays(
        *(np.concatenate([part, part]) for part in (
            arrays.masses, arrays.relevant, arrays.present, arrays.lexical, arrays.sets
        ))
    )  # fmt: skip

    def size(found: Arrays) -> float:
        folds = np.zeros(len(found.sets), dtype=np.int64)
        rule: Exponents = Sharing(found, folds, np.arange(24)).path()[16]
        return float(np.abs(rule.exponents).sum())

    assert size(twice) > size(arrays)
