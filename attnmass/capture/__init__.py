"""The one place where a model runs: it reads the attention of selected heads."""

from attnmass.capture.core import Head
from attnmass.capture.cross_pass import CrossAttention
from attnmass.capture.cross_proof import prove_cross
from attnmass.capture.encoder import EncoderReader, Sight
from attnmass.capture.encoder_pass import Passage
from attnmass.capture.proof import prove, prove_encoder
from attnmass.capture.reader import Reader
from attnmass.capture.seq2seq import CrossReader
from attnmass.capture.states import KeyValues
from attnmass.models.kinds import Kind, count_labels, is_rag, kind_of, own_tokenizer, unwrapped
from attnmass.models.view import find_config

__all__ = [
    "CrossAttention",
    "CrossReader",
    "EncoderReader",
    "Head",
    "KeyValues",
    "Kind",
    "Passage",
    "Reader",
    "Sight",
    "count_labels",
    "find_config",
    "is_rag",
    "kind_of",
    "own_tokenizer",
    "prove",
    "prove_cross",
    "prove_encoder",
    "unwrapped",
]
