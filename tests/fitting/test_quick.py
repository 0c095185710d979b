"""Heads for a model that nobody has fitted: chosen in seconds, kept, and found again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, TextGenerationPipeline
from typer.testing import CliRunner

from attnmass import AttentionRanker, load_profile
from attnmass.cli.app import app
from attnmass.fitting import quick
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.models.sizes import fingerprint
from attnmass.models.untrained import is_untrained
from attnmass.profiles import kept as kept_in_cache
from attnmass.profiles.fusing import UNFITTED, UNFITTED_PAIRS
from tests.fitting.planted import planted
from tests.sizes import sizes
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

GOOD = ((0, 1), (1, 2))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is kept."""
    for module in (kept_in_cache, quick):
        monkeypatch.setattr(module, "kept_folder", lambda: tmp_path / "heads")
    return tmp_path / "heads"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two heads of any model find what is relevant; which queries they were asked."""
    asked: list[str] = []

    def look_at_heads(ranker: AttentionRanker, _: Any) -> Callable[[LabelledQuery], Capture]:
        heads = ranker.profile.heads

        def look(query: LabelledQuery) -> Capture:
            asked.append(query.query)
            draw = np.random.default_rng(crc32(query.query.encode()))
            masses = draw.random((len(heads), len(query.chunks))) / 50
            for head in GOOD:
                masses[heads.index(head)] += 0.5 * np.array(query.relevant)
            return Capture(masses.astype(np.float32), np.full(len(query.chunks), 20.0))

        return look

    monkeypatch.setattr(quick, "look_at_heads", look_at_heads)
    monkeypatch.setattr(quick, "_HEADS", 2)
    return asked


def moved(model: Any) -> Any:
    """The model as if it had been trained: its normalizations are no longer all alike."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name.lower():
                parameter.add_(torch.rand(parameter.shape, generator=generator) / 100)
    return model


def ranker(model: Any, **options: Any) -> AttentionRanker:
    """A ranker without a profile, which is told of."""
    with pytest.warns(UserWarning, match="no head profile ships") as told:
        found = AttentionRanker(model, tiny_tokenizer(), **options)
    assert len(told) == 1
    return found


@pytest.mark.parametrize("layout", ["late", "parallel", "joint"])
def test_what_is_chosen(kept: Path, looks: list[str], layout: str) -> None:
    """The heads that find what sentences were taken out of are read, and the warning says so."""
    n_asked = 24 if layout == "joint" else 48
    with pytest.warns(
        UserWarning,
        match=rf"2 heads are read that {n_asked} sentences of the texts that ship singled out.*"
        rf"attnmass fit --model MODEL --layout {layout} --out",
    ):
        found = AttentionRanker(moved(tiny_model()), tiny_tokenizer(), layout=layout)
    assert found.profile.heads == GOOD
    assert found.profile.source == "quick choice"
    assert found.profile.layout == layout
    assert found.profile.fuse_rule == (UNFITTED_PAIRS if layout == "joint" else UNFITTED)
    assert found.profile.null_query == (layout == "joint")
    assert found.profile.fingerprint == fingerprint(tiny_model().config)
    assert len(looks) == len(set(looks)) == n_asked
    rule = found.profile.ranking
    if layout == "joint":
        assert rule is None
    else:
        assert rule is not None
        assert set(GOOD) <= set(rule.heads)
        shares = dict(zip(rule.heads, rule.exponents, strict=True))
        assert all(
            shares[head] > abs(shares[other]) for head in GOOD for other in set(shares) - {*GOOD}
        )
    (file,) = kept.iterdir()
    assert load_profile(file) == found.profile
    assert found.rank("Who was Einstein?", ["a physicist", "the river"]).chunks


def test_found_again(kept: Path, looks: list[str], tmp_path: Path) -> None:
    """It is chosen once for a model, in memory whole, generating, or loaded up to a layer."""
    tokenizer = tiny_tokenizer()
    moved(tiny_model()).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    first = ranker(model)
    n_asked = len(looks)
    assert ranker(model).profile == first.profile
    generator = TextGenerationPipeline(model=model, tokenizer=tokenizer)
    with pytest.warns(UserWarning, match="2 heads are read"):
        reading = AttentionRanker.from_generator(generator)
    assert reading.profile == first.profile
    with pytest.warns(UserWarning, match="2 heads are read"):
        named = AttentionRanker.from_pretrained(tmp_path / "model", dtype="float32")
    assert named.profile.heads == first.profile.heads
    assert len(looks) == n_asked
    assert len(list(kept.iterdir())) == 1


