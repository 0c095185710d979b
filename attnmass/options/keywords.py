"""Keywords that a call has not, met with the nearest that it has: Python itself names none."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar, cast

from attnmass.options.checks import did_you_mean
from attnmass.options.renamed import what_then

Called = TypeVar("Called", bound=Callable[..., Any])

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def names_nearest(called: Called) -> Called:
    """Have a function, or the constructor and public methods of a class, name the nearest keyword.

    Where a call takes options beside its own arguments, only arguments that are missing are looked
    at: whoever reads the options says what is near to those.

    Raises:
        TypeError: When it is called with a keyword that it has not, and one is near.
    """
    if not isinstance(called, type):
        return cast("Called", _told(called))
    for name, member in list(vars(called).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, FunctionType):
            setattr(called, name, _told(member))
        elif isinstance(member, classmethod):
            setattr(called, name, classmethod(_told(member.__func__)))
    return called


def _told(function: Any) -> Any:
    parameters = inspect.signature(function).parameters
    order = list(parameters)
    names = {name for name, each in parameters.items() if each.kind in _BY_NAME} - {"self", "cls"}
    needed = {name for name in names if parameters[name].default is inspect.Parameter.empty}
    is_open = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())

    def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        unknown = kwargs.keys() - names
        if not unknown:
            return
        missing = needed.difference(order[: len(args)], kwargs)
        for name in sorted(unknown):
            near = did_you_mean(name, sorted(missing)) if is_open else what_then(name, names)
            if near:
                raise TypeError(f"unexpected keyword argument {name!r}.{near}")

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return await function(*args, **kwargs)

        return later

    @wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        return function(*args, **kwargs)

    return now
