"""The only part of attnmass that touches a model: reading the attention of selected heads."""

from attnmass.capture.cross_proof import prove_cross
from attnmass.capture.kinds import Kind, is_rag, kind_of
from attnmass.capture.proof import prove
from attnmass.capture.reader import Head, Reader
from attnmass.capture.seq2seq import CrossAttention, CrossReader
from attnmass.capture.states import KeyValues
from attnmass.capture.view import find_config

__all__ = [
    "CrossAttention",
    "CrossReader",
    "Head",
    "KeyValues",
    "Kind",
    "Reader",
    "find_config",
    "is_rag",
    "kind_of",
    "prove",
    "prove_cross",
]
