"""The only part of attnmass that touches a model: reading the attention of selected heads."""

from attnmass.capture.encoder import EncoderReader, Passage, Sight
from attnmass.capture.kinds import Kind, count_labels, kind_of, own_tokenizer, unwrapped
from attnmass.capture.proof import prove, prove_encoder
from attnmass.capture.reader import Head, Reader
from attnmass.capture.states import KeyValues
from attnmass.capture.view import find_config

__all__ = [
    "EncoderReader",
    "Head",
    "KeyValues",
    "Kind",
    "Passage",
    "Reader",
    "Sight",
    "count_labels",
    "find_config",
    "kind_of",
    "own_tokenizer",
    "prove",
    "prove_encoder",
    "unwrapped",
]
