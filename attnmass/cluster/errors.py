"""What can go wrong with shards that are elsewhere."""

from __future__ import annotations

from attnmass.errors import AttnMassError


class ShardError(AttnMassError):
    """A shard cannot answer what it was asked, for example because it runs another model."""


class ShardUnavailableError(ShardError):
    """A shard did not answer in time, and may do so later."""
