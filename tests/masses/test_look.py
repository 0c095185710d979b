"""What each chunk has for a query, and how shards of candidates are merged."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnmass.masses import Denominator, KeyVectors, Queries, chunk_mass, look, quantize
from attnmass.masses.look import _blocks, _even, token_scores
from attnmass.masses.merge import mass_beside

KEY_OF, CAPS = (0, 2, 1, 2), (None, 2.0, None, None)
SIZES = [5, 130, 900, 1, 17, 33, 2100, 64]


def chunks(seed: int = 0) -> list[KeyVectors]:
    """Key vectors of chunks from one token to more than a block."""
    generator = torch.Generator().manual_seed(seed)
    return [quantize(torch.randn(n, 3, 16, generator=generator) * 3) for n in SIZES]


def queries(n_rows: int = 7) -> Queries:
    """Rows that look from four heads, one of them soft-capped, two on one key head."""
    vectors = torch.randn(n_rows, 4, 16, generator=torch.Generator().manual_seed(1)) / 2
    return Queries(vectors, KEY_OF, CAPS)


def slow_scores(asked: Queries, keys: KeyVectors) -> Tensor:
    """Scores in fp64, one head and row at a time, `[head, row, token]`."""
    vectors = keys.codes.double() * keys.scales.double()[..., None]
    out = torch.zeros(4, len(asked.vectors), len(keys), dtype=torch.float64)
    for head, (key, cap) in enumerate(zip(KEY_OF, CAPS, strict=True)):
        for row, vector in enumerate(asked.vectors[:, head].double()):
            found = vectors[:, key] @ vector
            out[head, row] = found if cap is None else cap * torch.tanh(found / cap)
    return out


def test_log_sum_exp_of_products() -> None:
    """A chunk has the log-sum-exp of its tokens' scores, worked out the slow way."""
    found = look(queries(), chunks())
    expected = torch.stack([slow_scores(queries(), keys).logsumexp(dim=-1) for keys in chunks()])
    assert float((found - expected).abs().max()) < 1e-4


def test_scores_of_tokens() -> None:
    """The second step gives each token's score, whose log-sum-exp is what the chunk has."""
    asked, (keys, *_) = queries(), chunks()
    found = token_scores(asked, keys)  # [row, head, token]
    assert float((found.permute(1, 0, 2) - slow_scores(asked, keys)).abs().max()) < 1e-4


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(len(SIZES))), st.integers(0, 8), st.sampled_from([1, 64, 4096]))
def test_neighbours_change_no_bit(order: list[int], n: int, block_tokens: int) -> None:
    """What a chunk has is bit-equal among any others, in any order and any blocks."""
    keys, asked = chunks(), queries()
    expected = torch.cat([look(asked, [mine]) for mine in keys])
    some = order[:n]
    found = look(asked, [keys[i] for i in some], block_tokens=block_tokens)
    assert torch.equal(found, expected[some])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=len(SIZES), max_size=len(SIZES)), st.randoms())
def test_shards_merge_exactly(shard_of: list[int], random: object) -> None:
    """Any split of the candidates into shards, merged in any order, gives the unsplit masses."""
    keys, asked = chunks(), queries()
    whole = look(asked, keys)
    expected = chunk_mass(whole, Denominator.of([whole]))
    parts = [
        look(asked, [keys[i] for i in range(len(keys)) if shard_of[i] == shard])
        for shard in range(4)
    ]
    random.shuffle(parts)  # type: ignore[attr-defined]
    at_once = Denominator.of(parts)
    filled = [Denominator.of([part]) for part in parts if len(part)]
    one_by_one = filled[0]
    for other in filled[1:]:
        one_by_one = one_by_one.merge(other)
    for among in (at_once, one_by_one):
        assert float((chunk_mass(whole, among) - expected).abs().max()) < 1e-12


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=80),
    most=st.sampled_from([256, 512, 4096]),
    n_threads=st.integers(1, 4),
)
def test_threads_have_about_as_much_to_do(sizes: list[int], most: int, n_threads: int) -> None:
    """Blocks are none too many and none too large; what fits into one stays in one."""
    even = _even(sizes, most, n_threads)
    blocks = [sizes[block] for block in _blocks(sizes, even)]
    assert [size for block in blocks for size in block] == sizes
    assert all(sum(block) <= most or len(block) == 1 for block in blocks)
    if sum(sizes) <= most:
        assert len(blocks) == 1
    elif n_threads > 1:
        assert even <= sum(sizes) / n_threads + max(sizes) + 1


def test_masses_of_all_sum_to_one() -> None:
    """What all candidates get together is all there is."""
    whole = look(queries(), chunks())
    total = chunk_mass(whole, Denominator.of([whole])).sum(dim=0)
    assert float((total - 1).abs().max()) < 1e-12


def test_nothing_to_share() -> None:
    """No candidates at all are an error, not NaN."""
    with pytest.raises(ValueError, match="at least one chunk"):
        Denominator.of([look(queries(), [])])


def test_what_is_beside_a_company_does_not_depend_on_its_place() -> None:
    """Each of many things has to the last bit what it has alone, wherever it stands among them."""
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(997, 3, 5, generator=generator) * 5
    company = Denominator.of([torch.randn(4, 3, 5, generator=generator)])
    together = mass_beside(found, company)
    assert torch.equal(together, torch.cat([mass_beside(each, company) for each in found.split(1)]))
    assert torch.equal(together[3:], mass_beside(found[3:], company))
    expected = torch.sigmoid(found.double() - company.total).mean(dim=-1)
    torch.testing.assert_close(together, expected, rtol=1e-14, atol=0)
    far = mass_beside(torch.tensor([[[-1e6]], [[1e6]], [[-torch.inf]]]), company)
    assert far[:, 0].tolist() == [0.0, 1.0, 0.0]