def test_heads_of_three_quarters_of_the_layers(
    kept: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some stand above the middle layers; those layers are in memory where a model is named."""
    deep = ((1, 2), (8, 1))
    monkeypatch.setattr(f"{__name__}.GOOD", deep)
    model, tokenizer = moved(tiny_model(LlamaConfig(**sizes(512, 12, 1024)))), tiny_tokenizer()
    found = ranker(model).profile
    assert found.heads == deep
    assert found.last_layer == 8
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.warns(UserWarning, match="2 heads are read"):
        named = AttentionRanker.from_pretrained(tmp_path / "model", dtype="float32")
    assert named.profile.heads == deep
    assert len(list(kept.iterdir())) == 1


def test_another_model_is_chosen_anew(kept: Path, looks: list[str]) -> None:
    """Other weights, and another layout, have a choice of their own."""
    ranker(moved(tiny_model()))
    ranker(moved(tiny_model(seed=1)))
    ranker(moved(tiny_model()), layout="late")
    assert len(looks) == 144
    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize("damage", ["", "{}", '{"heads": [[0, 1]]}'])
def test_what_is_damaged_is_not_there(kept: Path, looks: list[str], damage: str) -> None:
    """A kept file that is no profile of the model is a miss, and is written anew."""
    chosen = ranker(moved(tiny_model())).profile
    (file,) = kept.iterdir()
    file.write_text(damage)
    assert ranker(moved(tiny_model())).profile == chosen
    assert len(looks) == 96
    assert load_profile(file) == chosen
    file.write_text(file.read_text().replace(str(chosen.fingerprint), "0" * 16))
    assert ranker(moved(tiny_model())).profile == chosen
    assert len(looks) == 144


def test_list(kept: Path, looks: list[str]) -> None:
    """What is kept is listed with its file, by which it is shown; what is damaged is left out."""
    ranker(moved(tiny_model()))
    (file,) = kept.iterdir()
    (kept / "damaged.json").write_text("{")
    listed = CliRunner().invoke(app, ["profiles", "list", "-f", "json"]).stdout
    assert str(file) in listed
    assert "damaged.json" not in listed
    shown = CliRunner().invoke(app, ["profiles", "show", str(file)]).stdout
    assert "48 sentences of the texts that ship" in shown


def test_nowhere_to_keep(kept: Path, looks: list[str]) -> None:
    """Where nothing can be written the heads are read all the same."""
    kept.write_text("a file where the folder should be")
    assert ranker(moved(tiny_model())).profile.heads == GOOD


def test_untrained_weights_are_not_asked(kept: Path, looks: list[str]) -> None:
    """Weights as they begin are known at once: middle layers, a warning that says why, no file."""
    with pytest.warns(UserWarning, match="middle layers.*almost at random.*weights are untrained"):
        found = AttentionRanker(tiny_model(), tiny_tokenizer())
    assert found.profile.source == "default"
    assert looks == []
    assert not kept.exists()


def test_random_weights_single_nothing_out(kept: Path) -> None:
    """A model whose heads find no better than chance keeps its middle layers, and no file."""
    assert ranker(moved(tiny_model()), layout="late").profile.source == "default"
    assert not kept.exists()


def test_what_cannot_be_read_keeps_the_default(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the texts do not fit into a model, its middle layers are read."""

    def look_at_heads(*_: Any) -> Callable[[LabelledQuery], Capture]:
        raise ValueError("too long")

    monkeypatch.setattr(quick, "look_at_heads", look_at_heads)
    assert ranker(moved(tiny_model())).profile.source == "default"
    assert not kept.exists()


@pytest.mark.parametrize(
    ("make", "tokenizer"),
    [(tiny_encoder, wordpiece_tokenizer), (tiny_seq2seq, seq2seq_tokenizer)],
    ids=["encoder", "encoder-decoder"],
)
def test_other_kinds(
    kept: Path, looks: list[str], make: Callable[[], Any], tokenizer: Callable[[], Any]
) -> None:
    """Heads of what is no decoder are chosen in its own layout, from few chunks a sentence.

    All of its heads may share mass out: a pair is read whole, whatever heads are looked at.
    """
    with pytest.warns(UserWarning, match=r"2 heads are read.*--layout pointwise"):
        found = AttentionRanker(moved(make()), tokenizer())
    assert found.profile.heads == GOOD
    rule = found.profile.ranking
    assert rule is not None
    shares = dict(zip(rule.heads, rule.exponents, strict=True))
    assert set(GOOD) < set(shares)
    assert min(shares[head] for head in GOOD) > max(shares[head] for head in {*shares} - {*GOOD})
    assert all(len(query.chunks) == 8 for query in quick.queries_for("pointwise"))


@pytest.mark.parametrize("make", [tiny_encoder, tiny_seq2seq])
def test_other_kinds_of_random_weights(kept: Path, make: Callable[[], Any]) -> None:
    """Random weights of these single nothing out either, without an error."""
    tokenizer = wordpiece_tokenizer() if make is tiny_encoder else seq2seq_tokenizer()
    with pytest.warns(UserWarning, match="no heads could be singled out"):
        AttentionRanker(moved(make()), tokenizer)
    assert not kept.exists()


def test_heads_and_profiles_are_taken_as_they_are(kept: Path, looks: list[str]) -> None:
    """What the user names is read without a question and without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AttentionRanker(moved(tiny_model()), tiny_tokenizer(), heads=[(1, 0)])
    assert looks == []


def test_likelihood_finds_planted_heads() -> None:
    """Of heads with noise those with a signal are taken first, and stand out; noise does not."""
    signal = planted({3: 3.0, 17: 3.0}, n_queries=12)
    assert set(quick._likeliest(signal, np.arange(12))[:2]) == {3, 17}
    assert quick.stands_out(planted(dict.fromkeys(range(8), 3.0), n_queries=12))
    noise = [planted({}, n_queries=24, n_chunks=24, seed=seed) for seed in range(15)]
    assert sum(map(quick.stands_out, noise)) <= 1


def test_untrained() -> None:
    """One gain that has moved tells a trained model; without normalizations nothing is told."""
    model = tiny_model()
    assert is_untrained(model)
    with torch.no_grad():
        model.model.norm.weight[3] = 1.01
    assert not is_untrained(model)
    assert not is_untrained(torch.nn.Linear(2, 2))
