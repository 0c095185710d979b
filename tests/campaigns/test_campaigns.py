"""Each campaign, once round: that it runs, finds nothing, and would find something."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.campaigns import damage, drawn, pairs
from tests.contract.adapters import Candidate


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("part", [damage.stores, damage.scores])
def test_damage(part: object, tmp_path: Path) -> None:
    """A store that was written by killed processes and damaged gives misses and errors alone."""
    assert isinstance(found := part(tmp_path, 0), Counter)  # type: ignore[operator]
    assert found.total() >= 2


def test_another_score_is_found() -> None:
    """The campaign tells a score that is another from the same, and from an error."""

    def fails() -> list[float]:
        raise ValueError("damaged")

    assert damage.judged(lambda: [0.5, 0.25], [0.5, 0.25]) == "same"
    assert damage.judged(fails, [0.5]) == "error"
    with pytest.raises(AssertionError):
        damage.judged(lambda: [0.5, 0.26], [0.5, 0.25])
    with pytest.raises(KeyError):  # what tells nobody anything is no error of ours
        damage.judged(lambda: {}["x"], [0.5])  # type: ignore[no-any-return]


@pytest.mark.parametrize("harm", damage.WEIGHTS)
def test_weights_are_harmed(harm: object, tiny_folder: Path, tmp_path: Path) -> None:
    """Every kind of damage changes what is in a model's folder."""
    for seed in range(5):
        folder = tmp_path / str(seed)
        shutil.copytree(tiny_folder, folder)
        harm(folder, Random(seed))  # type: ignore[operator]
        before, after = (
            {file.name: file.read_bytes() for file in place.iterdir()}
            for place in (tiny_folder, folder)
        )
        assert before != after


def test_pairs() -> None:
    """Random texts are trimmed within budget and time, with offsets that lead to them."""
    found = pairs.campaign(8)
    assert found["pairs"] == 16
    assert found["results"] > 0


def test_drawn() -> None:
    """Hostile texts are drawn in every way there is, and nothing gets out of them."""
    found = drawn.campaign(4)
    assert found["drawings"] == 4
    assert found["spans"] > 0


@pytest.mark.parametrize("text", ["\x1b[31m", "a\rb", "\u202e", "\x9b1m", "\ud800"])
def test_what_steers_a_terminal_is_found(text: str) -> None:
    """Control characters, and what turns the direction of a line, are no lines of text."""
    with pytest.raises(AssertionError):
        drawn.check_lines(f"one {text} two")
    drawn.check_lines("one\n\ttwo")


@pytest.mark.parametrize("page", ["<p>", "<a href='javascript:x'>y</a>", "</p>"])
def test_a_page_that_is_broken_into_is_found(page: str) -> None:
    """An element that a text left open, or a link out of the page, is found; so is another name."""
    with pytest.raises(AssertionError):
        drawn.markup([page])
    assert drawn.markup(["<p onclick='x'>y</p>"]) == {("p", ""), ("p", "onclick")}


def test_what_does_not_hold_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure names the seed that it can be had again with."""
    monkeypatch.setattr(pairs, "candidates", lambda numbers: [Candidate("One. Two.", 0.5, "a")])
    monkeypatch.setattr(pairs, "SECONDS", 0.0)
    monkeypatch.setattr(pairs, "SECONDS_A_CHARACTER", 0.0)
    with pytest.raises(
        AssertionError, match=r"--seed 5, LlamaIndexAdapter: .* what may take 0\.0 s"
    ):
        pairs.campaign(1, seed=5)
