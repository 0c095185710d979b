"""Answers as they go over the wire."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from attnmass.serving.body import to_json
from attnmass.serving.errors import HttpError, body_of

_META = 'http-equiv="Content-Security-Policy" content="'


class Json(Response):
    """JSON, with any text that Python can hold."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """As UTF-8."""
        return to_json(content)


def error_answer(error: HttpError) -> Json:
    """The one body that all errors have."""
    return Json(body_of(error), error.status, error.headers)


def page_answer(html: str) -> Response:
    """A page whose own policy is also sent where nothing in the page can affect it."""
    # The policy is in the page's head, before anything that is not ours.
    policy = html.partition(_META)[2].partition('"')[0]
    headers = {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(html, media_type="text/html", headers=headers)
