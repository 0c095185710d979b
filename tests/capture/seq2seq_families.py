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
        "over blocks in the encoder",
        hf.LongT5Config(**T5, local_radius=3),
        inside=False,
    ),
    Family(
        "LongT5 (transient global)",
        "over blocks and their sums in the encoder",
        hf.LongT5Config(
            **T5,
            local_radius=3,
            global_block_size=4,
            encoder_attention_type="transient-global",
        ),
        inside=False,
    ),
    Family(
        "BigBird-Pegasus",
        "over blocks in the encoder, but of short texts",
        hf.BigBirdPegasusConfig(**_BART, block_size=1, num_random_blocks=1),
        inside=False,
    ),
    Family(
        "ProphetNet",
        "several streams in the decoder",
        hf.ProphetNetConfig(
            vocab_size=512,
            hidden_size=32,
            encoder_ffn_dim=64,
            num_encoder_layers=2,
            num_encoder_attention_heads=4,
            decoder_ffn_dim=64,
            num_decoder_layers=2,
            num_decoder_attention_heads=4,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
        ),
        path=None,
        refused="does not run the way that its attention is read",
    ),
]

READ = [family for family in SEQ2SEQ if family.path is not None]
REFUSED = [family for family in SEQ2SEQ if family.path is None]
