"""The encoder families that are checked, each as a small config, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import transformers as hf

from tests.sizes import sizes

_SIZE = sizes(101, 3, 64)
_BERT = {**_SIZE, "pad_token_id": 0}
_ROBERTA = {**_SIZE, "pad_token_id": 1}


@dataclass(frozen=True)
class Encoder:
    """One row of the support table.

    Attributes:
        name: As people call it.
        feature: What is special about its attention.
        config: A three-layer model of it.
        max_tokens: How many tokens it takes at once.
        path: How its attention is read, `None` where it is refused.
        refused: A part of the error where it is refused.
    """

    name: str
    feature: str
    config: Any
    max_tokens: int = 64
    path: str | None = "interface"
    refused: str | None = None


ENCODERS = [
    Encoder("BERT, MiniLM", "token types", hf.BertConfig(**_BERT)),
    Encoder(
        "DistilBERT",
        "no token types",
        hf.DistilBertConfig(**_BERT, hidden_dim=64),
    ),
    Encoder(
        "RoBERTa",
        "positions counted from behind the padding's",
        hf.RobertaConfig(**_ROBERTA, type_vocab_size=1),
        max_tokens=62,
    ),
    Encoder("ELECTRA", "narrower embeddings", hf.ElectraConfig(**_BERT, embedding_size=16)),
    Encoder(
        "ModernBERT",
        "rotary, sliding window both ways in some layers",
        hf.ModernBertConfig(
            **_BERT,
            local_attention=6,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            bos_token_id=1,
            cls_token_id=1,
            eos_token_id=2,
            sep_token_id=2,
        ),
    ),
    Encoder(
        "EuroBERT",
        "rotary, grouped-query attention both ways",
        hf.EuroBertConfig(
            **_BERT, num_key_value_heads=2, bos_token_id=1, eos_token_id=2, mask_token_id=3
        ),
    ),
    Encoder(
        "MPNet",
        "relative position bias",
        hf.MPNetConfig(**_ROBERTA),
        max_tokens=62,
        path="eager",
    ),
    Encoder(
        "DeBERTa",
        "disentangled attention",
        hf.DebertaConfig(**_BERT, relative_attention=True, pos_att_type=["c2p", "p2c"]),
        path="eager",
    ),
    Encoder(
        "DeBERTa-v2, DeBERTa-v3",
        "disentangled attention, distances in buckets",
        hf.DebertaV2Config(
            **_BERT,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_buckets=4,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            position_biased_input=False,
            type_vocab_size=0,
        ),
        path="eager",
    ),
    Encoder(
        "ALBERT",
        "one layer, run again and again",
        hf.AlbertConfig(**_BERT, embedding_size=16),
        path=None,
        refused="no list of 3 layers",
    ),
    Encoder(
        "FNet",
        "none: Fourier transforms",
        hf.FNetConfig(**_BERT),
        path=None,
        refused="no attention to read",
    ),
    Encoder(
        "Longformer",
        "a band around each token",
        hf.LongformerConfig(**_SIZE, attention_window=4, pad_token_id=1),
        path=None,
        refused="does not show how its tokens attend to all others",
    ),
]

READ = [family for family in ENCODERS if family.path is not None]
REFUSED = [family for family in ENCODERS if family.path is None]
