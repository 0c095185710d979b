"""What one layout alone has, as tests write it: by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnmass.options.readings import READINGS

OWN = {name: kind for kind in READINGS.values() for name in kind.model_fields if name != "layout"}


def grouped(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which those of one layout are in its `reading`."""
    own = {name: value for name, value in options.items() if name in OWN}
    rest = {name: value for name, value in options.items() if name not in OWN}
    if not own:
        return rest
    (kind,) = {OWN[name] for name in own}
    return {**rest, "reading": kind(**own)}
