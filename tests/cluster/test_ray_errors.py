"""Ray: processes that die are asked again, and errors are told in time."""

from __future__ import annotations

from typing import Any

import pytest

from attnmass.cluster.errors import ShardError, ShardUnavailableError
from attnmass.serving.errors import of_model

pytest.importorskip("ray")

pytestmark = pytest.mark.slow

# Ray's own modules use what pydantic deprecates.
_IMPORTS_RAY = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Dying:
    """A handle of a deployment whose process dies at the first calls.

    Attributes:
        calls: The arguments of each call.
    """

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls: list[tuple[Any, ...]] = []
        self.ask = self

    def remote(self, *args: Any) -> Dying:
        """As a handle's."""
        self.calls.append(args)
        return self

    def result(self, timeout_s: float) -> str:
        """As a response's."""
        assert timeout_s > 0
        if self._errors:
            raise self._errors.pop(0)
        return "found"


@_IMPORTS_RAY
def test_what_died_is_asked_again() -> None:
    """A process that dies is asked again, as it was; what it raised itself is raised here."""
    from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

    from attnmass.serving.ray import Asking

    handle = Dying(ActorDiedError(), ActorUnavailableError("gone", None))
    assert Asking("shard-0", handle, 30)("missing", 1) == "found"
    assert handle.calls == [("missing", 1)] * 3
    failed = RayTaskError("ask", "a long trace", ShardError("another model"))
    with pytest.raises(ShardError, match=r"^another model$"):
        Asking("shard-0", Dying(failed), 30)("missing")


@_IMPORTS_RAY
@pytest.mark.parametrize("n_errors", [1, 99])
def test_what_stays_dead_is_told_in_time(n_errors: int) -> None:
    """A shard that does not come back is an error in time, at which clients try again."""
    from ray.exceptions import ActorDiedError

    from attnmass.serving.ray import Asking

    errors = [TimeoutError()] if n_errors == 1 else [ActorDiedError() for _ in range(n_errors)]
    with pytest.raises(ShardUnavailableError, match=r"shard-0 .* within 0\.3 seconds"):
        Asking("shard-0", Dying(*errors), 0.3)("missing")
    told = of_model(ShardUnavailableError("shard-0 did not answer"))
    assert told is not None
    assert (told.status, told.kind) == (503, "shard_unavailable")
    assert told.headers["Retry-After"] == "5"
