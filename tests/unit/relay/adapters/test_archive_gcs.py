"""What is Cloud Storage's own. What every archive does is in tests/contract."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.api_core.exceptions import NotFound
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests.adapters import HTTPAdapter
from tests.fake_gcs import make_bucket

from rtms_relay.adapters.archive_gcs import GcsArchive, _Source, _SourceFailed
from rtms_relay.errors import AlreadyArchived, ArchiveError, ChecksumMismatch
from rtms_relay.ports import Archived


@pytest.fixture(scope="session")
def bucket(gcs_server: str) -> str:
    return make_bucket(gcs_server, "gcs-only")


@pytest.fixture
async def archive(monkeypatch: pytest.MonkeyPatch, gcs_server: str, bucket: str) -> AsyncGenerator[GcsArchive, None]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    opened = GcsArchive(bucket)
    yield opened
    await opened.delete("h1/")
    await opened.close()


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def look(bucket: str, name: str) -> storage.Blob:
    blob = storage.Client().bucket(bucket).blob(name)
    blob.reload()
    return blob


async def test_the_content_type_and_the_sha256_are_on_the_object(archive: GcsArchive, bucket: str) -> None:
    await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    blob = await asyncio.to_thread(look, bucket, "h1/a")
    assert blob.content_type == "video/mp4"
    assert blob.metadata == {"sha256": hashlib.sha256(b"data").hexdigest()}


async def test_an_object_whose_sha256_a_crash_left_out_is_measured_and_mended(archive: GcsArchive, bucket: str) -> None:
    data = bytes(range(256)) * 40_000

    def leave() -> None:
        storage.Client().bucket(bucket).blob("h1/a").upload_from_string(data)

    await asyncio.to_thread(leave)
    found = await archive.find("h1/a")
    assert found is not None
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    blob = await asyncio.to_thread(look, bucket, "h1/a")
    assert blob.metadata == {"sha256": found.sha256}


async def test_an_upload_is_on_condition_that_there_is_no_such_object_and_in_bounded_chunks(archive: GcsArchive) -> None:
    sent: list[requests.PreparedRequest] = []

    class Watching(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            sent.append(request)
            return super().send(request, *args, **kwargs)

    assert await archive.find("h1/a") is None
    assert archive._client is not None
    archive._client._http.mount("http://", Watching())
    await archive.put("h1/a", one(bytes(10 << 20)), content_type="video/mp4")
    (begin,) = (request for request in sent if request.method == "POST")
    assert "uploadType=resumable" in str(begin.url)
    assert "ifGenerationMatch=0" in str(begin.url)
    assert [len(request.body) >> 20 for request in sent if request.method == "PUT" and isinstance(request.body, bytes)] == [4, 4, 2]


async def test_a_chunk_that_the_service_could_not_take_is_sent_again(archive: GcsArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", lambda _: None)
    failed = 0

    class Failing(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            nonlocal failed
            if request.method == "PUT" and failed < 3:
                failed += 1
                raise requests.ConnectionError("reset")
            return super().send(request, *args, **kwargs)

    assert await archive.find("h1/a") is None
    assert archive._client is not None
    archive._client._http.mount("http://", Failing())
    done = await archive.put("h1/a", one(bytes(5 << 20)), content_type="video/mp4")
    assert failed == 3
    assert done.sha256 == hashlib.sha256(bytes(5 << 20)).hexdigest()


async def test_a_bucket_that_is_not_there_is_an_error_that_names_it(archive: GcsArchive) -> None:
    nowhere = GcsArchive("no-such-bucket")
    with pytest.raises(ArchiveError, match="h1/a in no-such-bucket: NotFound"):
        await nowhere.put("h1/a", one(b"data"), content_type="video/mp4")
    assert await nowhere.find("h1/a") is None
    await nowhere.close()


async def test_nothing_is_asked_but_what_was_meant(archive: GcsArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client would also read the bucket's metadata, in a thread of its own: the account may not, and a thread may outlive close()."""
    monkeypatch.delenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", raising=False)
    read: list[str] = []
    monkeypatch.setattr(storage.Client, "get_bucket", lambda _self, name, **_: read.append(name))
    before = set(threading.enumerate())
    await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    await archive.delete("h1/")
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("gcs-archive"):
            thread.join(10)
    assert read == []


async def test_a_sha256_that_is_on_the_object_is_not_measured_again(archive: GcsArchive, bucket: str) -> None:
    def leave() -> None:
        blob = storage.Client().bucket(bucket).blob("h1/a")
        blob.metadata = {"sha256": "0" * 64}
        blob.upload_from_string(b"data")

    await asyncio.to_thread(leave)
    found = await archive.find("h1/a")
    assert found is not None
    assert (found.size, found.sha256) == (4, "0" * 64)


