"""Trains the small models of this folder: `python -m tests.models.train {t5,bart,fid} FOLDER`.

The encoder reads each document alone, the decoder attends over all their states joined, as
Fusion-in-Decoder does (arXiv 2007.01282), and writes the answer. The question is what the decoder
reads first; of `fid`, a T5 too, the encoder reads it with each document, as that paper has it, and
the decoder begins with the answer. Only the answer is learned; nothing says where to look.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.modeling_outputs import BaseModelOutput

from tests.models.lookups import KEYS, Lookup, lookups
from tests.sizes import bart_sizes, t5_sizes

PAD, EOS, BOS = 0, 1, 2
# Documents and facts of each: first what is easy, then what is asked of the model.
STAGES = {
    "t5": ((2, 1), (4, 1), (4, 3)),
    "bart": ((2, 1), (4, 1), (4, 3), (8, 3)),
    "fid": ((2, 1), (4, 1), (4, 3)),
}
DONE = (0.93, 0.93, 0.93, 0.97)  # share of answers right that ends each stage


def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which each key is one token and each digit another."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<pad>", "</s>", "<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = [f"What is the code of {key}? The code of {key} is 0." for key in KEYS]
    if kind == "fid":
        corpus += ["question: What is the code? context: The code is 0."] * 2
    tokenizer.train_from_iterator(corpus, trainer)
    around = "<s> $A </s>" if kind == "bart" else "$A </s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=around, special_tokens=[("</s>", EOS), ("<s>", BOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    )


def make_model(kind: str, vocab_size: int, seed: int) -> Any:
    """The model before training."""
    torch.manual_seed(seed)
    if kind != "bart":
        return T5ForConditionalGeneration(
            T5Config(
                **t5_sizes(vocab_size, 96),
                num_decoder_layers=2,
                dropout_rate=0.0,
                initializer_factor=0.5,
                tie_word_embeddings=False,
                feed_forward_proj="gated-gelu",
                pad_token_id=PAD,
                eos_token_id=EOS,
                decoder_start_token_id=PAD,
            )
        )
    return BartForConditionalGeneration(
        BartConfig(
            **bart_sizes(vocab_size, 96),
            max_position_embeddings=128,
            dropout=0.0,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
            decoder_start_token_id=EOS,
            forced_eos_token_id=EOS,
            init_std=0.05,
        )
    )


def step(model: Any, tokenizer: Any, kind: str, batch: list[Lookup]) -> tuple[Any, float]:
    """Loss and share of right answers."""
    documents = [_encoded(tokenizer, kind, case, text) for case in batch for text in case.documents]
    read = tokenizer.pad({"input_ids": documents}, return_tensors="pt")
    states = model.get_encoder()(
        input_ids=read.input_ids, attention_mask=read.attention_mask
    ).last_hidden_state
    joined = states.reshape(len(batch), -1, states.shape[-1])
    mask = read.attention_mask.reshape(len(batch), -1)
    start = [model.config.decoder_start_token_id, *([BOS] if kind == "bart" else [])]
    asked, answers = [], []
    for case in batch:
        asked.append([] if kind == "fid" else _plain(tokenizer, case.question))
        answers.append([*_plain(tokenizer, case.answer), EOS])
    rows = [start + q + a for q, a in zip(asked, answers, strict=True)]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
    targets = torch.full_like(ids, -100)
    for i, (question, answer) in enumerate(zip(asked, answers, strict=True)):
        first = len(start) + len(question)
        targets[i, first - 1 : first - 1 + len(answer)] = torch.tensor(answer)
    logits = model(
        encoder_outputs=BaseModelOutput(joined),
        attention_mask=mask,
        decoder_input_ids=ids,
        use_cache=False,
    ).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    right = ((logits.argmax(-1) == targets) | (targets == -100)).all(dim=1)
    return loss, float(right.float().mean())


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def _encoded(tokenizer: Any, kind: str, case: Lookup, document: str) -> list[int]:
    """What the encoder reads: `document`, of `fid` with the question, piece by piece."""
    if kind != "fid":
        return list(tokenizer(document).input_ids)
    pieces = ("question: ", case.question, " context: ", document)
    return [token for piece in pieces for token in _plain(tokenizer, piece)] + [EOS]


def train(
    kind: str, folder: Path, *, seed: int, minutes: float, batch_size: int, rate: float
) -> None:
    """Train a model and write it with its tokenizer, after each stage anew."""
    tokenizer = make_tokenizer(kind)
    model = make_model(kind, len(tokenizer), seed)
    torch.set_num_threads(1)
    print(kind, sum(p.numel() for p in model.parameters()), "parameters", len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    started, count = time.process_time(), 0
    for stage, (n_documents, n_facts) in enumerate(STAGES[kind]):
        data = lookups(seed * 100 + stage, n_documents=n_documents, n_facts=n_facts)
        smooth, size = 0.0, batch_size // 2 if n_documents > 4 else batch_size
        while smooth <= DONE[stage] and time.process_time() - started <= minutes * 60:
            count += 1
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.7**stage * min(1.0, count / 200)
            loss, right = step(model, tokenizer, kind, list(itertools.islice(data, size)))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            smooth = 0.97 * smooth + 0.03 * right
            if count % 50 == 0:
                spent = time.process_time() - started
                print(stage, count, f"{spent:.0f}s {loss.item():.3f} {smooth:.3f}", flush=True)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Train one model and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=[*STAGES])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    args = parser.parse_args()
    train(
        args.kind,
        args.folder,
        seed=args.seed,
        minutes=args.minutes,
        batch_size=args.batch_size,
        rate=args.rate,
    )


if __name__ == "__main__":
    main()
