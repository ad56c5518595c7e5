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


async def test_what_is_written_at_once_is_a_mebibyte_or_the_rest() -> None:
    """A hop to another thread for each network read would cost more than the write."""
    mib = 1_048_576

    async def blocks(*sizes: int) -> list[int]:
        async def chunks() -> AsyncIterator[bytes]:
            for size in sizes:
                yield bytes(size)

        return [len(block) async for block in archive_files._blocks(chunks())]

    assert await blocks(mib - 1, 1, 5) == [mib, 5]
    assert await blocks(mib, mib) == [mib, mib]
    assert await blocks(mib - 1, 2) == [mib + 1]
    assert await blocks(mib - 1) == [mib - 1]
    assert await blocks(0, 0) == []


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


class Disk:
    """A look at what was synced: names of directories, and the sizes that files had then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[tuple[str, int | None]] = []
        real = os.fsync

        def fsync(handle: int) -> None:
            path = Path(f"/proc/self/fd/{handle}").readlink()
            self.synced.append((path.name, None if path.is_dir() else path.stat().st_size))
            real(handle)

        monkeypatch.setattr(os, "fsync", fsync)


async def test_what_is_acknowledged_is_on_disk_with_all_the_directories_that_lead_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    archive = FileArchive(tmp_path / "archive")
    await archive.put("h1/r1/a", one(b"data"), content_type="video/mp4")
    names = [name for name, _ in disk.synced]
    # Each new directory is synced in the one above it, then the whole file, then the name that it was given.
    assert names[:3] == [tmp_path.name, "archive", "h1"]
    assert disk.synced[3][1] == 4
    assert names[4:] == ["r1"]
    disk.synced.clear()
    await archive.put("h1/r1/b", one(b"data"), content_type="video/mp4")
    assert [name for name, size in disk.synced if size is None] == ["r1"]


async def test_a_deletion_that_is_acknowledged_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = FileArchive(tmp_path)
    await archive.put("h1/r1/a", one(b"data"), content_type="video/mp4")
    disk = Disk(monkeypatch)
    assert await archive.delete("h1/") == 1
    assert [name for name, _ in disk.synced] == [tmp_path.name]


async def test_no_descriptor_stays_open_whatever_comes_of_a_put(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        raise RuntimeError("the source broke")

    def opened() -> set[str]:
        found = (str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
        return {path for path in found if path.startswith(str(tmp_path))}

    archive = FileArchive(tmp_path)
    await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    with pytest.raises(AlreadyArchived):
        await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    with pytest.raises(RuntimeError):
        await archive.put("h1/b", broken(), content_type="video/mp4")
    await archive.find("h1/a")
    await archive.delete("h1/")
    await archive.close()
    assert opened() == set()
