"""Models are told apart by their weights, and are the same however they were loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import timeit
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from attnmass import AttentionRanker, UnsupportedModelError
from attnmass.capture import CrossReader, EncoderReader, Reader
from attnmass.models.checksums import checksum
from attnmass.models.state import identity as digest
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import tiny_encoder
from tests.tiny_seq2seq import tiny_seq2seq

HEADS = ((1, 0), (2, 1))


def identity(model: nn.Module) -> str:
    """The digest of the layers that run."""
    return Reader(model, HEADS).identity()


def test_same_weights_same_identity() -> None:
    """Two builds of one model, with or without its language-model head, are one model."""
    assert identity(tiny_model()) == identity(tiny_model()) == identity(tiny_model().model)


def test_every_weight_counts() -> None:
    """A change of one single number makes another model of one config."""
    model = tiny_model()
    before = identity(model)
    for name in (
        "embed_tokens.weight",
        "layers.0.mlp.down_proj.weight",
        "layers.2.input_layernorm",
    ):
        changed = tiny_model()
        parameter = next(p for n, p in changed.model.named_parameters() if n.startswith(name))
        with torch.no_grad():
            parameter.view(-1)[-1] += 1e-3
        assert identity(changed) != before


def test_layers_that_do_not_run_do_not_count() -> None:
    """What lies above the last selected head leaves nothing in the cache, so it may differ."""
    model = tiny_model()
    before = Reader(model, [(0, 1)]).identity()
    with torch.no_grad():
        model.model.layers[2].mlp.down_proj.weight.add_(1.0)
    assert Reader(model, [(0, 1)]).identity() == before


def test_dtype_and_config_count() -> None:
    """The same numbers in another dtype, or under another config, compute something else."""
    before = identity(tiny_model())
    assert identity(tiny_model().to(torch.bfloat16)) != before
    config = tiny_model().config
    config.rms_norm_eps = 0.5
    assert identity(tiny_model(config)) != before


IDENTITIES = """
from attnmass.capture import CrossReader, EncoderReader, Reader
from attnmass.models.state import identity
from tests.tiny import tiny_model
from tests.tiny_encoder import tiny_encoder
from tests.tiny_seq2seq import tiny_bart, tiny_seq2seq
kinds = [(Reader, tiny_model), (EncoderReader, tiny_encoder), (CrossReader, tiny_seq2seq)]
for reader, make in [*kinds, (CrossReader, tiny_bart)]:
    print(identity(make()), reader(make(), [(0, 1), (1, 0)]).identity())
