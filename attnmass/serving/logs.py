"""One JSON object per line, with a request's id and never with a text."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from typing import Any

# What a `logging` record may carry of ours.
FIELDS = (
    "request_id",
    "method",
    "route",
    "status",
    "seconds",
    "documents",
    "error_type",
    "where",
)


class JsonLines(logging.Formatter):
    """Formats records; for an exception, its type and where it was raised, not what it says."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            if getattr(record, name, None) is not None:
                said[name] = getattr(record, name)
        if record.exc_info and record.exc_info[1] is not None:
            said |= told_error(record.exc_info[1])
        return json.dumps(said)


def told_error(error: BaseException) -> dict[str, Any]:
    """An exception without its message, which may quote what somebody sent."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error_type": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def config(*, quiet: bool) -> dict[str, Any]:
    """For `logging.config.dictConfig`: our and uvicorn's lines on stderr.

    Args:
        quiet: Whether only warnings and errors are written.
    """
    level = "WARNING" if quiet else "INFO"
    own = {"handlers": ["lines"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JsonLines}},
        "handlers": {
            "lines": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        # What uvicorn logs about requests, with their addresses, is logged by us instead.
        "loggers": {
            "attnmass": own,
            "uvicorn": own,
            "uvicorn.error": {"level": level},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
