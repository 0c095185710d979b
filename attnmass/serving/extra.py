"""What the server needs besides the core."""

from __future__ import annotations

import importlib.util

NEEDS = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "prometheus_client": "prometheus-client",
}


def check() -> None:
    """Raise `ImportError` that says what to install, unless all that serving needs is there."""
    missing = [name for module, name in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(f'serving needs {" and ".join(missing)}: pip install "attnmass[serve]"')
