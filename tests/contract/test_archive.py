"""What every archive promises (ports.Archive): on files, and on Cloud Storage as fake-gcs-server plays it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from tests.fake_gcs import make_bucket

from rtms_relay.adapters.archive_files import FileArchive
from rtms_relay.adapters.archive_gcs import GcsArchive
from rtms_relay.errors import AlreadyArchived, ArchiveError, ChecksumMismatch
from rtms_relay.ports import Archive

MIB = 1 << 20


class Archives:
    """An archive under test, and a look at what it holds without its help."""

    def __init__(self, archive: Archive, names: Callable[[], set[str]], tamper: Callable[[], None]) -> None:
        self.archive = archive
        self.names = names
        self.tamper = tamper


@pytest.fixture(params=["files", "gcs"])
async def archives(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Archives, None]:
    if request.param == "files":
        files = FileArchive(tmp_path / "archive")
        opened = Archives(files, lambda: files_under(tmp_path / "archive"), lambda: tamper_with_files(tmp_path / "archive"))
    else:
        server: str = request.getfixturevalue("gcs_server")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
        bucket = await asyncio.to_thread(make_bucket, server, "recordings")
        gcs = GcsArchive(bucket)
        opened = Archives(gcs, lambda: objects_in(server, bucket), lambda: tamper_with_requests(gcs))
    yield opened
    await opened.archive.close()


@pytest.fixture
def archive(archives: Archives) -> Archive:
    return archives.archive


def files_under(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def objects_in(server: str, bucket: str) -> set[str]:
    listed = requests.get(f"{server}/storage/v1/b/{bucket}/o", timeout=10).json()
    return {item["name"] for item in listed.get("items", [])}


def tamper_with_files(directory: Path) -> None:
    """Change a byte of what has been written so far of the unfinished file."""
    (partial,) = directory.rglob("*~part")
    with partial.open("r+b") as file:
        file.write(b"!")


def mount(archive: GcsArchive, adapter: HTTPAdapter) -> None:
    """Send what follows through this adapter, and close the connections of the one before: the client closes only what is mounted."""
    assert archive._client is not None
    archive._client._http.get_adapter("http://").close()
    archive._client._http.mount("http://", adapter)


def tamper_with_requests(archive: GcsArchive) -> None:
    """Change a byte of the next chunk on its way."""

    class Tampering(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            if request.method == "PUT" and isinstance(request.body, bytes) and request.body:
                request.body = b"!" + request.body[1:]
            return super().send(request, *args, **kwargs)

    mount(archive, Tampering())


def check_the_condition_at_the_end_too(archive: GcsArchive, exists: Callable[[], bool]) -> None:
    """Cloud Storage checks `ifGenerationMatch` when an upload is completed; fake-gcs-server does so only when it begins."""
    one_at_a_time = threading.Lock()

    class Strict(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            last = request.method == "PUT" and not str(request.headers.get("content-range", "/*")).endswith("/*")
            with one_at_a_time:
                if not last or not exists():
                    return super().send(request, *args, **kwargs)
            refused = requests.Response()
            refused.status_code, refused.url, refused.request = 412, str(request.url), request
            return refused

    mount(archive, Strict())


async def chunks_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def put(archive: Archive, name: str, *parts: bytes) -> Any:
    return await archive.put(name, chunks_of(*parts), content_type="video/mp4")


async def test_what_is_put_is_found_with_its_size_and_sha256(archives: Archives) -> None:
    data = [b"first ", b"", b"second"]
    done = await put(archives.archive, "h1/r1/video_mixed.mp4", *data)
    assert done.name == "h1/r1/video_mixed.mp4"
    assert done.size == 12
    assert done.sha256 == hashlib.sha256(b"first second").hexdigest()
    assert done.url.startswith(("file:///", "gs://recordings-"))
    assert done.url.endswith("/h1/r1/video_mixed.mp4")
    assert await archives.archive.find("h1/r1/video_mixed.mp4") == done
    assert archives.names() == {"h1/r1/video_mixed.mp4"}


async def test_what_was_never_put_is_not_found(archive: Archive) -> None:
    assert await archive.find("h1/r1/audio.mp3") is None


async def test_nothing_is_an_object_too(archive: Archive) -> None:
    done = await put(archive, "h1/empty")
    assert (done.size, done.sha256) == (0, hashlib.sha256().hexdigest())
    assert await archive.find("h1/empty") == done


@pytest.mark.parametrize("size", [1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB])
async def test_sizes_around_the_length_of_a_chunk(archive: Archive, size: int) -> None:
    data = os.urandom(size)
    done = await put(archive, "h1/data", *(data[start : start + 700_001] for start in range(0, size, 700_001)))
    assert (done.size, done.sha256) == (size, hashlib.sha256(data).hexdigest())


async def test_an_object_is_written_once(archives: Archives) -> None:
    first = await put(archives.archive, "h1/a", b"first")
    asked = False

    async def second() -> AsyncIterator[bytes]:
        nonlocal asked
        asked = True
        yield b"second"

    with pytest.raises(AlreadyArchived):
        await archives.archive.put("h1/a", second(), content_type="text/plain")
    assert not asked  # nothing is downloaded in vain
    assert await archives.archive.find("h1/a") == first


async def test_of_two_puts_at_once_one_wins_and_its_bytes_stay(archives: Archives) -> None:
    both_began = asyncio.Barrier(2)
    assert await archives.archive.find("h1/a") is None
    if isinstance(archives.archive, GcsArchive):
        check_the_condition_at_the_end_too(archives.archive, lambda: "h1/a" in archives.names())

    async def slow(data: bytes) -> AsyncIterator[bytes]:
        yield data
        await both_began.wait()
        yield data

    outcomes = await asyncio.gather(
        *(archives.archive.put("h1/a", slow(data), content_type="text/plain") for data in (b"one", b"two")), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    assert sum(isinstance(outcome, AlreadyArchived) for outcome in outcomes) == 1
    assert await archives.archive.find("h1/a") == won[0]
    assert archives.names() == {"h1/a"}


async def test_nothing_is_visible_before_all_is_there(archives: Archives) -> None:
    seen: list[object] = []

    async def watched() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(5 * MIB)
            seen.append(await archives.archive.find("h1/a"))

    await archives.archive.put("h1/a", watched(), content_type="video/mp4")
    assert seen == [None, None, None]
    assert await archives.archive.find("h1/a") is not None


class Broken(Exception):
    """What the source raises."""


@pytest.mark.parametrize("kind", [Broken, ConnectionError, TimeoutError, OSError, ValueError])
async def test_a_source_that_fails_leaves_nothing_and_its_error_passes_through(archives: Archives, kind: type[Exception]) -> None:
    error = kind(5, "I/O")

    async def failing() -> AsyncIterator[bytes]:
        yield bytes(9 * MIB)
        yield b"tail"
        raise error

    with pytest.raises(kind) as raised:
        await archives.archive.put("h1/a", failing(), content_type="video/mp4")
    assert raised.value is error
    assert archives.names() == set()
    assert await archives.archive.find("h1/a") is None
    await put(archives.archive, "h1/a", b"second try")  # and the next try starts afresh
    assert archives.names() == {"h1/a"}


async def test_a_put_that_is_cancelled_leaves_nothing_and_stops_its_source(archives: Archives) -> None:
    waiting, stopped = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield bytes(5 * MIB)
            waiting.set()
            await asyncio.Event().wait()
        finally:
            stopped.set()

    putting = asyncio.ensure_future(archives.archive.put("h1/a", endless(), content_type="video/mp4"))
    await waiting.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    async with asyncio.timeout(10):
        await stopped.wait()
    await asyncio.sleep(0.1)
    assert archives.names() == set()
    await put(archives.archive, "h1/a", b"second try")


async def test_bytes_that_change_on_their_way_are_noticed_and_not_kept(archives: Archives) -> None:
    await archives.archive.find("h1/a")  # connects

    async def tampered() -> AsyncIterator[bytes]:
        yield bytes(5 * MIB)
        archives.tamper()
        yield b"tail"

    with pytest.raises(ChecksumMismatch):
        await archives.archive.put("h1/a", tampered(), content_type="video/mp4")
    assert archives.names() == set()


async def test_delete_removes_what_begins_with_the_prefix_and_can_be_repeated(archives: Archives) -> None:
    for name in ("h1/r1/a", "h1/r1/b", "h1/r2/a", "h10/r1/a", "h1-x"):
        await put(archives.archive, name, b"data")
    assert await archives.archive.delete("h1/r1/") == 2
    assert archives.names() == {"h1/r2/a", "h10/r1/a", "h1-x"}
    assert await archives.archive.delete("h1/r1/") == 0
    assert await archives.archive.delete("h1/") == 1
    assert await archives.archive.delete("never/") == 0
    assert archives.names() == {"h10/r1/a", "h1-x"}
    await put(archives.archive, "h1/r1/a", b"again")
    assert await archives.archive.find("h1/r1/a") is not None


BAD_NAMES = [
    "",
    "/",
    "a//b",
    "/a",
    "a/",
    "../a",
    "a/../b",
    "a/./b",
    ".",
    "..",
    "...",
    "a/...",
    "a b",
    "a\nb",
    "ä",
    "a~part",
    "a\\b",
    "a/%2e%2e",
    "\0",
    "x" * 201,
    "a/" * 600 + "a",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: repr(name[:12]))
async def test_names_that_could_lead_elsewhere_are_refused(archives: Archives, name: str) -> None:
    with pytest.raises(ArchiveError):
        await put(archives.archive, name, b"data")
    with pytest.raises(ArchiveError):
        await archives.archive.find(name)
    with pytest.raises(ArchiveError):
        await archives.archive.delete(f"{name}/")
    assert archives.names() == set()


@pytest.mark.parametrize("prefix", ["", "h1", "h1/r"])
async def test_a_prefix_that_is_half_a_part_is_refused(archives: Archives, prefix: str) -> None:
    await put(archives.archive, "h1/r1/a", b"data")
    with pytest.raises(ArchiveError):
        await archives.archive.delete(prefix)
    assert archives.names() == {"h1/r1/a"}


@pytest.mark.parametrize("name", ["a", "A-b_c.9", ".hidden", "a..b", "x" * 200, "h/r/video_mixed.mp4"])
async def test_every_other_name_is_good(archives: Archives, name: str) -> None:
    await put(archives.archive, name, b"data")
    assert archives.names() == {name}


async def test_64_mib_pass_through_in_bounded_memory(archives: Archives) -> None:
    block = os.urandom(64 * 1024)

    async def long() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield block

    await put(archives.archive, "warm/up", b"x")  # imports are not what is measured
    tracemalloc.start()
    try:
        done = await archives.archive.put("h1/long", long(), content_type="video/mp4")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done.size == 64 * MIB
    assert peak < 20 * MIB


async def test_several_puts_at_once_all_arrive(archives: Archives) -> None:
    done = await asyncio.gather(*(put(archives.archive, f"h{number}/a", bytes([number]) * MIB) for number in range(12)))
    assert len({one.sha256 for one in done}) == 12
    assert archives.names() == {f"h{number}/a" for number in range(12)}


async def test_closing_twice_is_harmless_and_further_use_opens_again(archives: Archives) -> None:
    await archives.archive.close()
    await put(archives.archive, "h1/a", b"data")
    await archives.archive.close()
    await archives.archive.close()
    assert await archives.archive.find("h1/a") is not None
