"""What a cluster needs besides the core."""

from __future__ import annotations

from importlib.util import find_spec


def check(*, serves: bool = False) -> None:
    """Raise `ImportError` that says what to install, unless all that a cluster needs is there.

    Args:
        serves: Whether it also answers over HTTP.
    """
    needed = {"ray": "ray", "pyarrow": "pyarrow"}
    if serves:
        needed |= {"fastapi": "fastapi", "prometheus_client": "prometheus-client"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    if missing:
        raise ImportError(f'a cluster needs {" and ".join(missing)}: pip install "attnmass[ray]"')