async def test_a_source_that_is_cancelled_leaves_no_object_and_is_an_error_of_the_archive(archive: GcsArchive) -> None:
    async def cancelled() -> AsyncIterator[bytes]:
        yield b"data"
        raise asyncio.CancelledError

    with pytest.raises(ArchiveError, match="the upload of h1/a was abandoned"):
        await archive.put("h1/a", cancelled(), content_type="video/mp4")
    assert await archive.find("h1/a") is None


async def test_what_is_abandoned_between_two_chunks_reads_no_further() -> None:
    """`put` was cancelled while the thread sent a chunk: nothing was being read that could be cancelled, too."""
    pulled = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"data"

    source = _Source(chunks(), asyncio.get_running_loop())
    assert await asyncio.to_thread(source.read, 4) == b"data"
    source.abandon()
    with pytest.raises(_SourceFailed):
        await asyncio.to_thread(source.read, 4)
    assert pulled == 1


async def test_it_works_in_threads_of_its_own_which_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    archive = GcsArchive("own-threads")
    monkeypatch.setattr(archive, "_exists", lambda _: names.append(threading.current_thread().name) or True)
    for _ in range(2):
        with pytest.raises(AlreadyArchived):
            await archive.put("h1/a", one(b"data"), content_type="video/mp4")
        mine = [thread for thread in threading.enumerate() if thread.name == names[-1]]
        await archive.close()
        for thread in mine:
            thread.join(10)
            assert not thread.is_alive()
    assert names == ["gcs-archive_0", "gcs-archive_0"]


async def test_a_close_waits_for_no_copy_and_leaves_no_thread_to_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    archive, busy, gate = GcsArchive("b-1"), threading.Event(), threading.Event()
    monkeypatch.setattr(archive, "_find", lambda _: busy.set() or (gate.wait(5) and None))
    looking = asyncio.ensure_future(archive.find("h1/a"))
    assert await asyncio.to_thread(busy.wait, 5)
    threads = archive._threads
    assert threads is not None
    began = time.monotonic()
    await archive.close()
    assert time.monotonic() - began < 2
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(print)
    gate.set()
    assert await looking is None


async def test_what_is_abandoned_pulls_no_chunk_in_whatever_order_it_happens() -> None:
    """The thread may have asked for a chunk before `abandon`, or may ask after the loop has ended."""

    async def chunks() -> AsyncIterator[bytes]:
        raise AssertionError("was pulled")
        yield b""

    source = _Source(chunks(), asyncio.get_running_loop())
    source.abandon()
    with pytest.raises(asyncio.CancelledError):
        await source._next()
    ended = asyncio.new_event_loop()
    ended.close()
    source = _Source(chunks(), ended)
    source.abandon()
    with pytest.raises(_SourceFailed):
        source.read(4)


async def test_a_source_that_breaks_is_read_no_further() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"ab"
        raise OSError("reset")

    source = _Source(chunks(), asyncio.get_running_loop())
    with pytest.raises(_SourceFailed):
        await asyncio.to_thread(source.read, 4)
    assert isinstance(source.failure, OSError)


