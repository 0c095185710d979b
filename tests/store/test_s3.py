"""An object store by its own protocol: what S3 does otherwise than a folder does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto")

import boto3
import httpx
from moto.server import ThreadedMotoServer

from attnmass.store import packs
from attnmass.store.copying import pull, push
from attnmass.store.disk import DiskStore
from attnmass.store.entry import Entry
from attnmass.store.objects import ObjectStore
from tests.store.shared_by import CHUNKS, QUERY, ranker

pytestmark = [
    pytest.mark.enable_socket,  # the server is asked over the loopback
    # botocore's, of Python 3.12 and above.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

ITEMS = {f"key-{n}": Entry(bytes([n]) * 100, n) for n in range(200)}
ROOT = "s3://bucket/chunks"


class Bucket:
    """A server that speaks S3, and what a client that is not ours does there."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    @property
    def client(self) -> Any:
        """A client of boto3's."""
        return boto3.client("s3", endpoint_url=self.url)

    def names(self) -> list[str]:
        """The keys that are there."""
        found = self.client.list_objects_v2(Bucket="bucket")
        return [each["Key"] for each in found.get("Contents", ())]

    def cut(self, name: str) -> None:
        """Leave the first half of an object."""
        whole = self.client.get_object(Bucket="bucket", Key=name)["Body"].read()
        self.client.put_object(Bucket="bucket", Key=name, Body=whole[: len(whole) // 2])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, which the environment tells of."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = Bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    httpx.post(f"{found.url}/moto-api/reset")  # servers of one process share what is in them
    found.client.create_bucket(Bucket="bucket")
    yield found
    found.server.stop()


def test_a_folder_is_pushed_and_another_filled(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All comes over, in files of one size; a second time nothing is copied."""
    monkeypatch.setattr(packs, "PACK_BYTES", 5000)
    one, two = DiskStore(tmp_path / "one", None), DiskStore(tmp_path / "two", None)
    one.write(ITEMS)
    assert push(one, ObjectStore(ROOT)).values == 200
    assert len(bucket.names()) == 4
    assert push(one, ObjectStore(ROOT)).values == 0
    assert pull(ObjectStore(ROOT), two).values == 200
    assert two.read(list(ITEMS)) == {key: entry.data for key, entry in ITEMS.items()}
    for folder in (one, two):
        folder.close()


def test_what_others_change_is_seen(bucket: Bucket) -> None:
    """New files, and those that are gone or cut off, whatever the client has kept of a listing."""
    writer, reader = ObjectStore(ROOT), ObjectStore(ROOT)
    assert reader.read(list(ITEMS)) == {}
    halves = [dict(list(ITEMS.items())[start::2]) for start in (0, 1)]
    for half in halves:
        writer.add(half)
        reader._listed = float("-inf")
        assert reader.read(list(half)) == half
    gone, cut = writer._packs
    bucket.client.delete_object(Bucket="bucket", Key=f"chunks/{gone}")
    assert reader.read(list(ITEMS)) == halves[1]
    bucket.cut(f"chunks/{cut}")
    for store in (reader, ObjectStore(ROOT)):
        found = store.read(list(ITEMS))
        assert 0 < len(found) < 100
        assert found.items() <= halves[1].items()
    assert (writer.failures, reader.failures) == (0, 0)


def test_a_server_that_is_gone(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than patience lasts, and it is used again when it is back."""
    ObjectStore(ROOT).add(ITEMS)
    store = ObjectStore(ROOT)
    assert store.read(["key-1"]) == {"key-1": ITEMS["key-1"]}
    store._patience = 1.0
    port = int(bucket.url.rpartition(":")[2])
    bucket.server.stop()
    assert store.read(list(ITEMS)) == {}
    assert store.failures == 1
    bucket.server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    bucket.server.start()
    asked = store._files._asked
    assert asked is not None
    asked.exception()
    monkeypatch.setattr(store._files, "_resting_until", 0.0)
    store._patience = 60.0
    assert store.read(list(ITEMS)) == ITEMS


def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    """Reading finds nothing, and writing says what is wrong."""
    store = ObjectStore(ROOT.replace("bucket", "nowhere"))
    assert store.read(list(ITEMS)) == {}
    with pytest.raises(OSError, match="bucket does not exist"):
        store.add(ITEMS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_child_begins_anew(bucket: Bucket) -> None:
    """A forked process reads, whose parent has a client's thread and connections."""
    store = ObjectStore(ROOT)
    store.add(ITEMS)
    assert store.read(["key-1"]) == {"key-1": ITEMS["key-1"]}
    child = os.fork()
    if child == 0:
        os._exit(0 if store.read(["key-2"]) == {"key-2": ITEMS["key-2"]} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.read(["key-3"]) == {"key-3": ITEMS["key-3"]}


def test_chunks_are_not_read_again(bucket: Bucket, tmp_path: Path) -> None:
    """What one machine read and pushed no other one reads; scores are the same to the last bit."""
    first = ranker(ROOT, store=str(tmp_path))
    expected = first.rank(QUERY, CHUNKS).scores
    kept = first._cache.folder
    assert kept is not None
    assert push(kept, ObjectStore(ROOT)).values == 3
    second = ranker(ROOT)
    assert second.rank(QUERY, CHUNKS).scores == expected
    assert (second.stats.misses, second.stats.shared_hits) == (0, 3)
