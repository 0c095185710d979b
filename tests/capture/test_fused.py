"""Plain attention, the same whichever way it is computed."""

import pytest
import torch
from torch.nn import functional

from attnmass.capture import fused
from attnmass.capture.fused import Fused


def _inputs(dtype: torch.dtype, batch: int, n_heads: int, n_kv: int, n_tokens: int, n_past: int):
    draw = torch.Generator().manual_seed(7)

    def random(heads: int, tokens: int) -> torch.Tensor:
        return torch.randn(batch, heads, tokens, 16, generator=draw).to(dtype)

    n_keys = n_past + n_tokens
    allowed = torch.ones(n_tokens, n_keys, dtype=torch.bool).tril(n_past)
    allowed[:, 1:n_past:3] = False
    return (
        random(n_heads, n_tokens),
        random(n_kv, n_keys),
        random(n_kv, n_keys),
        allowed[None, None],
    )


def _slowly(query, key, value, mask, scaling):
    group = query.shape[1] // key.shape[1]
    key, value = (x.double().repeat_interleave(group, dim=1) for x in (key, value))
    scores = (query.double() @ key.transpose(2, 3) * scaling).masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ value


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02), (torch.float16, 0.005)]
)
@pytest.mark.parametrize("n_kv", [1, 3, 6])
@pytest.mark.parametrize("batch", [1, 4])
def test_any_way_is_softmax_attention(dtype, bound, n_kv, batch) -> None:
    """Masked, grouped and batched, in every dtype, it is what the formula says."""
    query, key, value, mask = _inputs(dtype, batch, 6, n_kv, 5, 11)
    found = Fused()(query, key, value, mask, 0.25)
    assert found.dtype == dtype
    assert (found.double() - _slowly(query, key, value, mask, 0.25)).abs().max() < bound


@pytest.mark.parametrize("most", [1, 40, 200])
def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Rows that are looked at a few at a time come out as together."""
    inputs = _inputs(torch.bfloat16, 2, 6, 3, 5, 11)
    together = Fused()(*inputs, 0.25)
    monkeypatch.setattr(fused, "_MOST_SCORES", most)
    assert (Fused()(*inputs, 0.25) - together).abs().max() < 0.01


def test_layers_with_other_masks_get_their_own() -> None:
    """Sliding and full layers take turns in one pass, and each is masked by its own."""
    query, key, value, wide = _inputs(torch.bfloat16, 1, 6, 3, 5, 11)
    narrow = wide & (torch.arange(16) > 6)
    attend = Fused()
    for mask in (wide, narrow, wide, narrow):
        expected = _slowly(query, key, value, mask, 0.25)
        assert (attend(query, key, value, mask, 0.25).double() - expected).abs().max() < 0.02


def test_bfloat16_is_as_near_as_torch_is() -> None:
    """What is faster loses no more than a few roundings against torch's own kernel."""
    query, key, value, mask = _inputs(torch.bfloat16, 1, 6, 6, 40, 300)
    exact = _slowly(query, key, value, mask, 0.25)
    ours = (Fused()(query, key, value, mask, 0.25).double() - exact).abs().mean()
    theirs = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.25)
    assert ours < 4 * (theirs.double() - exact).abs().mean()
