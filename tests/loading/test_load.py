"""Loading by name: no more than the layers that run, on the device and in the dtype asked for."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import torch

from attnmass import AttentionRanker, UnsupportedModelError, WeightsNotFoundError
from attnmass.loading.device import choose_device, choose_dtype
from attnmass.loading.load import load
from attnmass.profiles import HeadProfile, choose_profile
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

CHUNKS = ["Albert Einstein developed it.", "The river runs through the city.", "Trains and books."]


def one_head(config: object) -> HeadProfile:
    """A profile that stops after the first of three layers."""
    return choose_profile(config, "parallel", heads=[(0, 1)])


def test_only_layers_that_run_are_in_memory(tiny_folder: Path) -> None:
    """Layers above the last selected head and the language-model head are never loaded."""
    loaded = load(str(tiny_folder), one_head, dtype="float32")
    assert len(loaded.model.layers) == 1
    assert "lm_head" not in dict(loaded.model.named_modules())


def test_same_scores_as_the_whole_model(tiny_folder: Path) -> None:
    """Loaded in part or passed in whole, a model scores the same."""
    heads = [(0, 1), (1, 2)]
    part = AttentionRanker.from_pretrained(tiny_folder, heads=heads, dtype="float32")
    whole = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=heads)
    assert part.rank("who?", CHUNKS).scores == pytest.approx(
        whole.rank("who?", CHUNKS).scores, abs=1e-6
    )


def test_nothing_is_reported(tiny_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Leaving out layers on purpose is not reported as missing or unexpected weights."""
    with caplog.at_level(logging.WARNING):
        AttentionRanker.from_pretrained(tiny_folder, heads=[(0, 1)], dtype="float32")
    assert caplog.records == []


def test_profile_is_chosen_for_the_whole_model(tiny_folder: Path) -> None:
    """A model that is loaded in part has the fingerprint of the whole one."""
    whole = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    from attnmass.models.sizes import fingerprint

    profile = HeadProfile.from_heads(
        [(0, 1)],
        model="tiny",
        layout="parallel",
        fingerprint=fingerprint(tiny_model().config),
    )
    part = AttentionRanker.from_pretrained(tiny_folder, profile=profile)
    assert part.profile == profile
    assert whole.profile.heads == HEADS


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", torch.float16])
def test_dtype(tiny_folder: Path, dtype: str | torch.dtype) -> None:
    """Weights are in the dtype asked for."""
    loaded = load(str(tiny_folder), one_head, device="cpu", dtype=dtype)
    expected = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {expected}


def test_choices() -> None:
    """Without a wish the best device is taken, and a dtype that it does well."""
    assert choose_device("cpu") == torch.device("cpu")
    device = choose_device(None)
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert device.type == expected or torch.backends.mps.is_available()
    assert choose_dtype("auto", device) in (torch.float32, torch.bfloat16, torch.float16)
    assert choose_dtype("float16", device) == torch.float16


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({}, torch.float32),
        ({"avx512_bf16": True, "cpu_name": "Intel Xeon"}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": True, "cpu_name": "Intel Xeon"}, torch.bfloat16),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "AMD EPYC 9B14"}, torch.bfloat16),
        ({"avx512_bf16": False, "cpu_name": "AMD EPYC 7763"}, torch.float32),
        ({"bf16": True}, torch.bfloat16),
    ],
)
def test_bfloat16_where_a_cpu_is_faster_with_it(
    capabilities: dict[str, object], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intel's dot products alone take longer in it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_dtype("auto", torch.device("cpu")) is dtype


def test_wishes_that_cannot_be() -> None:
    """A device or dtype that does not exist is an error with its name."""
    with pytest.raises(ValueError, match="'fridge' is not a device"):
        choose_device("fridge")
    with pytest.raises(ValueError, match="'xpu:7' cannot be used here"):
        choose_device("xpu:7")
    with pytest.raises(ValueError, match="'int3' is not one of"):
        choose_dtype("int3", torch.device("cpu"))


def test_model_that_transformers_does_not_know(tiny_folder: Path, tmp_path: Path) -> None:
    """A folder that asks for its own code is refused, and the code is not run."""
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config"}}'
    )
    (tmp_path / "evil.py").write_text("raise SystemExit('code was run')")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UnsupportedModelError, match="code from a repository is never run"):
        AttentionRanker.from_pretrained(tmp_path, heads=[(0, 0)])


def test_folder_without_tokenizer(tiny_folder: Path, tmp_path: Path) -> None:
    """A folder that lacks its tokenizer is an error that names the folder."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(tiny_folder / name)
    with pytest.raises(WeightsNotFoundError, match=re.escape(str(tmp_path))):
        AttentionRanker.from_pretrained(tmp_path, heads=[(0, 0)])


def test_gguf_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GGUF cannot be read the error names the extra that reads it."""
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnsupportedModelError, match=r"attnmass\[gguf\]"):
        AttentionRanker.from_pretrained(tmp_path / "model.gguf", cache_dir=tmp_path)


def test_profile_has_the_name_that_was_given(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile made of heads says the model by the name that was asked for, not by a folder."""
    monkeypatch.chdir(tiny_folder.parent)
    ranker = AttentionRanker.from_pretrained(f"./{tiny_folder.name}", heads=[(0, 1)])
    assert ranker.profile.model == f"./{tiny_folder.name}"
    mine = HeadProfile.from_heads([(0, 1)], model="somebody's", layout="parallel")
    assert AttentionRanker.from_pretrained(tiny_folder, profile=mine).profile.model == "somebody's"
