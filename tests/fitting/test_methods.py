"""Ways to select heads, on arrays in which known heads carry the signal."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.arrays import Choice, Quality
from attnmass.fitting.heads.methods import METHODS, WEIGHTED, Task, of_count
from tests.fitting.planted import planted, quality

SIGNAL = {3: 2.0, 11: 2.0, 17: 2.0}


def task(found: Quality, **options: object) -> Task:
    """All queries, all heads, three of them at most."""
    n_queries, n_heads, _ = found.arrays.masses.shape
    given = {"rows": np.arange(n_queries), "heads": np.arange(n_heads), "most": 3, **options}
    return Task(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n_sets", [1, 2])
def test_planted_heads_are_found(name: str, n_sets: int) -> None:
    """Every method finds the three heads that carry the signal, whatever is drawn."""
    for seed in range(3):
        found = quality(SIGNAL, n_sets=n_sets, seed=seed)
        choice = of_count(METHODS[name](found, task(found)), 3)
        assert set(choice.heads) == set(SIGNAL)
        assert sum(choice.weights) == pytest.approx(1)
        assert (len(set(choice.weights)) == 1) == (name not in WEIGHTED)


@pytest.mark.parametrize("name", METHODS)
def test_choices_are_one_head_two_heads_and_so_on(name: str) -> None:
    """Choices grow, hold no head twice, and keep to what is allowed."""
    found = quality(SIGNAL)
    allowed = np.array([0, 1, 2, 3, 4, 11])
    choices = METHODS[name](found, task(found, heads=allowed, most=4))
    sizes = [len(choice.heads) for choice in choices]
    assert sizes == sorted(set(sizes))
    assert 1 <= sizes[0] <= sizes[-1] <= 4
    for choice in choices:
        assert len(set(choice.heads)) == len(choice.heads) == len(choice.weights)
        assert set(choice.heads) <= set(allowed.tolist())
    assert {3, 11} <= set(of_count(choices, 3).heads)


@pytest.mark.parametrize("name", METHODS)
def test_only_the_rows_of_the_task_matter(name: str) -> None:
    """What other queries say does not change what is selected."""
    arrays = planted(SIGNAL)
    rows = np.arange(0, 60, 2)
    found = Quality(arrays)
    before = METHODS[name](found, task(found, rows=rows))
    arrays.masses[1::2] = np.random.default_rng(9).random(arrays.masses[1::2].shape)
    other = Quality(arrays)
    assert METHODS[name](other, task(other, rows=rows)) == before


@pytest.mark.parametrize("name", METHODS)
def test_the_same_every_time(name: str) -> None:
    """Nothing is left to chance."""
    found, again = quality(SIGNAL), quality(SIGNAL)
    assert METHODS[name](found, task(found)) == METHODS[name](again, task(again))


def test_loud_heads() -> None:
    """A head with much mass everywhere has most on what is relevant, and only that method asks."""
    found = quality({3: 2.0}, loud=(8,))
    assert METHODS["gold_mass"](found, task(found))[0].heads == (8,)
    for name in ("single", "contrastive", "stability", "listwise"):
        assert METHODS[name](found, task(found))[0].heads == (3,), name


def test_hard_negatives() -> None:
    """A head that is only fooled by what BM25 likes is worth less where that is asked."""
    arrays = planted({3: 4.0, 5: 4.0})
    for row in range(len(arrays.masses)):
        negatives = np.flatnonzero(arrays.present[row] & (arrays.relevant[row] == 0))
        hardest = negatives[np.argmax(arrays.lexical[row, negatives])]
        arrays.masses[row, 5, hardest] += 0.05
    found = Quality(arrays)
    assert METHODS["contrastive"](found, task(found))[0].heads == (3,)


def test_stability_drops_what_only_some_draws_like() -> None:
    """A head that helps on few queries takes part in fewer samples than those that help on all."""
    arrays = planted(SIGNAL)
    for row in range(3):
        arrays.masses[row, 20] += 0.2 * arrays.relevant[row]
    found = Quality(arrays)
    assert set(METHODS["stability"](found, task(found))[-1].heads) == set(SIGNAL)


def test_regression_weighs() -> None:
    """A head that carries more signal gets more weight, and both get some."""
    found = quality({3: 3.0, 11: 1.0}, n_queries=200)
    choice = of_count(METHODS["listwise"](found, task(found)), 2)
    assert choice.heads == (3, 11)
    assert choice.weights[0] > 0.55
    assert choice.weights[1] >= 0.25  # half of an equal share, at least


def test_of_count() -> None:
    """So many heads, else the most below that, else the smallest choice."""
    choices = [Choice.equal(range(count)) for count in (2, 3, 5)]
    assert [len(of_count(choices, count).heads) for count in (1, 2, 4, 5, 9)] == [2, 2, 3, 5, 5]
