"""Small encoders, their tokenizers and a cross-encoder's folder, built in memory or a folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedTokenizerFast,
)

from tests.sizes import sizes

_CORPUS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905. Who invented it?",
    "The river runs through the city; trains, books and music are made of words and numbers.",
    "It was warm all summer long, and nobody knew where the milk of the cows had gone to.",
]

_WORDPIECE = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}

SIZES = sizes(400, 3, 96)


@cache  # training breaks ties by chance
def _wordpiece() -> str:
    special = list(_WORDPIECE.values())
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=350, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer.to_str()


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """As BERT's: `[CLS] a [SEP] b [SEP]`, with token types, in lower case."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_wordpiece()),
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **_WORDPIECE,
    )


@cache
def _byte_level() -> str:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    return tokenizer.to_str()


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """As RoBERTa's: `<s> a </s></s> b </s>`, without token types."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_byte_level()),
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


def tiny_encoder(
    config: Any | None = None, *, n_labels: int | None = None, seed: int = 0, gain: float = 8.0
) -> Any:
    """A seeded encoder, with a classification head where labels are asked for.

    Its weights are scaled up so that attention is far from uniform.
    """
    config = BertConfig(**SIZES, pad_token_id=0) if config is None else config
    kind: Any = AutoModel
    if n_labels is not None:
        config.num_labels = n_labels
        kind = AutoModelForSequenceClassification
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and not name.startswith("classifier"):
                parameter.mul_(gain)
    return model.eval()


def cross_encoder_folder(folder: Path, *, n_labels: int = 1) -> Path:
    """A BERT with a classification head and its tokenizer, as files."""
    tiny_encoder(n_labels=n_labels).save_pretrained(folder)
    wordpiece_tokenizer().save_pretrained(folder)
    return folder
