"""The only part of attnmass that touches a model: reading the attention of selected heads."""

from attnmass.capture.kinds import Kind, kind_of
from attnmass.capture.proof import prove
from attnmass.capture.reader import Head, Reader
from attnmass.capture.states import KeyValues
from attnmass.capture.view import find_config

__all__ = [
    "Head",
    "KeyValues",
    "Kind",
    "Reader",
    "find_config",
    "kind_of",
    "prove",
]
