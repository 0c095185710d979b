"""The options of `attnmass serve`, once, as `attnmass.options.declared` has all others."""

from __future__ import annotations

from pydantic import BaseModel

from attnmass.options.choices import Scores
from attnmass.options.declared import option


class Serving(BaseModel):
    """How it is served over HTTP."""

    host: str = option("127.0.0.1", "Address to listen on; 0.0.0.0 is all of the machine's")
    port: int = option(8080, "Port to listen on; 0 is any that is free", ge=0)
    scores: Scores = option(
        "auto",
        "Scores in answers: share of the attention, the same scaled so that the best is 1 (top1) "
        "or the evidence found, or relevance; auto is evidence where it is known, else top1",
    )
    served_name: str | None = option(None, "The model's name in answers", unset="its own")
    queue_size: int = option(
        64, "Requests that may wait for the model; one more is told to come back later (429)", ge=1
    )
    batch_requests: int = option(
        16, "Requests over the same chunks that the model answers in one call", ge=1
    )
    request_timeout: int = option(
        60, "Seconds after which a waiting request is given up (503)", ge=1
    )
    body_timeout: int = option(20, "Seconds that a request's body may take to arrive", ge=1)
    drain_timeout: int = option(
        30, "Seconds that requests in progress have to finish after SIGTERM", ge=0
    )
    max_body_bytes: int = option(32 << 20, "Bytes that one request's body may have (413)", ge=1)
    max_pending_bytes: int = option(
        256 << 20, "Bytes that all bodies being read or waiting may have together (429)", ge=1
    )
    max_documents: int = option(10_000, "Documents that one request may have (413)", ge=1)
    api_keys: str | None = option(
        None,
        "API keys that are accepted, separated by commas; from the environment only",
        unset="anyone is let in",
        repr=False,
    )
    api_key_file: str | None = option(
        None, "File with API keys, one per line", unset="none", path=True
    )
    cors_origins: str | None = option(
        None, "Origins that browsers may call from, separated by commas", unset="none"
    )
