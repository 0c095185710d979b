"""Objects of what only one layout has: what they say, and which one a layout has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnmass.options.checks import did_you_mean
from attnmass.options.declared import JointReading, PointwiseReading

LayoutReading = JointReading | PointwiseReading
READINGS: Mapping[str, type[JointReading] | type[PointwiseReading]] = {
    kind.model_fields["layout"].default: kind for kind in (JointReading, PointwiseReading)
}

_NAMES = " or ".join(kind.__name__ for kind in READINGS.values())


def check_reading(reading: object, layout: str | None) -> str | None:
    """The layout that is asked for: the one that is named, else that of the reading.

    Raises:
        TypeError: If that is no reading.
        ValueError: If it is another layout's.
    """
    if reading is None:
        return layout
    if not isinstance(reading, JointReading | PointwiseReading):
        raise TypeError(f"reading must be a {_NAMES}, or None, not {reading!r}")
    if layout not in (None, reading.layout):
        raise ValueError(
            f"{type(reading).__name__} is for layout={reading.layout!r}, not {layout!r}: leave out "
            "one of them"
        )
    return reading.layout


def own_of(reading: LayoutReading | None) -> dict[str, Any]:
    """What is said of a layout, by the names that the layouts have in `takes`."""
    names = {name for kind in READINGS.values() for name in kind.model_fields} - {"layout"}
    return {name: getattr(reading, name, None) for name in names}


def reading_of(layout: str, own: Mapping[str, Any]) -> LayoutReading | None:
    """The object for what a layout is told, `None` where it has nothing of its own."""
    return READINGS[layout](**own) if own and layout in READINGS else None


def as_reading(value: Any) -> Any:
    """A reading out of its fields, as JSON has it; anything else as it is.

    Raises:
        ValueError: If fields or their values are off.
    """
    if not isinstance(value, Mapping):
        return value
    layout = value.get("layout")
    if not isinstance(layout, str) or layout not in READINGS:
        known = sorted(READINGS)
        raise ValueError(
            f"reading needs its layout, one of {known}, not {layout!r}."
            f"{did_you_mean(str(layout), known)}"
        )
    try:
        return READINGS[layout](**value)
    except TypeError as error:
        raise ValueError(str(error)) from error
