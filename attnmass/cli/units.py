"""Times and sizes as people would say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time in the unit in which people would say it."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length:
            count = seconds / length
            return (
                f"{count:.1f} {unit}s" if count < 10 and unit == "hour" else f"{count:.0f} {unit}s"
            )
    count = max(1, round(seconds))
    return f"{count} second{'s' if count > 1 else ''}"


def size(n_bytes: float) -> str:
    """Bytes in the unit in which people would say them."""
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= length:
            count = n_bytes / length
            return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"
    return f"{n_bytes / 1e3:.0f} KB"
