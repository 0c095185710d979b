"""Which key heads a layout that keeps key vectors keeps."""

from __future__ import annotations

import numpy as np
from transformers import LlamaConfig

from attnmass.fitting.captures.arrays import Arrays
from attnmass.fitting.shares.key_heads import choose_key_heads, numbered
from attnmass.models.sizes import key_head_of

GROUPS = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def planted(finds: list[int], n_queries: int = 60) -> Arrays:
    """Masses of ten heads over five chunks, of which some heads find the relevant one."""
    generator = np.random.default_rng(0)
    masses, labels = [], []
    for _ in range(n_queries):
        mass = generator.uniform(0.5, 1.5, (len(GROUPS), 5))
        wanted = generator.integers(5)
        for head in finds:
            mass[head, wanted] *= generator.uniform(0.8, 3)
        masses.append(mass / mass.sum(axis=1, keepdims=True))
        labels.append([float(place == wanted) for place in range(5)])
    lexical = [np.zeros(5)] * n_queries
    return Arrays.stack(masses, labels, lexical, [0] * n_queries)


def chosen(finds: list[int], most: int) -> set[int]:
    """The key heads that are chosen."""
    arrays = planted(finds)
    folds = np.arange(len(arrays.relevant)) % 5
    heads = np.arange(len(GROUPS))
    return {GROUPS[i] for i in choose_key_heads(arrays, folds, heads, GROUPS, most)}


def test_those_that_find_are_kept() -> None:
    """Two key heads are enough where all heads that find look at these."""
    assert chosen([2, 3, 8], 2) == {1, 4}


def test_no_more_than_is_allowed() -> None:
    """However many heads find, no more key heads are kept than the bound says."""
    assert len(chosen(list(range(10)), 3)) <= 3
    assert len(chosen(list(range(10)), 2)) == 2


def test_all_heads_on_a_key_head_come_along() -> None:
    """What is kept for one head can be read by all that share its key vectors."""
    arrays = planted([2, 8])
    folds = np.arange(len(arrays.relevant)) % 5
    found = choose_key_heads(arrays, folds, np.arange(10), GROUPS, 2)
    assert found.tolist() == [2, 3, 8, 9]


def test_few_key_heads_are_all_kept() -> None:
    """Where there are no more than two, nothing is chosen."""
    heads = np.array([0, 1, 2, 3])
    arrays = planted([0])
    folds = np.arange(len(arrays.relevant)) % 5
    assert choose_key_heads(arrays, folds, heads, GROUPS, 6) is heads


def test_heads_of_a_grouped_model_share_key_heads() -> None:
    """The key head of a head follows from the config's numbers."""
    config = LlamaConfig(hidden_size=576, num_attention_heads=9, num_key_value_heads=3)
    assert [key_head_of(config, (2, head)) for head in (0, 2, 3, 8)] == [
        (2, 0),
        (2, 0),
        (2, 1),
        (2, 2),
    ]
    assert numbered([(0, 1), (0, 0), (0, 1), (3, 0)]) == [0, 1, 0, 2]
