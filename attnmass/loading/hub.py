"""Whether the Hugging Face Hub answers, asked once and briefly.

Its clients ask for each file several times over, with longer and longer waits: without a network,
it takes the better part of a minute before anybody is told.
"""

from __future__ import annotations

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

_PATIENCE = 4.0  # seconds


def why_unreachable(repo: str, revision: str | None) -> Exception | None:
    """Why the Hub gives no answer about a repository; `None` where it gives one, good or bad."""
    try:
        HfApi().model_info(repo, revision=revision, timeout=_PATIENCE)
    except HfHubHTTPError:
        return None  # an answer: loading will say what it means
    except Exception as error:  # of whichever HTTP library it currently uses
        return error
    return None
