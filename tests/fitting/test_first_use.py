"""`profile="fit"`: fitted without labels at first use, kept, and found again."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, TextGenerationPipeline
from typer.testing import CliRunner

from attnmass import AttentionRanker, UnsupportedModelError, load_profile
from attnmass.cli.app import app
from attnmass.fitting import first_use, quick, run
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.evidence import telling
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.queries.texts import sample_texts
from attnmass.models.sizes import fingerprint
from attnmass.profiles import kept as kept_in_cache
from tests.fitting.test_quick import moved
from tests.tiny import tiny_model, tiny_tokenizer

GOOD = ((0, 1), (1, 2))
N_QUERIES = 30
TEXT = "\n\n".join(
    " ".join(f"The river number {n} of part {part} runs through a city." for n in range(9))
    for part in range(12)
)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is kept."""
    for module in (kept_in_cache, quick, first_use):
        monkeypatch.setattr(module, "kept_folder", lambda: tmp_path / "cache" / "heads")
    return tmp_path / "cache" / "heads"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two heads of any model find what is relevant; which queries they were asked."""
    asked: list[str] = []

    def look_at(ranker: AttentionRanker, _: Any, heads: Any = None) -> Callable[..., Capture]:
        known = ranker.profile.heads if heads is None else tuple(heads)

        def look(query: LabelledQuery) -> Capture:
            asked.append(query.query)
            draw = np.random.default_rng(len(query.query))
            masses = draw.random((len(known), len(query.chunks))) / 50
            for head in GOOD:
                if head in known:
                    masses[known.index(head)] += 0.5 * np.array(query.relevant)
            counts = np.full(len(query.chunks), 20.0, dtype=np.float32)
            return Capture(masses.astype(np.float32), counts)

        return look

    monkeypatch.setattr(first_use, "CLOZES", N_QUERIES)
    for module in (first_use, run):
        monkeypatch.setattr(module, "look_at_heads", look_at)
    monkeypatch.setattr(telling, "look_beside", look_at)
    return asked


def model() -> Any:
    """A model that could have been trained."""
    return moved(tiny_model())


def fitted(given: Any = None, **options: Any) -> AttentionRanker:
    """A ranker over a fit, which nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = model() if given is None else given
        return AttentionRanker(made, tiny_tokenizer(), profile="fit", **options)


