"""What a user says about asking a server."""

from __future__ import annotations

import os

from attnmass.options.checked import Checked
from attnmass.options.declared import Remote

API_KEY = "ATTNMASS_API_KEY"


class RemoteOptions(Remote, Checked):
    """How a server is asked.

    Raises:
        TypeError: If an option is of another type than is declared.
        ValueError: If a value is off.
    """

    def check_together(self) -> None:
        """Raise `ValueError` where a value is off; none says what a key is."""
        if self.timeout <= 0:
            raise ValueError(f"timeout must be above 0, not {self.timeout:g}")
        if self.key is not None and not is_key(self.key):
            raise ValueError(
                "api_key may have printable ASCII characters only, and no spaces: so has "
                f"{API_KEY} of the environment, where it is from that"
            )

    @property
    def key(self) -> str | None:
        """The key that is sent, if any; an empty one is none."""
        return (os.environ.get(API_KEY) if self.api_key is None else self.api_key) or None


def is_key(key: str) -> bool:
    """Whether a text can be an API key, as `attnmass serve` takes them."""
    return bool(key) and key.isascii() and key.isprintable() and " " not in key
