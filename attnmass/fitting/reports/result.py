"""What a fit returns: a profile, a report, and a way to keep both."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from attnmass.fitting.errors import NotBetterError
from attnmass.fitting.reports.report import FitReport
from attnmass.profiles import HeadProfile


@dataclass(frozen=True, slots=True)
class FitResult:
    """A fitted profile.

    Attributes:
        profile: The heads, for `AttentionRanker(..., profile=...)`.
        report: How they were selected and how good they are.
    """

    profile: HeadProfile
    report: FitReport

    @property
    def better(self) -> bool:
        """Whether held-out queries are ranked better than by the mid-depth default and BM25."""
        return self.report.better

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the profile, and the report next to it as `NAME.report.json`.

        A file that is called `attnmass.json` in a model's own folder or repository is found when
        the model is loaded.

        Args:
            path: The profile's file.
            force: Write it even if it is not better; the profile then says so.

        Returns:
            The report's file.

        Raises:
            NotBetterError: If it is not better, without `force`; nothing is written.
            OSError: If it cannot be written.
        """
        if not self.better and not force:
            raise NotBetterError(self.report.reasons)
        target = Path(os.fspath(path))
        report = report_path(target)
        _write(report, self.report.to_json())
        _write(target, self._written.to_json())
        return report

    @property
    def _written(self) -> HeadProfile:
        """The profile, which says so where it should not have been written."""
        if self.better:
            return self.profile
        note = f"written all the same: {'; '.join(self.report.reasons)}"
        return replace(self.profile, measured={**self.profile.measured, "warning": note})


def report_path(profile: Path) -> Path:
    """Where the report of a profile's file is."""
    return profile.with_name(f"{profile.name.removesuffix('.json')}.report.json")


def _write(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
