"""Which layouts exist, and the choice of one for a model; a new one is a line in `LAYOUTS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnmass.errors import UnsupportedModelError
from attnmass.layouts.base import Layout
from attnmass.layouts.cross import CrossLayout
from attnmass.layouts.joint import JointLayout
from attnmass.layouts.late import LateLayout
from attnmass.layouts.parallel import ParallelLayout
from attnmass.layouts.pointwise import PointwiseLayout
from attnmass.models.kinds import ARTICLE

if TYPE_CHECKING:
    from attnmass.models.kinds import Kind

# What each kind of model can be read in, default first.
LAYOUTS: Mapping[Kind, Mapping[str, type[Layout]]] = {
    "decoder": {"parallel": ParallelLayout, "late": LateLayout, "joint": JointLayout},
    "encoder": {"pointwise": PointwiseLayout},
    "encoder-decoder": {"pointwise": CrossLayout},
}


def check_name(name: str | None) -> None:
    """Raise `ValueError` unless some kind of model has a layout of this name; `None` is fine."""
    names = sorted({known for layouts in LAYOUTS.values() for known in layouts})
    if name is not None and name not in names:
        raise ValueError(f"layout {name!r} is not one of {', '.join(map(repr, names))}")


def keeps_vectors(name: str) -> bool:
    """Whether a layout keeps key vectors of the heads that it reads, each at a cost in bytes."""
    return name == LateLayout.name


def choose_layout(kind: Kind, name: str | None) -> str:
    """The name of the layout to read a model in.

    Args:
        kind: What kind of model it is.
        name: What the user says; `None` for the kind's default.

    Raises:
        ValueError: If there is no such layout, or not for this kind of model.
        UnsupportedModelError: If there is none for this kind of model.
    """
    check_name(name)
    known = LAYOUTS[kind]
    if not known:
        raise UnsupportedModelError(
            f"the model is {ARTICLE[kind]}, which no layout reads yet: pass a decoder such as "
            "SmolLM2, Llama or Qwen."
        )
    if name is None:
        return next(iter(known))
    if name not in known:
        raise ValueError(
            f"layout {name!r} is not for {ARTICLE[kind]}: leave it out, or pass one of "
            f"{', '.join(map(repr, known))}"
        )
    return name


def own_options(kind: Kind, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of only some layouts that a layout takes, with its defaults filled in.

    Args:
        kind: What kind of model it is.
        name: Its layout.
        given: Options by name; `None` and `False` ask for nothing.

    Raises:
        ValueError: If something is asked for that the layout does not take; names those that do.
    """
    takes = LAYOUTS[kind][name].takes
    unset = (None, False)
    asked = {k: value for k, value in given.items() if not any(value is none for none in unset)}
    for option in asked:
        if option not in takes:
            known = [
                f"{other}s in layout={layout!r}"
                for other, layouts in LAYOUTS.items()
                for layout, made in layouts.items()
                if option in made.takes
            ]
            raise ValueError(
                f"{option} is for {' and '.join(known)}, and this is {ARTICLE[kind]} in "
                f"layout={name!r}: leave it out, or pass another layout or model"
            )
    return {**takes, **asked}
