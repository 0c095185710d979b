"""What a cluster needs beside the core."""

from __future__ import annotations

from importlib.util import find_spec


def check(*, serves: bool = False) -> None:
    """Raise `ImportError` that says what to install, unless all is there that a cluster needs.

    Args:
        serves: Whether it answers over HTTP, too.
    """
    needed = {"ray": "ray", "pyarrow": "pyarrow"}
    if serves:
        needed |= {"fastapi": "fastapi", "prometheus_client": "prometheus-client"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    if missing:
        raise ImportError(f'a cluster needs {" and ".join(missing)}: pip install "attnmass[ray]"')