def test_fitted_once(kept: Path, looks: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """The heads that find what sentences were taken out of are read late, and kept in one file."""
    with caplog.at_level(logging.INFO, "attnmass"):
        found = fitted()
    profile = found.profile
    assert set(GOOD) <= set(profile.heads)
    assert (profile.layout, profile.source) == ("late", "fit")
    assert profile.fitted_on == f"{N_QUERIES} sentences of the texts that ship"
    assert profile.fingerprint == fingerprint(tiny_model().config)
    assert profile.relevance is not None
    assert f"on {N_QUERIES} sentences: about " in caplog.text
    (file,) = kept.glob("*.json")
    assert load_profile(file) == profile
    assert not list(kept.glob("*.reading"))
    n_asked = len(looks)
    assert fitted().profile == profile
    assert len(looks) == n_asked
    assert found.rank("Who was Einstein?", ["a physicist", "the river"]).chunks


def test_found_by_others(kept: Path, looks: list[str], tmp_path: Path) -> None:
    """It is found for a generator, for a model by name, and where nobody asks for a fit."""
    tokenizer = tiny_tokenizer()
    model().save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    named = AttentionRanker.from_pretrained(tmp_path / "model", dtype="float32", profile="fit")
    n_asked = len(looks)
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    generator = TextGenerationPipeline(model=whole, tokenizer=tokenizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = AttentionRanker.from_generator(generator, profile="fit")
        plain = AttentionRanker.from_generator(generator, layout="late")
    assert reading.profile.heads == plain.profile.heads == named.profile.heads
    assert plain.profile.source == "fit"
    assert len(looks) == n_asked
    assert len(list(kept.glob("*.json"))) == 1


def test_texts(kept: Path, looks: list[str], tmp_path: Path) -> None:
    """Texts have a fit each, a file and what it says the same; the newest is found without."""
    (tmp_path / "notes.txt").write_text(TEXT)
    by_file = fitted(fit_texts=tmp_path / "notes.txt").profile
    n_asked = len(looks)
    assert fitted(fit_texts=[TEXT]).profile == by_file
    assert len(looks) == n_asked
    assert by_file.fitted_on.endswith("sentences of texts of one's own")
    assert fitted().profile == by_file
    assert len(list(kept.glob("*.json"))) == 1


def test_another_model_is_fitted_anew(kept: Path, looks: list[str]) -> None:
    """Other weights, and another layout, have a fit of their own."""
    fitted()
    fitted(moved(tiny_model(seed=1)))
    assert fitted(layout="parallel").profile.layout == "parallel"
    assert len(list(kept.glob("*.json"))) == 3


def test_goes_on(kept: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before an interruption is not read again."""

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(first_use, "stands_out", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fitted()
    estimate = 2 * first_use._FIRST
    assert len(looks) == first_use._TRIED + estimate
    assert not list(kept.glob("*.json"))
    fitted()
    # Each once for the heads, and once for relevance.
    assert len(looks) == 2 * N_QUERIES + 2 * estimate


@pytest.mark.parametrize("damage", ["", "{}", '{"heads": [[0, 1]]}'])
def test_what_is_damaged_is_not_there(kept: Path, looks: list[str], damage: str) -> None:
    """A kept file that is no fit of the model is a miss, and is written anew."""
    found = fitted().profile
    (file,) = kept.glob("*.json")
    file.write_text(damage)
    assert fitted().profile == found
    assert load_profile(file) == found
    file.write_text(replace(found, source="somebody").to_json())
    assert fitted().profile.source == "fit"


def test_nowhere_to_keep(kept: Path, looks: list[str]) -> None:
    """Where nothing can be written a fit is made all the same."""
    kept.parent.mkdir(parents=True)
    kept.write_text("a file where the folder should be")
    assert set(GOOD) <= set(fitted().profile.heads)


def test_untrained_weights(kept: Path, looks: list[str]) -> None:
    """Weights as they begin are refused before anything is read, and nothing is kept."""
    with pytest.raises(UnsupportedModelError, match=r"found no head .*untrained"):
        fitted(tiny_model())
    assert looks == []
    assert not kept.exists()


def test_random_weights(kept: Path) -> None:
    """A model none of whose few layers finds more than chance is refused, and nothing is kept."""
    with pytest.raises(UnsupportedModelError, match=r"found no head .*of 3 layers.*or heads="):
        fitted()
    assert not list(kept.glob("*.json"))
    assert not list(kept.glob("*.reading"))


def test_bad_texts(kept: Path, looks: list[str]) -> None:
    """Too few texts, no text, and texts that nothing is fitted on are refused at once."""
    with pytest.raises(ValueError, match=r"0 sentences .*at least 6.*docz: there"):
        fitted(fit_texts="docz")
    with pytest.raises(ValueError, match="fit_texts has nothing in it"):
        fitted(fit_texts=[])
    with pytest.raises(TypeError, match="fit_texts must be paths or texts"):
        fitted(fit_texts=[5])
    with pytest.raises(ValueError, match="set profile to that"):
        AttentionRanker(model(), tiny_tokenizer(), heads=[(0, 0)], fit_texts=["a text"])
    with pytest.raises(ValueError, match="pass profile or heads"):
        fitted(heads=[(0, 0)])
    assert looks == []


def test_no_fast_tokenizer(kept: Path, looks: list[str]) -> None:
    """A tokenizer without offsets is refused as everywhere."""

    class Slow:
        is_fast = False

    with pytest.raises(UnsupportedModelError, match="fast tokenizer"):
        AttentionRanker(model(), Slow(), profile="fit")
    assert not list(kept.glob("*.json"))


def test_large_corpora_are_sampled(tmp_path: Path) -> None:
    """Of more documents than are held some are drawn, evenly, and the same each time."""
    lines = "".join(f'{{"text": "number {n}"}}\n' for n in range(1000))
    (tmp_path / "corpus.jsonl").write_text(lines)
    found = sample_texts([tmp_path / "corpus.jsonl"], most=50)
    numbers = [int(one.paragraphs[0].split()[1]) for one in found]
    assert len(numbers) == 50
    assert numbers == sorted(numbers)
    assert 300 < sum(numbers) / 50 < 700
    assert sample_texts([tmp_path / "corpus.jsonl"], most=50) == found
    assert len(sample_texts([tmp_path / "corpus.jsonl"], most=2000)) == 1000


def test_list(kept: Path, looks: list[str]) -> None:
    """What is kept is listed with its file and what it is worth on texts."""
    fitted()
    (file,) = kept.glob("*.json")
    listed = CliRunner().invoke(app, ["profiles", "list", "-f", "tsv"]).stdout
    (line,) = (line for line in listed.splitlines() if str(file) in line)
    assert "held-out folds" in line
