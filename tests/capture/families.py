"""The model families that are checked, each as a small config, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import transformers as hf
from packaging.version import Version

from tests.sizes import sizes

_SPECIAL = {"bos_token_id": 1, "eos_token_id": 2}
_SIZE = sizes(101, 2, 128, **_SPECIAL, pad_token_id=0)
_GROUPED = {**_SIZE, "num_key_value_heads": 2}
_FALCON = sizes(101, 2, 128, **_SPECIAL)
_GPT = {"vocab_size": 101, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}


@dataclass(frozen=True)
class Family:
    """One row of the support table.

    Attributes:
        name: As people call it.
        feature: What is special about its attention.
        config: A two-layer model of it.
        path: How its attention is read, `None` where it is refused.
        asks_since: The version of transformers since which it asks the interface, where the table
            was made with an older one.
        refused: A part of the error where it is refused.
        sinks: Whether a part of each row falls on no token.
        inside: Of encoder-decoders, whether the encoder shows where its tokens look.
    """

    name: str
    feature: str
    config: Any
    path: str | None = "interface"
    asks_since: str | None = None
    refused: str | None = None
    sinks: bool = False
    inside: bool = True

    @property
    def path_here(self) -> str | None:
        """How it is read with the version of transformers that is installed."""
        since = self.asks_since
        moved = since is not None and Version(hf.__version__) >= Version(since)
        return "interface" if moved else self.path


FAMILIES = [
    Family("Llama, SmolLM2", "grouped-query attention", hf.LlamaConfig(**_GROUPED)),
    Family("Qwen2", "biases on queries and keys", hf.Qwen2Config(**_GROUPED)),
    Family("Qwen3", "query-key norm", hf.Qwen3Config(**_GROUPED, head_dim=8)),
    Family("Mistral", "sliding window", hf.MistralConfig(**_GROUPED, sliding_window=5)),
    Family(
        "Gemma 2",
        "soft-capping, sliding window in every other layer",
        hf.Gemma2Config(
            **_GROUPED,
            head_dim=8,
            sliding_window=5,
            attn_logit_softcapping=3.0,
            query_pre_attn_scalar=8,
        ),
    ),
    Family(
        "Gemma 3",
        "sliding window, two RoPE bases, query-key norm",
        hf.Gemma3TextConfig(
            **_GROUPED,
            head_dim=8,
            sliding_window=5,
            layer_types=["sliding_attention", "full_attention"],
        ),
    ),
    Family("Phi-3", "fused projections", hf.Phi3Config(**_GROUPED)),
    Family("Phi-2", "partial rotary", hf.PhiConfig(**_SIZE)),
    Family("GPT-2", "learned positions", hf.GPT2Config(**_GPT, **_SPECIAL)),
    Family("GPT-NeoX, Pythia", "partial rotary, parallel MLP", hf.GPTNeoXConfig(**_SIZE)),
    Family(
        "OPT",
        "learned positions with an offset",
        hf.OPTConfig(**_SIZE, ffn_dim=64, word_embed_proj_dim=32),
    ),
    Family("OLMo 2", "query-key norm, post-norm", hf.Olmo2Config(**_GROUPED)),
    Family(
        "OLMo 3",
        "query-key norm, sliding window in some layers",
        hf.Olmo3Config(
            **_GROUPED,
            sliding_window=5,
            layer_types=["sliding_attention", "full_attention"],
        ),
    ),
    Family("Granite", "scaled attention", hf.GraniteConfig(**_GROUPED, attention_multiplier=0.2)),
    Family("StarCoder2", "sliding window", hf.Starcoder2Config(**_GROUPED, sliding_window=5)),
    Family(
        "SmolLM3", "layers without positions", hf.SmolLM3Config(**_GROUPED, no_rope_layers=[1, 0])
    ),
    Family(
        "GPT-OSS",
        "sinks, sliding window",
        hf.GptOssConfig(
            **_GROUPED,
            head_dim=8,
            num_local_experts=2,
            num_experts_per_tok=1,
            sliding_window=5,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        ),
        sinks=True,
    ),
    Family(
        "GPT-J",
        "partial rotary",
        hf.GPTJConfig(**_GPT, **_SPECIAL, rotary_dim=4),
        path="eager",
        asks_since="5.24",
    ),
    Family(
        "Falcon (rotary)",
        "multi-query attention",
        hf.FalconConfig(**_FALCON, multi_query=True, alibi=False),
        path="eager",
    ),
    Family(
        "Falcon (new architecture)",
        "grouped-query attention",
        hf.FalconConfig(**_FALCON, new_decoder_architecture=True, num_kv_heads=2, alibi=False),
        path="eager",
    ),
    Family(
        "GPT-Neo",
        "learned positions, sliding window by index",
        hf.GPTNeoConfig(
            vocab_size=101,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            max_position_embeddings=128,
            attention_types=[[["global", "local"], 1]],
            window_size=5,
        ),
        path=None,
        refused="differs from the same chunks in another order",
    ),
    Family(
        "GPT (OpenAI)",
        "learned positions, no cache",
        hf.OpenAIGPTConfig(**_GPT),
        path=None,
        refused="no softmax attention to read",
    ),
    Family(
        "Falcon (ALiBi)",
        "distances by index",
        hf.FalconConfig(**_FALCON, alibi=True),
        path=None,
        refused="ALiBi",
    ),
    Family(
        "BLOOM",
        "ALiBi, distances by index",
        hf.BloomConfig(vocab_size=101, hidden_size=32, n_layer=2, n_head=4),
        path=None,
        refused="ALiBi",
    ),
    Family(
        "MPT",
        "ALiBi, distances by index",
        hf.MptConfig(vocab_size=101, d_model=32, n_layers=2, n_heads=4),
        path=None,
        refused="ALiBi",
    ),
]

DECODERS = [family for family in FAMILIES if family.path is not None]
REFUSED = [family for family in FAMILIES if family.path is None]
