"""How the server is set up: what a user can set, checked."""

from __future__ import annotations

from pathlib import Path

from attnmass.options.checked import Checked
from attnmass.options.serving import Serving


class ServingOptions(Serving, Checked):
    """The options of `attnmass serve` besides those of the model.

    Raises:
        TypeError: If an option is of another type than is declared.
        ValueError: If a value is invalid, or options contradict each other.
    """

    def check_together(self) -> None:
        """Raise `ValueError` where options contradict each other."""
        if self.port > 65_535:
            raise ValueError(f"port must be at most 65535, not {self.port}")
        if self.max_pending_bytes < self.max_body_bytes:
            raise ValueError(
                f"max_pending_bytes={self.max_pending_bytes} has no room for one body of "
                f"max_body_bytes={self.max_body_bytes}"
            )
        for origin in self.origins:
            if origin != "*" and "://" not in origin:
                raise ValueError(
                    f"cors_origins has {origin!r}, which is not an origin: pass one such as "
                    "'https://example.org'"
                )

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins that browsers may call from."""
        return listed(self.cors_origins)

    def keys(self) -> tuple[bytes, ...]:
        """All keys that are let in; with none, everybody is.

        Raises:
            ValueError: If a file of keys has none, or one is not ASCII.
            OSError: If it cannot be read.
        """
        found = list(listed(self.api_keys))
        if self.api_keys is not None and not found:
            raise ValueError("api_keys names no key: leave it out to let anyone in")
        if self.api_key_file is not None:
            text = Path(self.api_key_file).expanduser().read_text(encoding="utf-8")
            lines = [line.strip() for line in text.splitlines()]
            named = [line for line in lines if line and not line.startswith("#")]
            if not named:
                raise ValueError(f"{self.api_key_file} has no key: write one in a line")
            found += named
        if not all(key.isascii() and key.isprintable() and " " not in key for key in found):
            raise ValueError("an API key may have printable ASCII characters only, and no spaces")
        return tuple(key.encode("ascii") for key in dict.fromkeys(found))


def listed(text: str | None) -> tuple[str, ...]:
    """What a text names, split at commas."""
    parts = (part.strip() for part in (text or "").split(","))
    return tuple(dict.fromkeys(part for part in parts if part))