"""


def test_identities_are_the_same_in_every_process() -> None:
    """What is kept in a store is found by other processes, whatever their hashes of strings."""
    root = str(Path(__file__).parents[2])
    said = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", IDENTITIES],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(set(said[0])) == 8


def test_what_generates_does_not_count() -> None:
    """How a model generates is no part of what is read of it."""
    model = tiny_model()
    before = digest(model)
    model.generation_config.max_new_tokens = 7
    model.generate(torch.tensor([[5, 6]]), attention_mask=torch.ones(1, 2).long())
    assert digest(model) == before


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_changes_are_noticed(how: str) -> None:
    """A reader whose model is trained on, or given other weights, has another identity."""
    model = tiny_model()
    reader = Reader(model, HEADS)
    before = reader.identity()
    assert reader.identity() == before
    weight = model.model.layers[0].self_attn.q_proj.weight
    if how == "in place":
        with torch.no_grad():
            weight.mul_(1.5)
    else:
        weight.data = weight.data * 1.5
    assert reader.identity() != before


def test_every_number_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written around torch's counters is seen after some questions, wherever it stands."""
    monkeypatch.setattr("attnmass.models.weights._EACH_TIME", 1)
    model = tiny_model()
    reader = Reader(model, HEADS)
    for name in ("embed_tokens.weight", "layers.1.mlp.up_proj.weight", "layers.0.input_layernorm"):
        before = reader.identity()
        weight = next(p for n, p in model.model.named_parameters() if n.startswith(name))
        weight.data.view(-1)[weight.numel() // 3 + 1] += 1e-3
        turns = [reader.identity() for _ in model.model.parameters()]
        assert turns[-1] != before
        assert turns[-1] == identity(model)


def test_small_models_are_looked_at_whole() -> None:
    """A row that was written to through `data` is seen at once."""
    model = tiny_model()
    reader = Reader(model, HEADS)
    before = reader.identity()
    model.model.embed_tokens.weight.data[7].mul_(3.0)
    assert reader.identity() != before


def test_weights_that_cannot_be_read_match_nothing() -> None:
    """A tensor without data has a digest that no other has, and a model of them is refused."""
    nowhere = torch.empty(4, device="meta")
    assert len({checksum(nowhere), checksum(nowhere), checksum(nowhere)}) == 3
    with pytest.raises(UnsupportedModelError, match=r"is not in memory .*without offloading"):
        Reader(tiny_model().to("meta"), HEADS)


def test_numbers_that_change_places_are_noticed() -> None:
    """A weight whose numbers are the same in another order is another one."""
    weight = torch.randn(3000, 4)
    rows, whole = weight.clone(), weight.reshape(-1).flip(0)
    rows[[0, 1]] = rows[[1, 0]]
    assert len({checksum(weight), checksum(rows), checksum(whole)}) == 3


@pytest.mark.parametrize("count", [1, 3, 4, 7, 8, 1001])
def test_odd_sizes_and_offsets(count: int) -> None:
    """Tensors of any size, and views that begin anywhere, are summed whole."""
    module: Any = nn.Module()
    module.config = tiny_model().config
    base = torch.arange(count + 1).to(torch.bfloat16)
    module.weight = nn.Parameter(base[1:], requires_grad=False)
    before = digest(module)
    with torch.no_grad():
        module.weight[-1] += 64.0
    assert digest(module) != before


@pytest.mark.parametrize("kind", ["decoder", "encoder", "encoder-decoder"])
def test_a_model_is_the_same_in_memory_and_from_a_folder(kind: str, tmp_path: Path) -> None:
    """A model that was built or loaded, by whomever, is one model, and finds what it kept."""
    reader, made = {
        "decoder": (Reader, tiny_model()),
        "encoder": (EncoderReader, tiny_encoder()),
        "encoder-decoder": (CrossReader, tiny_seq2seq()),
    }[kind]
    made.save_pretrained(tmp_path)
    loaded = type(made).from_pretrained(tmp_path)
    heads = [(0, 1), (1, 0)]
    assert reader(loaded, heads).identity() == reader(made, heads).identity()
    if kind != "decoder":
        return
    tiny_tokenizer().save_pretrained(tmp_path)
    store, chunks = tmp_path / "store", ["The river runs.", "Words are numbers."]
    options = {"heads": heads, "layout": "parallel", "store": store}
    by_name = AttentionRanker.from_pretrained(tmp_path, dtype="float32", **options)
    expected = by_name.rank("river?", chunks).scores
    in_memory = AttentionRanker(made, tiny_tokenizer(), **options)
    assert in_memory.rank("river?", chunks).scores == expected
    assert in_memory.stats.hits == 2


@pytest.mark.parametrize("about", ["_is_hf_initialized", "_is_buffer", "persistent"])
def test_marks_of_loading_do_not_count(about: str) -> None:
    """What torch and transformers note on a tensor about how it came there is not in a digest."""
    marked = tiny_model()
    for tensor in (*marked.parameters(), *marked.buffers()):
        setattr(tensor, about, True)
    plain = tiny_model()
    for buffer in plain.buffers():
        vars(buffer).clear()
    assert identity(marked) == identity(plain)


def test_asking_is_no_part_of_a_querys_time() -> None:
    """Whether 30 layers are what they were takes less than a quarter of a pass by tiny ones."""
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=30, num_attention_heads=2,
        vocab_size=101,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    reader = Reader(model, [(29, 0)])
    reader.identity()
    ids = torch.arange(30)[None]
    with torch.inference_mode():
        passes = timeit.repeat(lambda: model(ids), number=1, repeat=20)
    times = timeit.repeat(reader.identity, number=1, repeat=200)
    assert min(times) < min(passes) / 4  # the median of a busy machine tells of others
