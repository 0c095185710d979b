"""What tests of Ray run over: a model, and an environment that nothing is left in."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.ray_processes import ENDING, ENVIRONMENT, processes_of
from tests.engine.relevance import profile
from tests.serving.conftest import until
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that tells relevance, as a folder."""
    folder = tmp_path_factory.mktemp("tiny-late")
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    (folder / "attnmass.late.json").write_text(profile().to_json())
    return folder


@pytest.fixture
def ray_folder() -> Iterator[dict[str, str]]:
    """An environment in which Ray's sockets have short paths; no process of it is left behind."""
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    (Path(folder) / "ray").mkdir()
    yield {**ENVIRONMENT, "RAY_TMPDIR": folder}
    try:
        until(lambda: not processes_of(folder), ENDING)
    finally:
        for pid in processes_of(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
