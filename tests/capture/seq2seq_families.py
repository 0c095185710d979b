"""The encoder-decoder families that are checked, each as a small config; see `families`."""

from __future__ import annotations

import transformers as hf

from tests.capture.families import Family
from tests.tiny_seq2seq import BART, T5

_BART = {**BART, "max_position_embeddings": 128}

SEQ2SEQ = [
    Family("T5", "relative position bias in self-attention", hf.T5Config(**T5)),
    Family(
        "T5 v1.1, FLAN-T5",
        "relative position bias; gated, deeper decoder here",
        hf.T5Config(
            **T5,
            num_decoder_layers=3,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
        ),
    ),
    Family("mT5", "relative position bias", hf.MT5Config(**T5)),
    Family("UMT5", "relative position bias in every layer", hf.UMT5Config(**T5)),
    Family("BART", "learned positions", hf.BartConfig(**_BART)),
    Family("mBART", "learned positions, pre-norm", hf.MBartConfig(**_BART)),
    Family("Pegasus", "sinusoidal positions", hf.PegasusConfig(**_BART)),
    Family("Marian", "sinusoidal positions", hf.MarianConfig(**_BART)),
    Family(
        "LED",
        "sliding window in the encoder",
        hf.LEDConfig(
            **BART,
            max_encoder_position_embeddings=128,
            max_decoder_position_embeddings=64,
            attention_window=6,
        ),
        path="eager",
    ),
    Family(
        "LongT5",
        "local attention of its own in the encoder",
        hf.LongT5Config(**T5),
        path=None,
        refused="LongT5",
    ),
]

READ = [family for family in SEQ2SEQ if family.path is not None]
REFUSED = [family for family in SEQ2SEQ if family.path is None]
