"""What every test has: no network, no model hub, and a small model."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from attnmass import AttentionRanker, release
from attnmass.fitting import first_use, quick
from attnmass.profiles import kept
from tests.tiny import tiny_model, tiny_tokenizer

torch.set_num_threads(1)  # tiny models: threads cost more than they give

# The same examples on every run: what fails is the change's.
settings.register_profile("same examples", derandomize=True)
settings.load_profile("same examples")

HEADS = ((1, 0), (1, 3), (2, 1))


@pytest.fixture(scope="session")
def ranker() -> AttentionRanker:
    """A ranker over a tiny Llama: meaningless scores, real code."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a folder that can be named."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _kept_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Heads that are chosen for models of tests are kept, but not in the user's folder."""
    folder = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patch:
        for module in (kept, quick, first_use):
            patch.setattr(module, "kept_folder", lambda: folder)
        yield
    return None


@pytest.fixture(autouse=True)
def _forget_shared_rankers() -> object:
    """No test sees a model that another one loaded."""
    yield
    release()
    return None
