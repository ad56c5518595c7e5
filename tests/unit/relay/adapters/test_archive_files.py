"""What is the file archive's own. What every archive does is in tests/contract."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtms_relay.adapters import archive_files
from rtms_relay.adapters.archive_files import FileArchive
from rtms_relay.errors import AlreadyArchived, ArchiveError

WRITER = """
import asyncio, sys
from pathlib import Path
from rtms_relay.adapters.archive_files import FileArchive

async def endless():
    while True:
        yield bytes(2 << 20)
        print("written", flush=True)

asyncio.run(FileArchive(Path(sys.argv[1])).put("h1/r1/a", endless(), content_type="video/mp4"))
"""


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def under(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


async def test_a_recording_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    done = await FileArchive(tmp_path / "archive").put("h1/a", one(b"data"), content_type="video/mp4")
    path = tmp_path / "archive" / "h1" / "a"
    assert done.url == path.as_uri()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # one look at a local file
    assert path.read_bytes() == b"data"


async def test_what_a_killed_process_left_is_not_an_object_and_is_deleted_with_the_rest(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert writer.stdout is not None
    assert [writer.stdout.readline() for _ in range(2)] == ["written\n"] * 2
    writer.kill()
    writer.wait()
    writer.stdout.close()
    (left,) = under(tmp_path)
    assert left.startswith("h1/r1/a.")
    assert left.endswith("~part")
    archive = FileArchive(tmp_path)
    assert await archive.find("h1/r1/a") is None
    await archive.put("h1/r1/a", one(b"complete"), content_type="video/mp4")
    assert await archive.delete("h1/") == 1
    assert under(tmp_path) == []


async def test_a_full_disk_is_an_error_that_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = archive_files._begin

    def nearly_full(path: Path) -> tuple[Path, object]:
        partial, file = begin(path)
        real_write = file.write

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> None:
                real_write(data[:10])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return partial, Full()

    monkeypatch.setattr(archive_files, "_begin", nearly_full)
    with pytest.raises(ArchiveError, match="could not serve h1/a: No space left on device"):
        await FileArchive(tmp_path).put("h1/a", one(bytes(3 << 20)), content_type="video/mp4")
    assert under(tmp_path) == []


async def test_an_object_in_the_place_of_a_directory_is_an_error(tmp_path: Path) -> None:
    archive = FileArchive(tmp_path)
    await archive.put("h1", one(b"data"), content_type="video/mp4")
    with pytest.raises(ArchiveError):
        await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    with pytest.raises(AlreadyArchived):
        await archive.put("h1", one(b"data"), content_type="video/mp4")


async def test_a_put_into_what_is_being_deleted_does_not_come_back(tmp_path: Path) -> None:
    archive = FileArchive(tmp_path)
    half, deleted = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        half.set()
        await deleted.wait()
        yield b"rest"

    putting = asyncio.ensure_future(archive.put("h1/r1/a", slow(), content_type="video/mp4"))
    await half.wait()
    assert await archive.delete("h1/") == 0
    deleted.set()
    with pytest.raises(ArchiveError):
        await putting
    assert under(tmp_path) == []


async def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = FileArchive(Path("here"))
    monkeypatch.chdir("/")
    await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    assert under(tmp_path) == ["here/h1/a"]
