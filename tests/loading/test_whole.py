"""Weights that are damaged, incomplete or of another model are an error, never random numbers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from attnmass import AttentionRanker, UnsupportedModelError, WeightsNotFoundError
from attnmass.errors import AttnMassError
from attnmass.text.tokens import PlainTokenizer
from tests.loading.gguf_file import write_gguf
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import cross_encoder_folder, tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_bart, tiny_seq2seq

CHUNKS = ["Albert Einstein developed it.", "The river runs through the city."]
QUERY = "layers.0.self_attn.q_proj"
Edit = Callable[[Path], object]


def rank(place: Path, folder: Path) -> tuple[float, ...]:
    """Scores by a model of that place."""
    ranker = AttentionRanker.from_pretrained(
        place, heads=[(0, 1)], dtype="float32", cache_dir=folder / "cache"
    )
    return ranker.rank("who?", CHUNKS).scores


def in_file(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Edit:
    """Change the tensors in a folder's only file."""

    def edit(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return edit


def in_config(**values: Any) -> Edit:
    """Change what a folder's config says."""

    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return edit


def of(name: str, change: Callable[[Tensor], Tensor]) -> Edit:
    """Change those of a folder's tensors whose names have this in it."""
    return in_file(
        lambda all_of: {key: change(x).clone() if name in key else x for key, x in all_of.items()}
    )


def without(name: str) -> Edit:
    """Leave out those of a folder's tensors whose names have this in it."""
    return in_file(lambda all_of: {key: x for key, x in all_of.items() if name not in key})


def cut(folder: Path) -> None:
    """Cut a folder's file off."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def both(*edits: Edit) -> Edit:
    """One edit after the other."""
    return lambda folder: [edit(folder) for edit in edits]


DAMAGED: dict[str, tuple[Edit, str]] = {
    "no embedding": (without("embed_tokens"), r"no weights for embed_tokens\.weight, of 11"),
    "nothing that matches": (
        in_file(lambda all_of: {f"x.{key}": x for key, x in all_of.items()}),
        r"no weights for .* and 8 more, of 11",
    ),
    "a layer's part missing": (without(QUERY), rf"no weights for {QUERY}"),
    "one too many": (
        in_file(lambda all_of: {**all_of, f"model.{QUERY}.bias": torch.ones(32)}),
        rf"has model\.{QUERY}\.bias in model\.safetensors, of which its config knows nothing",
    ),
    "a module too many": (
        in_file(
            lambda all_of: {
                **all_of,
                "model.layers.0.self_attn.q_norm.weight": torch.ones(8),
                "model.layers.2.self_attn.q_norm.weight": torch.ones(8),
            }
        ),
        r"has model\.layers\.0\.self_attn\.q_norm\.weight, and its config describes layers without",
    ),
    "integers": (of(QUERY, Tensor.char), rf"has model\.{QUERY}\.weight in I8 .*floats belong"),
    "8-bit floats": (
        of(QUERY, lambda x: x.to(torch.float8_e4m3fn)),
        rf"has model\.{QUERY}\.weight in F8_E4M3 .*quantization_config",
    ),
    "another shape": (of(QUERY, lambda x: x[:16]), r"\(16, 32\), not \(32, 32\)"),
    "another width": (in_config(hidden_size=64), r"and 8 more in another shape .*config\.json"),
    "fewer layers": (
        both(in_config(num_hidden_layers=1), without("layers.0")),
        r"no weights for layers\.0",
    ),
    "a file that is cut off": (cut, r"model\.safetensors is cut off, damaged"),
    "an empty file": (
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        r"model\.safetensors is cut off, damaged",
    ),
}


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder, to be damaged."""
    return shutil.copytree(tiny_folder, tmp_path / "copy")


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_weights_are_an_error(what: str, folder: Path, tmp_path: Path) -> None:
    """What is not the weights that the config describes is refused, with folder and tensors."""
    damage, said = DAMAGED[what]
    damage(folder)
    with pytest.raises(WeightsNotFoundError, match=f"(?s){re.escape(str(folder))}.*{said}"):
        rank(folder, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.1.self_attn.q_norm.weight",  # above what is read
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.layers.0.self_attn.masked_bias",
        "model.layers.3.eh_proj.weight",  # that predicts more than one token
        "model.mtp.layers.0.self_attn.q_norm.weight",
        "lm_head.weight",
        "score.weight",
    ],
)
def test_what_nobody_reads_may_be_there(
    name: str, folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    """Tensors above the last layer that is read, of heads, and left by older versions, are fine."""
    in_file(lambda all_of: {**all_of, name: torch.ones(4)})(folder)
    assert rank(folder, tmp_path) == rank(tiny_folder, tmp_path)


@pytest.mark.parametrize("kind", ["BERT", "T5", "BART"])
def test_modules_too_many_of_other_kinds(kind: str, tmp_path: Path) -> None:
    """So it is in encoders, and in either half of encoder-decoders, but for layers above."""
    model, tokenizer, layers = {
        "BERT": (tiny_encoder(), wordpiece_tokenizer(), ["encoder.layer.{}.attention"]),
        "T5": (
            tiny_seq2seq(),
            seq2seq_tokenizer(),
            ["encoder.block.{}.layer.0.SelfAttention", "decoder.block.{}.layer.1.EncDecAttention"],
        ),
        "BART": (
            tiny_bart(),
            seq2seq_tokenizer("bart"),
            ["model.encoder.layers.{}.self_attn", "model.decoder.layers.{}.encoder_attn"],
        ),
    }[kind]
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    for layer in layers:
        for number in (0, 9):
            name = f"{layer.format(number)}.q_norm.weight"
            in_file(lambda all_of, name=name: {**all_of, name: torch.ones(8)})(tmp_path)  # type: ignore[misc]
            if number:
                AttentionRanker.from_pretrained(tmp_path, heads=[(0, 1)])
            else:
                with pytest.raises(WeightsNotFoundError, match=r"0\..*q_norm\.weight, and its"):
                    AttentionRanker.from_pretrained(tmp_path, heads=[(0, 1)])
            (tmp_path / "model.safetensors").write_bytes(whole)


def test_other_floats_are_taken(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """Floats of another width are converted, as ever."""
    of(QUERY, Tensor.double)(folder)
    assert rank(folder, tmp_path) == rank(tiny_folder, tmp_path)


def test_a_head_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A classification head that would rank by random numbers is refused."""
    folder = cross_encoder_folder(tmp_path / "cross")
    without("classifier")(folder)
    with pytest.raises(WeightsNotFoundError, match=r"no weights for classifier\.bias"):
        AttentionRanker.from_pretrained(folder, rank_by="logit", heads=[(0, 1)])


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """The tiny model in four files."""
    folder = tmp_path / "shards"
    tiny_model().save_pretrained(folder, max_shard_size="60KB")
    tiny_tokenizer().save_pretrained(folder)
    return folder


def shard(folder: Path, number: int) -> Path:
    """One of the files."""
    return folder / f"model-0000{number}-of-00004.safetensors"


def test_shards_are_read(shards: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """Several files give what one does."""
    assert rank(shards, tmp_path) == rank(tiny_folder, tmp_path)


def test_a_missing_shard_is_named(shards: Path, tmp_path: Path) -> None:
    """A file that the index names and that is not there is named with what it has."""
    shard(shards, 2).unlink()
    said = r"lacks model-00002-of-00004\.safetensors, which has model\.layers\.0.* more: put it"
    with pytest.raises(WeightsNotFoundError, match=said):
        rank(shards, tmp_path)


def test_shards_of_two_models_are_an_error(shards: Path, tmp_path: Path) -> None:
    """A file of a model that is cut up otherwise has tensors that another file has, too."""
    other = tmp_path / "other"
    tiny_model(seed=5).save_pretrained(other, max_shard_size="100KB")
    first = min(other.glob("model-*.safetensors"))
    for foreign, place in ((first, shard(shards, 2)), (shard(shards, 4), shard(shards, 1))):
        mine = place.read_bytes()
        shutil.copy(foreign, place)
        said = r"has \S+ both in model-\S+ and in model-\S+, which are not of one model"
        with pytest.raises(WeightsNotFoundError, match=said):
            rank(shards, tmp_path)
        place.write_bytes(mine)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"weight_map": [1]}', '{"weight_map": {}}'])
def test_an_index_that_is_none(text: str, shards: Path, tmp_path: Path) -> None:
    """An index that cannot be read, or tells nothing, is an error that names it or what is lost."""
    (shards / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsNotFoundError, match=r"index\.json|no weights for embed_tokens"):
        rank(shards, tmp_path)


def test_an_index_may_not_lead_out_of_its_folder(shards: Path, tmp_path: Path) -> None:
    """An index that names a file elsewhere is refused."""
    moved = shard(shards, 1).rename(tmp_path / "elsewhere.safetensors")
    path = shards / "model.safetensors.index.json"
    path.write_text(path.read_text().replace(shard(shards, 1).name, f"../{moved.name}"))
    with pytest.raises(WeightsNotFoundError, match=r"lacks \.\./elsewhere"):
        rank(shards, tmp_path)


def test_gguf_is_read_and_its_damage_told(tmp_path: Path, tiny_folder: Path) -> None:
    """A GGUF file that is cut off anywhere, or lacks a tensor, is an error with its name."""
    whole = tmp_path / "model.gguf"
    write_gguf(whole)
    assert len(rank(whole, tmp_path)) == len(CHUNKS)
    data = whole.read_bytes()
    for size in (0, 3, 10, 30, 200, 5000, len(data) // 2, len(data) - 10):
        broken = tmp_path / f"broken{size}.gguf"
        broken.write_bytes(data[:size])
        with pytest.raises(WeightsNotFoundError, match=rf"broken{size}\.gguf is cut off, damaged"):
            rank(broken, tmp_path)
    for name in ("token_embd.weight", "blk.0.attn_q.weight"):
        broken = tmp_path / "lacking.gguf"
        write_gguf(broken, without=[name])
        with pytest.raises(WeightsNotFoundError, match=r"lacking\.gguf has no weights for"):
            rank(broken, tmp_path)


def test_a_tokenizer_that_is_larger_than_the_vocabulary(folder: Path, tmp_path: Path) -> None:
    """Tokens that the model does not know are an error at once, loaded by name or passed."""
    small = tiny_model().config
    small.vocab_size = 300
    said = r"tokens up to number 39\d, and the model knows 300"
    with pytest.raises(UnsupportedModelError, match=said):
        AttentionRanker(tiny_model(small), tiny_tokenizer(), heads=[(0, 1)])
    in_config(vocab_size=300)(folder)
    of("embed_tokens", lambda x: x[:300])(folder)
    of("lm_head", lambda x: x[:300])(folder)
    with pytest.raises(UnsupportedModelError, match=said):
        rank(folder, tmp_path)


def test_a_special_token_that_no_text_has_does_not_count() -> None:
    """A tokenizer may have a special token too many, as Gemma's have one for images."""
    tokenizer = tiny_tokenizer()
    n_known = len(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    PlainTokenizer(tokenizer).check_fits(n_known)
    tokenizer.chat_template = "<image>"
    with pytest.raises(UnsupportedModelError, match=rf"up to number {n_known}"):
        PlainTokenizer(tokenizer).check_fits(n_known)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["null", "5", "[]", '{"a": 1}'])
def test_files_that_hold_something_else(file: str, text: str, tmp_path: Path) -> None:
    """A file beside the weights that is damaged is an error of ours that names it, or harmless."""
    _save(tmp_path)
    (tmp_path / file).write_text(text)
    if (file, text) == ("tokenizer_config.json", '{"a": 1}'):
        AttentionRanker.from_pretrained(tmp_path, heads=[(1, 0)])
        return
    with pytest.raises(AttnMassError, match=re.escape(str(tmp_path))):
        AttentionRanker.from_pretrained(tmp_path, heads=[(1, 0)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_act", "nope"),
        ("hidden_size", None),
        ("num_attention_heads", 0),
        ("num_attention_heads", "4"),
        ("rope_parameters", {"rope_type": "nope"}),
    ],
)
def test_configs_that_make_no_model(name: str, value: Any, tmp_path: Path) -> None:
    """A value in a config that no model can be made of is an error of ours with the folder."""
    _save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, name: value}))
    with pytest.raises(AttnMassError, match=r"config\.json from which no model can be made"):
        AttentionRanker.from_pretrained(tmp_path, heads=[(1, 0)])


def _save(folder: Path) -> None:
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