async def test_an_error_says_its_kind_and_not_its_text(archive: GcsArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> storage.Blob:
        raise DefaultCredentialsError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_blob", refuse)
        with pytest.raises(ArchiveError, match="DefaultCredentialsError") as raised:
            await archive.find("h1/a")
    assert "secret" not in str(raised.value)


class Versioned:
    """A bucket that keeps old versions, as far as a deletion needs it. fake-gcs-server forgets an old version by itself."""

    def __init__(self, objects: set[tuple[str, int]]) -> None:
        self.objects = objects

    def bucket(self, name: str) -> Versioned:
        return self

    def blob(self, name: str, chunk_size: int) -> Any:
        return SimpleNamespace(bucket=self)

    def list_blobs(self, *, prefix: str, versions: bool = False, timeout: float) -> list[Any]:
        newest: dict[str, int] = {}
        for name, generation in self.objects:
            newest[name] = max(generation, newest.get(name, 0))
        return [
            SimpleNamespace(name=name, generation=generation)
            for name, generation in sorted(self.objects)
            if name.startswith(prefix) and (versions or newest[name] == generation)
        ]

    def delete_blob(self, name: str, *, generation: int | None = None, timeout: float) -> None:
        if (name, generation) not in self.objects:
            raise NotFound(name)
        self.objects.remove((name, generation))  # ty: ignore[invalid-argument-type]

    def close(self) -> None: ...


async def test_a_deletion_leaves_no_old_version_and_touches_no_name_that_only_begins_alike() -> None:
    bucket = Versioned({("h1/a", 1), ("h1/a", 2), ("h1/b", 3), ("h10/a", 4), ("h1", 5), ("xh1/a", 6)})
    archive = GcsArchive("versioned")
    archive._client = bucket  # ty: ignore[invalid-assignment]
    assert await archive.delete("h1/") == 2
    assert bucket.objects == {("h10/a", 4), ("h1", 5), ("xh1/a", 6)}
    await archive.close()


async def test_a_version_that_somebody_else_deleted_is_no_error() -> None:
    bucket = Versioned({("h1/a", 1), ("h1/a", 2)})
    listed = bucket.list_blobs

    def meanwhile(**given: Any) -> list[Any]:
        found = listed(**given)
        bucket.objects.discard(("h1/a", 1))
        return found

    bucket.list_blobs = meanwhile
    archive = GcsArchive("versioned")
    archive._client = bucket  # ty: ignore[invalid-assignment]
    assert await archive.delete("h1/") == 1
    assert bucket.objects == set()
    await archive.close()


class Blob:
    """One object of a bucket that keeps what it is asked: (call, its keywords). `failure`: what every call raises."""

    def __init__(self, *, there: bool = True, metadata: dict[str, str] | None = None, failure: Exception | None = None) -> None:
        self.there, self.metadata, self.failure = there, metadata, failure
        self.size: int | None = None
        self.content = io.BytesIO(b"data")
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def note(self, call: str, given: dict[str, Any]) -> None:
        self.calls.append((call, given))
        if self.failure is not None:
            raise self.failure

    def bucket(self, name: str) -> Blob:
        self.calls.append(("bucket", {"name": name}))
        return self

    def blob(self, name: str, **given: Any) -> Blob:
        self.calls.append(("blob", {"name": name, **given}))
        return self

    def exists(self, **given: Any) -> bool:
        self.note("exists", given)
        return self.there

    def reload(self, **given: Any) -> None:
        self.note("reload", given)
        self.size = 4

    def open(self, mode: str, **given: Any) -> io.BytesIO:
        self.note("open", {"mode": mode, **given})
        return self.content

    def patch(self, **given: Any) -> None:
        self.note("patch", given)

    def upload_from_file(self, source: Any, **given: Any) -> None:
        self.note("upload_from_file", given)
        self.size = len(source.read(100))

    def close(self) -> None:
        self.calls.append(("close", {}))


Over = Callable[[Any], GcsArchive]


@pytest.fixture
async def over() -> AsyncGenerator[Over]:
    """An archive over this client; closed at the end."""
    archives: list[GcsArchive] = []

    def make(client: Any) -> GcsArchive:
        archives.append(GcsArchive("b-1"))
        archives[-1]._client = client
        return archives[-1]

    yield make
    for archive in archives:
        await archive.close()


PLACE = [("bucket", {"name": "b-1"}), ("blob", {"name": "h1/a", "chunk_size": 4 << 20})]
DATA = hashlib.sha256(b"data").hexdigest()


@pytest.mark.parametrize("name", ["../a", "/h1/a", "h1//a", ""])
async def test_a_name_that_is_none_reaches_no_bucket(over: Over, name: str) -> None:
    blob = Blob()
    archive = over(blob)
    with pytest.raises(ArchiveError, match="name is made of"):
        await archive.put(name, one(b"data"), content_type="video/mp4")
    with pytest.raises(ArchiveError, match="name is made of"):
        await archive.find(name)
    with pytest.raises(ArchiveError, match="a prefix ends in /"):
        await archive.delete(name)
    assert blob.calls == []


async def test_every_request_of_an_upload_has_a_minute(over: Over) -> None:
    blob = Blob(there=False)
    archive = over(blob)
    assert await archive.put("h1/a", one(b"data"), content_type="video/mp4") == Archived("h1/a", "gs://b-1/h1/a", 4, DATA)
    upload = {"content_type": "video/mp4", "if_generation_match": 0, "timeout": 60.0}
    calls = [("exists", {"timeout": 60.0}), *PLACE, ("upload_from_file", upload), ("patch", {"timeout": 60.0})]
    assert blob.calls == [*PLACE, *calls]
    assert blob.metadata == {"sha256": DATA}
    await archive.close()
    assert blob.calls[-1] == ("close", {})


async def test_every_request_of_a_look_has_a_minute(over: Over) -> None:
    measured, known, absent = Blob(), Blob(metadata={"sha256": "0" * 64}), Blob(there=False)
    asked, reload = [*PLACE, ("exists", {"timeout": 60.0})], ("reload", {"timeout": 60.0})
    assert await over(absent).find("h1/a") is None
    assert absent.calls == asked
    assert await over(known).find("h1/a") == Archived("h1/a", "gs://b-1/h1/a", 4, "0" * 64)
    assert known.calls == [*asked, reload]
    assert await over(measured).find("h1/a") == Archived("h1/a", "gs://b-1/h1/a", 4, DATA)
    opened = ("open", {"mode": "rb", "chunk_size": 4 << 20, "timeout": 60.0})
    assert measured.calls == [*asked, reload, opened, ("patch", {"timeout": 60.0})]
    assert measured.metadata == {"sha256": DATA}
    assert measured.content.closed


async def test_every_request_of_a_deletion_has_a_minute(over: Over) -> None:
    bucket, seen = Versioned({("h1/a", 1)}), []
    listed, deleted = bucket.list_blobs, bucket.delete_blob
    bucket.list_blobs = lambda **given: seen.append(given) or listed(**given)
    bucket.delete_blob = lambda name, **given: seen.append({"name": name, **given}) or deleted(name, **given)
    assert await over(bucket).delete("h1/") == 1
    assert seen == [{"prefix": "h1/", "versions": True, "timeout": 60.0}, {"name": "h1/a", "generation": 1, "timeout": 60.0}]


async def test_an_object_of_which_no_size_is_told_has_none(over: Over) -> None:
    blob = Blob(metadata={"sha256": "0" * 64})
    blob.reload = lambda **_: None
    assert await over(blob).find("h1/a") == Archived("h1/a", "gs://b-1/h1/a", 0, "0" * 64)
    sent = Blob(there=False)
    sent.upload_from_file = lambda source, **_: source.read(100) and None
    assert await over(sent).put("h1/a", one(b"data"), content_type="video/mp4") == Archived("h1/a", "gs://b-1/h1/a", 0, DATA)


COULD_NOT = "Cloud Storage could not serve h1/a in b-1: "
FAILURES = [
    (
        exceptions.Forbidden("secret"),
        ArchiveError,
        COULD_NOT + "Forbidden; grant the service account storage.objects.create on the archive",
    ),
    (exceptions.NotFound("secret"), ArchiveError, COULD_NOT + "NotFound"),
    (requests.ConnectionError("secret"), ArchiveError, COULD_NOT + "ConnectionError"),
    (DefaultCredentialsError("secret"), ArchiveError, COULD_NOT + "DefaultCredentialsError"),
    (InvalidResponse(requests.Response(), "secret"), ArchiveError, COULD_NOT + "InvalidResponse"),
    (
        DataCorruption(requests.Response(), "secret"),
        ChecksumMismatch,
        "h1/a did not arrive in b-1 as it was sent; what arrived was deleted",
    ),
]


@pytest.mark.parametrize(("failure", "kind", "text"), FAILURES, ids=[type(failure).__name__ for failure, _, _ in FAILURES])
async def test_a_failure_says_what_to_do_and_repeats_nothing(over: Over, failure: Exception, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as raised:
        await over(Blob(failure=failure)).find("h1/a")
    assert type(raised.value) is kind
    assert str(raised.value).startswith(text)
    assert len(str(raised.value)) == len(text) or isinstance(failure, exceptions.Forbidden)
    assert raised.value.__cause__ is failure


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_there_already_is_told_apart(over: Over, known: bool) -> None:
    """Before the upload, or by its condition, where two did it at once."""
    blob = Blob(there=known)
    blob.upload_from_file = lambda *_, **__: blob.note("upload", {}) or raise_(exceptions.PreconditionFailed("secret"))
    with pytest.raises(AlreadyArchived, match=r"^h1/a is in the archive already$"):
        await over(blob).put("h1/a", one(b"data"), content_type="video/mp4")
    assert ("upload" in [call for call, _ in blob.calls]) is not known


def raise_(error: Exception) -> None:
    raise error


async def test_a_source_counts_what_it_gave_and_gives_as_much_as_is_asked() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"ab", b"", b"cdefg", b"h"):
            yield chunk

    source = _Source(chunks(), asyncio.get_running_loop())
    read = lambda size: asyncio.to_thread(source.read, size)  # noqa: E731
    assert (source.tell(), source.sha256) == (0, hashlib.sha256().hexdigest())
    assert [await read(3), source.tell(), await read(3), source.tell(), await read(9), source.tell()] == [b"abc", 3, b"def", 6, b"gh", 8]
    assert [await read(3), source.tell()] == [b"", 8]
    assert source.sha256 == hashlib.sha256(b"abcdefgh").hexdigest()


async def test_four_copies_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    archive, together, most, lock = GcsArchive("b-1"), 0, 0, threading.Lock()
    gate = threading.Event()

    def find(_: str) -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
            if together == 4:
                gate.set()
        gate.wait(5)
        time.sleep(0.05)
        with lock:
            together -= 1

    monkeypatch.setattr(archive, "_find", find)
    await asyncio.gather(*(archive.find("h1/a") for _ in range(6)))
    assert most == 4
    await archive.close()
