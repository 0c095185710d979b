"""What was captured, on disk: a file for each query, so that an interrupted run can resume."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from attnmass.fitting.metrics import Floats

_SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False, slots=True)
class Capture:
    """What every head gives one query's chunks.

    Attributes:
        masses: Attention mass, `[head, chunk]`.
        n_tokens: Tokens of each chunk, `[chunk]`.
        null: What a null query pays them, as `masses`, where there is one.
        span_masses: Mass of each labelled sentence, chunk after chunk, `[head, span]`, where there
            are labels; a null query's mass is subtracted.
        span_tokens: Tokens of each, `[span]`.
    """

    masses: Floats
    n_tokens: Floats
    null: Floats | None = None
    span_masses: Floats | None = None
    span_tokens: Floats | None = None

    @property
    def beyond_null(self) -> Floats:
        """`masses` less `null`."""
        return self.masses if self.null is None else self.masses - self.null


class Store:
    """A folder of captures of one model, read in one way.

    Files are written elsewhere and then renamed, so that each is either complete or absent.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Create the folder.

        Args:
            folder: Where the stores of all models are.
            about: All that a capture depends on except the query and its chunks.

        Raises:
            OSError: If nothing can be written there.
        """
        text = json.dumps(about, sort_keys=True, indent=1)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("about.json", text.encode())

    def has(self, name: str) -> bool:
        """Whether a query was captured."""
        return (self.folder / f"{name}{_SUFFIX}").is_file()

    def read(self, name: str) -> Capture | None:
        """What was captured of a query; `None` if nothing was, or if it is incomplete."""
        try:
            return Capture(**load_file(self.folder / f"{name}{_SUFFIX}"))
        except (OSError, SafetensorError, TypeError):
            return None

    def write(self, name: str, capture: Capture) -> None:
        """Keep what was captured of a query."""
        found = {key: getattr(capture, key) for key in Capture.__slots__}
        arrays = {
            key: np.ascontiguousarray(value) for key, value in found.items() if value is not None
        }
        self._write(f"{name}{_SUFFIX}", save(arrays))

    def _write(self, name: str, data: bytes) -> None:
        handle, scratch = tempfile.mkstemp(dir=self.folder, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(scratch).replace(self.folder / name)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
