"""Kill writers and damage files at random: a miss or an error may come of it, never another score.

python -m tests.campaigns.damage [--size N] [--seed S]

`make campaign SIZE=N` runs it. Weights and configs have no checksums: of them only what can be told
is damaged, which is what they are made of and whether it is all there.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from attnmass import AttentionRanker, AttnMassError
from attnmass.store.disk import FILE_NAME, DiskStore
from tests.campaigns.entry import line, run
from tests.conftest import HEADS
from tests.store.damages import DAMAGES, cut, damaged_store, head
from tests.store.processes import killed_writers
from tests.store.values import MANY, check
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city; trains run late.",
    "Books and music are made of words and numbers. Winter is cold.",
]
HOW: list[dict[str, Any]] = [
    {"layout": "late"},
    {"layout": "parallel"},
    {"layout": "parallel", "store_format": "int8"},
]


def judged(run: Callable[[], Sequence[float]], expected: Sequence[float]) -> str:
    """`"same"` or `"error"`, of a run that may be anything but another result.

    Raises:
        AssertionError: If it is another, or an error that tells nobody what is wrong.
    """
    try:
        scores = run()
    except (AttnMassError, OSError, ValueError):
        return "error"
    torch.testing.assert_close(list(scores), list(expected), atol=1e-6, rtol=1e-5)
    return "same"


def stores(folder: Path, seed: int) -> Counter[str]:
    """Values of a store, through killed writers and every kind of damage."""
    killed_writers(folder / "killed", 0.1, 10 * seed)
    check(DiskStore(folder / "killed", MANY))
    for damage in DAMAGES:
        damaged_store(folder / "damaged", damage, seed)
    return Counter({"right or a miss": 1 + len(DAMAGES)})


def scores(folder: Path, seed: int) -> Counter[str]:
    """Scores of a ranker whose store was written by a process that was killed, then damaged."""
    numbers = Random(seed)
    options = numbers.choice(HOW)
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    expected = ranker(folder / "whole", **options).rank(QUERY, CHUNKS).scores
    child = os.fork()
    if child == 0:
        try:
            writer = ranker(store, **options)
            for number in range(10**6):
                writer.rank(QUERY, [*CHUNKS, f"Chunk {number} is about nothing."])
        finally:
            os._exit(1)
    time.sleep(numbers.uniform(0.05, 0.3))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    def run() -> Sequence[float]:
        return ranker(store, **options).rank(QUERY, CHUNKS).scores

    found = Counter([judged(run, expected)])
    file = store / FILE_NAME
    if file.exists() and file.stat().st_size:
        for damage in (numbers.choice(DAMAGES) for _ in range(3)):
            damage_quietly(damage, file, numbers)
            found[judged(run, expected)] += 1
    return found


def damage_quietly(damage: Callable[[Path, Random], None], file: Path, numbers: Random) -> None:
    """Damage a file of which there may be nothing left to damage."""
    try:
        damage(file, numbers)
    except Exception as error:  # what was damaged before may be no database any more
        if not isinstance(error, ValueError) and type(error).__module__ != "sqlite3":
            raise


def ranker(store: Path, **options: Any) -> AttentionRanker:
    """A ranker that has nothing but its store."""
    return AttentionRanker(
        tiny_model(), tiny_tokenizer(), heads=HEADS, memory_bytes=0, store=store, **options
    )


def without_a_tensor(folder: Path, numbers: Random) -> None:
    """Take one of the tensors that are read out of the weights."""
    tensors, name = _tensors(folder, numbers)
    del tensors[name]
    _save(folder, tensors)


def renamed_tensor(folder: Path, numbers: Random) -> None:
    """Give one of them another name."""
    tensors, name = _tensors(folder, numbers)
    tensors[f"{name}s"] = tensors.pop(name)
    _save(folder, tensors)


def reshaped_tensor(folder: Path, numbers: Random) -> None:
    """Cut a row off one of them."""
    tensors, name = _tensors(folder, numbers)
    tensors[name] = tensors[name][1:].contiguous()
    _save(folder, tensors)


def cut_file(folder: Path, numbers: Random) -> None:
    """Cut off a file anywhere but at its end."""
    file = folder / numbers.choice(["model.safetensors", "config.json", "tokenizer.json"])
    size = file.stat().st_size
    while file.stat().st_size >= size - 2:
        cut(file, numbers)
        if file.stat().st_size >= size - 2:
            break
    os.truncate(file, min(file.stat().st_size, size - 3))


def noise_in_the_header(folder: Path, numbers: Random) -> None:
    """Write noise over a part of what tells where tensors are."""
    head(folder / "model.safetensors", numbers)


def missing_file(folder: Path, numbers: Random) -> None:
    """Remove a file that a model cannot be without."""
    (folder / numbers.choice(["model.safetensors", "config.json", "tokenizer.json"])).unlink()


WEIGHTS: list[Callable[[Path, Random], None]] = [
    without_a_tensor,
    renamed_tensor,
    reshaped_tensor,
    cut_file,
    noise_in_the_header,
    missing_file,
]


def _tensors(folder: Path, numbers: Random) -> tuple[dict[str, torch.Tensor], str]:
    """The weights, and one that is read: nobody reads the head, or what is above the last layer."""
    tensors = load_file(folder / "model.safetensors")
    last = max(layer for layer, _ in HEADS)
    read = [
        name
        for name in sorted(tensors)
        if "embed_tokens" in name or any(f"layers.{layer}.input" in name for layer in range(last))
    ]
    return tensors, numbers.choice(read)


def _save(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def weights(folder: Path, seed: int) -> Counter[str]:
    """Scores of a model that is loaded from a folder in which something is damaged."""
    numbers = Random(seed)
    whole = folder / "model"
    if not whole.exists():
        tiny_model().save_pretrained(whole)
        tiny_tokenizer().save_pretrained(whole)
    expected = loaded_scores(whole)
    found: Counter[str] = Counter()
    for damage in WEIGHTS:
        damaged = folder / "damaged_model"
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(whole, damaged)
        damage(damaged, numbers)
        try:
            found[judged(partial(loaded_scores, damaged), expected)] += 1
        except AssertionError as error:
            raise AssertionError(f"{damage.__name__}: {error}") from error
    return found


def loaded_scores(folder: Path) -> Sequence[float]:
    """Scores by the model in a folder."""
    found = AttentionRanker.from_pretrained(folder, heads=HEADS, dtype="float32", device="cpu")
    return found.rank(QUERY, CHUNKS).scores


PARTS = (stores, scores, weights)


def campaign(size: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Run every part so often, each time with the next seed; what came of it.

    Raises:
        AssertionError: If a score was another, with part and seed.
    """
    told: dict[str, Counter[str]] = {part.__name__: Counter() for part in PARTS}
    with tempfile.TemporaryDirectory() as place:
        for number in range(seed, seed + size):
            for part in PARTS:
                try:
                    told[part.__name__] += part(Path(place), number)
                except AssertionError as error:
                    raise AssertionError(f"{part.__name__}, --seed {number}: {error}") from error
    return told


def main() -> None:
    """Run as often as is asked, and say what came of it."""
    for part, found in run(__doc__, campaign, 20).items():
        print(f"{part}: {line(dict(sorted(found.items())))}")


if __name__ == "__main__":
    main()
