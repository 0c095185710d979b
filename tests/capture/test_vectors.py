"""Query and key vectors of every family of the documentation's table, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, Phi3Config

from attnmass import UnsupportedModelError
from attnmass.capture.vector_proof import prove_vectors
from attnmass.capture.vectors import VectorReader
from tests.capture import checks
from tests.capture.families import DECODERS, Family
from tests.sizes import sizes
from tests.tiny import tiny_model

INTERFACE = [family for family in DECODERS if family.path_here == "interface"]
each_family = pytest.mark.parametrize("family", INTERFACE, ids=lambda family: family.name)
LEARNED = {"GPT-2", "OPT"}


@each_family
def test_products_are_eager_attention(family: Family) -> None:
    """`q . k` at the tokens' own positions, softmaxed, is the model's own eager attention."""
    model = tiny_model(family.config)
    reader = VectorReader(model, checks.HEADS)
    ids = torch.tensor(checks.PREFIX + checks.CHUNKS[0] + checks.QUERY)
    positions = torch.arange(len(ids))
    keys, queries, _, _ = reader.vectors(ids, positions)
    scores = torch.einsum("rhd,khd->hrk", queries, keys[:, list(reader.key_of)])
    for head, cap in enumerate(reader.caps):
        if cap is not None:
            scores[head] = cap * torch.tanh(scores[head] / cap)
    model.config._attn_implementation = "eager"
    with torch.inference_mode():
        out = model(input_ids=ids[None], output_attentions=True, use_cache=False)
    eager = torch.stack([out.attentions[layer][0, head] for layer, head in checks.HEADS])
    scores = scores.masked_fill(eager == 0, -torch.inf)
    if reader.sinks is not None:
        sinks = reader.sinks[:, None, None].expand(*scores.shape[:2], 1)
        scores = torch.cat([scores, sinks], dim=-1)
    found = scores.softmax(dim=-1)[..., : len(ids)]
    assert float((found - eager).abs().max()) < 1e-5


@each_family
def test_proved_at_load(family: Family) -> None:
    """The proof passes, and rotary families compare at one distance."""
    model = tiny_model(family.config)
    reader = VectorReader(model, checks.HEADS)
    prove_vectors(reader, model)
    assert (reader.distance is None) == (family.name in LEARNED)


@each_family
def test_a_token_is_worth_the_same_wherever_it_stands(family: Family) -> None:
    """One distance: the same first token at another position has the same key vector."""
    reader = VectorReader(tiny_model(family.config), checks.HEADS)
    here, there = (reader.keys(checks.CHUNKS[:1], start)[0][0] for start in (0, 40))
    same = float((here - there).norm() / here.norm()) < 1e-4
    assert same == (reader.distance is not None)


def test_a_wrong_rotation_is_refused() -> None:
    """A vector that is not turned as the model turns it does not pass the proof."""
    model = tiny_model()
    reader = VectorReader(model, checks.HEADS)
    swapped = {layer: (far, near) for layer, (near, far) in reader._rotations.items()}
    reader._rotations.update(swapped)
    with pytest.raises(UnsupportedModelError, match="turned to a distance"):
        prove_vectors(reader, model)


def test_vectors_that_are_not_turned_are_refused() -> None:
    """A reader that leaves vectors at their own positions does not pass for one distance."""
    model = tiny_model()
    reader = VectorReader(model, checks.HEADS)
    reader._turns = False
    with pytest.raises(UnsupportedModelError, match="turned to a distance"):
        prove_vectors(reader, model)


def test_wrong_vectors_are_refused() -> None:
    """Vectors whose products are not the model's attention do not pass the proof."""
    model = tiny_model()
    reader = VectorReader(model, checks.HEADS)
    reader.key_of = tuple(reversed(reader.key_of))
    with pytest.raises(UnsupportedModelError, match="the vectors' attention"):
        prove_vectors(reader, model)


@pytest.mark.parametrize("method", ["keys", "queries"])
@pytest.mark.parametrize("name", ["Mistral", "GPT-2"])
def test_what_is_asked_for_later_is_proved_too(
    method: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass for keys or queries alone has to give what the pass gave that was proved."""
    model = tiny_model(next(family.config for family in DECODERS if family.name == name))
    reader = VectorReader(model, checks.HEADS)
    original = getattr(VectorReader, method)
    monkeypatch.setattr(VectorReader, method, lambda *args: torch.stack([*original(*args)]) * 1.1)
    with pytest.raises(UnsupportedModelError, match=r"differ by 0\.1"):
        prove_vectors(reader, model)


def test_eager_families_are_refused() -> None:
    """A family that does not ask the attention interface has no vectors to read, and is told so."""
    family = next(family for family in DECODERS if family.path_here == "eager")
    with pytest.raises(UnsupportedModelError, match="layout='parallel'"):
        VectorReader(tiny_model(family.config), checks.HEADS)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(
            **sizes(101, 2, 512),
            rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
        ),
        Phi3Config(
            **sizes(101, 2, 512),
            original_max_position_embeddings=128,
            pad_token_id=0,
            rope_parameters={
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0] * 4,
                "long_factor": [4.0] * 4,
                "original_max_position_embeddings": 128,
            },
        ),
    ],
    ids=["dynamic", "longrope"],
)
def test_rope_that_depends_on_the_longest_row(config: Any) -> None:
    """No pass is longer than the first regime, so a chunk's vectors depend on no neighbour."""
    reader = VectorReader(tiny_model(config), checks.HEADS)
    limit = 512 if config.model_type == "llama" else 128
    assert reader.max_positions == limit
    ids = (torch.arange(limit) % 101).tolist()
    (alone,) = reader.keys([ids[:20]])
    beside = reader.keys([ids])[0][:20]
    assert float((alone - beside).norm() / alone.norm()) < 1e-4
