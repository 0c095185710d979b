"""Small encoder-decoders that are built in memory: random weights, real code."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import processors
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from tests.sizes import bart_sizes, t5_sizes
from tests.tiny import tiny_tokenizer

PAD, EOS, BOS = 0, 2, 1  # as in `tiny_tokenizer`: <|endoftext|>, <|im_end|>, <|im_start|>

SPECIAL = {"pad_token_id": PAD, "eos_token_id": EOS}
BART = bart_sizes(
    512, **SPECIAL, bos_token_id=BOS, decoder_start_token_id=EOS, forced_eos_token_id=None
)
T5 = t5_sizes(512, **SPECIAL, decoder_start_token_id=PAD)


def tiny_seq2seq(config: Any | None = None, *, seed: int = 0) -> Any:
    """A seeded T5, or what `config` says, scaled up so that attention is far from uniform."""
    config = config or T5Config(**T5)
    gain = 1.5 if hasattr(config, "d_kv") else 16.0  # T5 starts with larger numbers
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(gain)
    return model.eval()


def tiny_bart(*, max_position_embeddings: int = 256) -> Any:
    """A seeded BART."""
    return tiny_seq2seq(BartConfig(**BART, max_position_embeddings=max_position_embeddings))


def seq2seq_tokenizer(kind: str = "t5") -> PreTrainedTokenizerFast:
    """A tokenizer that puts special tokens around a text, as T5's and BART's do."""
    fast = tiny_tokenizer(chat=False)
    around = "$A <|im_end|>" if kind == "t5" else "<|im_start|> $A <|im_end|>"
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=around, special_tokens=[("<|im_end|>", EOS), ("<|im_start|>", BOS)]
    )
    return fast


def attend_eagerly(model: Any) -> None:
    """Have model, encoder and decoder give attention: told of the model alone, T5's go on by SDPA.

    So it is in transformers 5.15.
    """
    for part in (model, model.get_encoder(), model.get_decoder()):
        part.set_attn_implementation("eager")
