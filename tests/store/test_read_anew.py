"""Through the ranker: what is stale, damaged, forged or of another model is read anew."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from attnmass import AttentionRanker
from attnmass.store.disk import FILE_NAME, DiskStore
from attnmass.store.entry import Entry
from tests.conftest import HEADS
from tests.store.cached import CHUNKS, QUERY, build
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_another_model_reads_anew(where: str, tmp_path: Path) -> None:
    """Weights, dtype, config or prompt that differ are a miss, also in a shared folder."""
    build(store=tmp_path).warm(CHUNKS)
    config = tiny_model().config
    config.rms_norm_eps = 0.1
    others = [
        AttentionRanker(tiny_model(seed=1), tiny_tokenizer(), heads=HEADS, store=tmp_path),
        AttentionRanker(tiny_model(config), tiny_tokenizer(), heads=HEADS, store=tmp_path),
        AttentionRanker(
            tiny_model().to(torch.bfloat16), tiny_tokenizer(), heads=HEADS, store=tmp_path
        ),
        AttentionRanker(tiny_model(), tiny_tokenizer(chat=False), heads=HEADS, store=tmp_path),
    ]
    for other in others:
        assert other.warm(CHUNKS).skipped == 0
    assert build(store=tmp_path).warm(CHUNKS).read == 0


def test_a_model_that_is_trained_on_reads_anew() -> None:
    """Weights that change under a ranker make what it kept stale, its prefix included."""
    model = tiny_model()
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS)
    ranker.rank(QUERY, CHUNKS)
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight.mul_(0.5)
    fresh = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, memory_bytes=0)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(
        fresh.rank(QUERY, CHUNKS).scores, abs=1e-6
    )
    assert ranker.stats.hits == 0


@pytest.mark.parametrize(
    ("heads", "read"),
    [
        (((1, 0), (2, 0)), 0),  # the same KV head of the last layer as (2, 1)
        (((2, 1),), 0),
        (((2, 2),), 4),  # another one
        (((2, 0), (2, 3)), 4),  # both
        (((0, 0), (1, 3)), 4),  # fewer layers
    ],
    ids=str,
)
def test_heads_that_need_other_layers_read_anew(
    heads: Sequence[tuple[int, int]], read: int, tmp_path: Path
) -> None:
    """Profiles share what they both need, and another profile's entries are never taken for it."""
    build(store=tmp_path).warm(CHUNKS)
    ranker = build(heads=heads, store=tmp_path)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(
        build(heads=heads, memory_bytes=0).rank(QUERY, CHUNKS).scores, abs=1e-5
    )
    assert ranker.stats.misses == read


@pytest.mark.parametrize("left", [0, 50, 1000, 20_000, 40_000])
def test_a_damaged_folder_is_read_anew(
    left: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the file was cut off or emptied, scores are as ever, and it is filled again."""
    expected = build(store=tmp_path).rank(QUERY, CHUNKS).scores
    os.truncate(tmp_path / FILE_NAME, left)
    ranker = build(store=tmp_path)
    assert ranker.rank(QUERY, CHUNKS).scores == expected
    assert ranker.stats.misses > 0
    assert ("damaged" in caplog.text) == (left > 0)
    assert build(store=tmp_path).warm(CHUNKS).read == 0


def test_damaged_entries_are_read_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where values are not what was written, scores are as ever, and they are written again."""
    expected = build(store=tmp_path).rank(QUERY, CHUNKS).scores
    file = sqlite3.connect(tmp_path / FILE_NAME)
    file.execute("UPDATE data SET value = zeroblob(length(value)) WHERE id <= 2")
    file.commit()
    file.close()
    ranker = build(store=tmp_path)
    assert ranker.rank(QUERY, CHUNKS).scores == expected
    assert (ranker.stats.hits, ranker.stats.misses) == (2, 2)
    assert "damaged" in caplog.text
    assert build(store=tmp_path).warm(CHUNKS).read == 0


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """A forgery that lacks a tensor."""
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def changed(
    name: str, change: Callable[[Tensor], Tensor]
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """A forgery one tensor of which is another."""
    return lambda tensors: {**tensors, name: change(tensors[name]).contiguous()}


@pytest.mark.parametrize(
    "forge",
    [
        lambda tensors: b"not safetensors",
        lambda tensors: b"",
        lambda tensors: save({}),
        without("positions"),
        without("keys.0"),
        without("keys.2"),
        without("values.1"),
        lambda tensors: {**tensors, "keys.7": tensors["keys.0"].clone()},
        lambda tensors: {**tensors, "key_scales.0": tensors["keys.0"].clone()},
        changed("keys.1", lambda tensor: tensor.double()),
        changed("keys.1", lambda tensor: tensor.to(torch.int8)),
        changed("keys.1", lambda tensor: tensor[:, :-1]),
        changed("keys.1", lambda tensor: tensor[:1]),
        changed("values.0", lambda tensor: tensor[..., :-1]),
        changed("values.0", lambda tensor: tensor.reshape(-1)),
        changed("positions", lambda tensor: tensor.float()),
        changed("positions", lambda tensor: tensor[None]),
        lambda tensors: {
            name: (tensor[:1] if name == "positions" else tensor[:, :1]).contiguous()
            for name, tensor in tensors.items()
        },
    ],
)
def test_forged_entries_are_read_anew(forge: Any, tmp_path: Path) -> None:
    """A value with the right checksum that is not what the model would leave is a miss."""
    expected = build(store=tmp_path).rank(QUERY, CHUNKS).scores
    store = DiskStore(tmp_path, None)
    file = sqlite3.connect(tmp_path / FILE_NAME)
    keys = [key.decode() for (key,) in file.execute("SELECT key FROM entries")]
    file.close()
    for key, data in store.read(keys).items():
        forged = forge(load(data))
        store.write({key: Entry(forged if isinstance(forged, bytes) else save(forged))})
    assert len(keys) == len(set(CHUNKS))
    ranker = build(store=tmp_path)
    assert ranker.rank(QUERY, CHUNKS).scores == expected
    assert ranker.stats.misses == len(keys)
    later = build(store=tmp_path)
    assert later.rank(QUERY, CHUNKS).scores == expected
    assert later.stats.misses == 0
