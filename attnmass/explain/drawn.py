"""What all drawings can do."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnmass.explain.model import ExplainedChunk, Head, View


class Drawn:
    """Mixed in: the ways to draw that do not depend on what is drawn."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def query(self) -> str: ...  # noqa: D102
        @property
        def model(self) -> str: ...  # noqa: D102
        @property
        def heads(self) -> tuple[Head, ...]: ...  # noqa: D102
        @property
        def views(self) -> tuple[View, ...]: ...  # noqa: D102
        @property
        def chunks(self) -> tuple[ExplainedChunk, ...]: ...  # noqa: D102
        @property
        def notes(self) -> tuple[str, ...]: ...  # noqa: D102

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON's types."""

    @abstractmethod
    def _page(self) -> str:
        """The HTML page."""

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """One HTML page that needs nothing else: no network, and no script but its own.

        Args:
            path: A file to write it to as well, in UTF-8.
        """
        html = self._page()
        if path is not None:
            Path(path).write_text(html, encoding="utf-8", newline="\n")
        return html

    def to_json(self) -> str:
        """`to_dict` as JSON, in ASCII."""
        return json.dumps(self.to_dict(), separators=(",", ":"), allow_nan=False)

    def _repr_html_(self) -> str:
        from attnmass.explain.html import frame

        return frame(self.query, self._page())

    def view(self, head: Head | None = None) -> int:
        """Index into `views`: that of all heads as chunks are ranked, or of one alone.

        Raises:
            ValueError: If the head was not read.
        """
        if head is None:
            return 0
        if head not in self.heads:
            raise ValueError(f"head {head} was not read: pass one of {self.heads}")
        return len(self.views) - len(self.heads) + self.heads.index(head)
