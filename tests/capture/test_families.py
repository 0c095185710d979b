"""Every family of the documentation's table, on a seeded two-layer model of it."""

from __future__ import annotations

import pytest

from attnmass import UnsupportedModelError
from attnmass.capture import Reader, prove
from tests.capture import checks, joint_checks
from tests.capture.families import DECODERS, FAMILIES, REFUSED, Family
from tests.capture.table import on_page, render_table
from tests.tiny import tiny_model

each_decoder = pytest.mark.parametrize("family", DECODERS, ids=lambda family: family.name)


@each_decoder
def test_equals_eager(family: Family) -> None:
    """Prefix, one chunk and query in three passes give the plain causal forward's attention."""
    assert checks.gap_to_eager(tiny_model(family.config)) < 1e-5


@each_decoder
def test_order_of_chunks_does_not_matter(family: Family) -> None:
    """A permutation of the chunks permutes their masses."""
    assert checks.gap_between_orders(tiny_model(family.config)) < 1e-5


@each_decoder
@pytest.mark.parametrize("key_block", [1, 8])
def test_blocks_of_keys_are_merged_exactly(family: Family, key_block: int) -> None:
    """Keys that are looked at block by block give the same as all at once."""
    assert checks.gap_between_blocks(tiny_model(family.config), key_block) < 1e-5


@each_decoder
@pytest.mark.parametrize("max_batch_tokens", [7, 64])
def test_joint_equals_eager(family: Family, max_batch_tokens: int) -> None:
    """All chunks in one context, read in pieces or not, are looked at as in one plain forward."""
    assert joint_checks.gap_to_eager(tiny_model(family.config), max_batch_tokens) < 1e-5


@each_decoder
def test_rows_sum_to_one(family: Family) -> None:
    """Prefix, chunks and query share all of the query's attention, but for learned sinks."""
    gap = checks.gap_to_one(tiny_model(family.config))
    assert gap > 0.01 if family.sinks else gap < 1e-5


@each_decoder
def test_path_and_proof(family: Family) -> None:
    """The family is read in the way that the table says, and proved at load."""
    model = tiny_model(family.config)
    reader = Reader(model, checks.HEADS)
    prove(reader, model)
    assert reader.path == family.path_here


@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_refused_with_a_reason(family: Family) -> None:
    """A family that cannot be right in a decoder's layouts is refused, and the error says why."""
    assert family.refused is not None
    model = tiny_model(family.config)
    with pytest.raises(UnsupportedModelError, match=family.refused):
        prove(Reader(model, checks.HEADS), model)


def test_masses_are_not_uniform() -> None:
    """The tiny models' attention varies enough for these checks to be able to fail."""
    attention = checks.eager_attention(
        tiny_model(FAMILIES[0].config), [*checks.CHUNKS[0], 9, 77, 5, 31]
    )
    assert float(attention.max()) > 3 * float(attention.mean())


def test_table_on_page_is_what_these_checks_give() -> None:
    """The table of families is generated, not written: `make families` renews it."""
    if moved := [family.name for family in FAMILIES if family.path_here != family.path]:
        pytest.skip(f"made with an older transformers, in which {moved} did not ask the interface")
    assert on_page("families") == render_table()


def test_only_keys_that_selected_heads_read_are_kept_of_the_last_layer() -> None:
    """Of the last layer, four heads over two KV heads, only the one that is looked from is kept."""
    reader = Reader(tiny_model(FAMILIES[0].config), [(0, 0), (0, 3), (1, 2)])
    _, states = checks.read_states(reader)
    assert reader.kept_heads == (1,)
    assert [key.shape[0] for key in states[0].keys] == [2, 1]
    assert [value.shape[0] for value in states[0].values] == [2]
