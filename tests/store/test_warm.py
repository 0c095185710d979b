"""Through the ranker: chunks that are read before there is a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attnmass import WarmResult
from attnmass.capture import Reader
from tests.store.cached import CHUNKS, QUERY, build, texts_read


def test_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warming reads what is not there, skips what is, and leaves nothing for `rank` to read."""
    ranker = build()
    assert ranker.warm(CHUNKS[:2]) == WarmResult(read=2, skipped=0, unreadable=0, evicted=0)
    found = ranker.warm([*CHUNKS, " ", ""])
    # The river is there, twice.
    assert found == WarmResult(read=2, skipped=3, unreadable=2, evicted=0)
    rows = texts_read(monkeypatch)
    ranker.rank(QUERY, CHUNKS)
    assert rows == []
    assert ranker.warm([]) == WarmResult(0, 0, 0, 0)


def test_warm_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is interrupted loses at most the batch that it was reading."""
    many = [f"{text} {number}" for number in range(4) for text in set(CHUNKS)]
    original = Reader.read
    calls = 0

    def interrupted(self: Reader, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return original(self, *args)

    ranker = build(store=tmp_path, batch_size=2)
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ranker.warm(many)
    found = build(store=tmp_path).warm(many)
    assert (found.read, found.skipped) == (len(many) - 10, 10)


def test_warm_says_that_the_bound_is_too_small() -> None:
    """Where later chunks drive out earlier ones, the result counts them."""
    ranker = build(memory_bytes=20_000)
    found = ranker.warm([f"{text} {number}" for number in range(10) for text in set(CHUNKS)])
    assert found.read == 40
    assert found.evicted == ranker.stats.evictions > 0


def test_warm_without_a_cache() -> None:
    """There has to be something to warm, and the error says what to pass."""
    with pytest.raises(ValueError, match="memory_bytes above 0"):
        build(memory_bytes=0).warm(CHUNKS)


def test_progress_counts_hits(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar reaches its end whether chunks were read or found."""
    ranker = build(progress=True)
    for call, count in (
        (lambda: ranker.warm(CHUNKS), len(CHUNKS)),
        (lambda: ranker.warm(CHUNKS), len(CHUNKS)),
        (lambda: ranker.rank(QUERY, CHUNKS), len(set(CHUNKS))),  # a copy is not read
    ):
        bars: list[Any] = []
        original = ranker._layout.attend, ranker._layout.warm

        def spied(method: Any, bars: list[Any] = bars) -> Any:
            def run(*args: Any) -> Any:
                *rest, advance = args

                def step(n: int) -> None:
                    bars.append(n)
                    advance(n)

                return method(*rest, step)

            return run

        ranker._layout.attend, ranker._layout.warm = map(spied, original)  # type: ignore[method-assign]
        call()
        ranker._layout.attend, ranker._layout.warm = original  # type: ignore[method-assign]
        assert sum(bars) == count
    assert "Reading chunks" in capsys.readouterr().err
