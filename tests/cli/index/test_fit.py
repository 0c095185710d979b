"""`index --fit`: heads are fitted on what is indexed."""

from __future__ import annotations

from logging import getLogger
from pathlib import Path
from typing import Any

import pytest

from attnmass import HeadProfile
from attnmass.fitting import first_use
from attnmass.profiles import kept
from attnmass.profiles.texts import Document
from tests.cli.conftest import Cli
from tests.cli.index.conftest import (
    INPUT,
    USAGE,
    summary,
)
from tests.fitting.test_quick import moved
from tests.tiny import tiny_model, tiny_tokenizer


def test_fit_first(
    cli: Cli, tiny_folder: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--fit` fits on the chunks, and what ranks with the profile that is named finds them."""
    heads, seen = tmp_path / "heads", list[Any]()
    heads.mkdir()

    def fit(_: Any, tokenizer: Any, default: HeadProfile, texts: Any) -> HeadProfile:
        seen.extend(texts)
        logger = getLogger("attnmass.fitting.first_use")
        logger.info("about 7 s")
        profile = HeadProfile.from_heads(
            [(1, 0)], model=default.model, layout=default.layout, source="fit"
        )
        (heads / "one.json").write_text(profile.to_json())
        return profile

    monkeypatch.setattr(first_use, "fit_at_first_use", fit)
    monkeypatch.setattr(kept, "kept_folder", lambda: heads)
    options = ("--model", tiny_folder, "--dtype", "float32", "--store", tmp_path / "store")
    lines = corpus / "lines.jsonl"
    result = cli("index", lines, *options, "--fit", "--format", "json")
    assert summary(result)["layout"] == "late"
    assert "about 7 s" in result.stderr
    assert f"rank with --profile {heads / 'one.json'}" in " ".join(result.stderr.split())
    assert Document("Line 3", ("Train 3 leaves for the city at 3 past nine.",)) in seen
    ranked = cli("rank", "train?", lines, *options, "--profile", heads / "one.json", "-f", "json")
    assert ranked.exit_code == 0
    assert "were not in" not in ranked.stderr
    with_jobs = cli("index", lines, *options, "--fit", "--jobs", "2", "--format", "json")
    assert summary(with_jobs)["read"] == 0


def test_fit_finds_heads_itself(cli: Cli, tiny_folder: Path, corpus: Path, tmp_path: Path) -> None:
    """Heads and texts that are named contradict `--fit`; chunks that are too few end it."""
    options = ("--model", tiny_folder, "--store", tmp_path / "store", "--fit")
    assert "leave out --profile and --heads" in cli.fails(
        USAGE, "index", corpus, *options, "--heads", "1-0"
    )
    told = cli.fails(USAGE, "index", corpus, *options, "--profile", "fit", "--fit-texts", corpus)
    assert "leave out" in told
    (tmp_path / "short.txt").write_text("No.")
    (tmp_path / "trained").mkdir()
    moved(tiny_model()).save_pretrained(tmp_path / "trained")
    tiny_tokenizer().save_pretrained(tmp_path / "trained")
    options = ("--model", tmp_path / "trained", *options[2:])
    told = cli.fails(INPUT, "index", tmp_path / "short.txt", *options)
    assert "0 sentences could be taken out" in told
