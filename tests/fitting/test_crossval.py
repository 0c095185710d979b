"""Cross-validation: what decides is not what is judged."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.arrays import Quality
from attnmass.fitting.heads.crossval import Config, CrossValidation, simplest, split_folds
from attnmass.fitting.metrics import Floats
from tests.fitting.planted import planted, quality

FEW = ("single", "contrastive")


def crossed(found: Quality, **options: object) -> CrossValidation:
    """Five folds, all heads, four of them at most."""
    sets = found.arrays.sets
    heads = np.arange(found.arrays.masses.shape[1])
    given = {"heads": heads, "most": 4, **options}
    return CrossValidation({False: found}, split_folds(sets, 5, 0), **given)  # type: ignore[arg-type]


def test_folds_share_out_every_set() -> None:
    """Each fold has as many of each set as any other, give or take one."""
    sets = np.repeat([0, 1], [23, 12])
    folds = split_folds(sets, 5, 0)
    for one in (0, 1):
        counts = np.bincount(folds[sets == one], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert max(np.bincount(folds)) - min(np.bincount(folds)) <= 1
    assert not np.array_equal(folds, split_folds(sets, 5, 1))


def test_planted_heads_and_their_number_are_decided_on() -> None:
    """Three equal heads carry the signal, and neither two nor four are taken."""
    found = crossed(quality({3: 1.5, 11: 1.5, 17: 1.5}, n_queries=120))
    config = found.decide()
    assert config.count == 3
    assert set(found.select(config).heads) == {3, 11, 17}


def test_one_head_is_enough_where_it_is() -> None:
    """Where one head knows it all, no second one is added."""
    found = crossed(quality({3: 20.0, 11: 20.0}))
    assert found.decide().count == 1


def test_noise_promises_nothing() -> None:
    """Heads of pure noise look good where they were selected, and not in the nested score."""
    noise = quality({}, n_queries=60, n_heads=200, seed=1)
    found = crossed(noise, methods=("single",), most=1)
    chance = noise.alone.mean()
    values, decided = found.nested()
    assert noise.alone.mean(axis=1).max() > chance + 0.05
    # Below chance, if anything: what was good luck elsewhere is bad luck here.
    assert values.mean() < chance + 0.01
    assert len(decided) == 5
    assert not np.isnan(values).any()


def test_nested_score_never_looks_at_its_own_fold() -> None:
    """What is decided for a fold does not change when that fold's queries do."""
    arrays = planted({3: 1.0, 11: 1.0, 17: 1.0})
    folds = split_folds(arrays.sets, 5, 0)
    before = crossed(Quality(arrays), methods=FEW).nested()[1]
    mine = folds == 2
    arrays.masses[mine] = np.random.default_rng(5).random(arrays.masses[mine].shape)
    after = crossed(Quality(arrays), methods=FEW).nested()[1]
    assert after[2] == before[2]
    assert after != before


def test_number_of_selections_is_told_right() -> None:
    """The progress bar counts to what it said."""
    found = crossed(quality({3: 1.0}))
    count = [0]

    def advance() -> None:
        count[0] += 1

    found.advance = advance
    found.decide()
    found.nested()
    found.select(found.decide())
    assert count[0] == found.n_selections


def test_null_query_is_taken_where_it_helps() -> None:
    """Of masses with and without the null query's those are taken that tell more."""
    good, bad = quality({3: 3.0}), quality({})
    for helps in (True, False):
        qualities = {False: bad if helps else good, True: good if helps else bad}
        sets = good.arrays.sets
        found = CrossValidation(qualities, split_folds(sets, 5, 0), np.arange(24), 3, FEW)
        assert found.decide().null_query is helps
    both = {False: good, True: good}
    same = CrossValidation(both, split_folds(sets, 5, 0), np.arange(24), 3, FEW)
    assert same.decide().null_query is False


def config(count: int, method: str = "single", *, null_query: bool = False) -> Config:
    """One way to come by heads."""
    rank = ["single", "stability", "listwise"].index(method)
    return Config(count, null_query, method == "listwise", rank, method)


def noisy(mean: float, seed: int) -> Floats:
    """100 values around a mean, alike but for a little."""
    base = np.random.default_rng(0).random(100) / 2
    return np.asarray(base + mean + np.random.default_rng(seed).normal(0, 0.05, 100))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({config(1): noisy(0.1, 1), config(4): noisy(0.2, 2)}, config(4)),
        ({config(1): noisy(0.2, 1), config(4): noisy(0.201, 2)}, config(1)),
        ({config(2, "listwise"): noisy(0.201, 1), config(2): noisy(0.2, 2)}, config(2)),
        ({config(2, null_query=True): noisy(0.201, 1), config(2): noisy(0.2, 2)}, config(2)),
        ({config(2): noisy(0.1, 1), config(2, "stability"): noisy(0.2, 2)}, config(2, "stability")),
    ],
)
def test_the_simplest_within_one_error(values: dict[Config, Floats], expected: Config) -> None:
    """Fewer heads, no null query and equal weights win unless others are clearly better."""
    assert simplest(values, np.zeros(100, dtype=np.int64)) == expected
