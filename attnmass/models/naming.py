"""What to call a model that has no name to load it by."""

from __future__ import annotations

_START, _END = "unnamed ", " model"


def unnamed(kind: str) -> str:
    """What stands for the name of a model of a kind, such as `llama`, that was built in memory."""
    return f"{_START}{kind}{_END}"


def is_unnamed(name: str) -> bool:
    """Whether that only stands for a name and is not one."""
    return name.startswith(_START) and name.endswith(_END)
