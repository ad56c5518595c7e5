"""The archive as plain files under one directory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import BinaryIO

from rtms_relay.adapters.disk import make_directories, sync_directory
from rtms_relay.adapters.objects import check_name, check_prefix
from rtms_relay.errors import AlreadyArchived, ArchiveError, ChecksumMismatch
from rtms_relay.ports import Archived

_BLOCK = 1 << 20
_PARTIAL = "~part"
"""How the name of an unfinished file ends. `~` is in no object's name, so it can be mistaken for none."""


class FileArchive:
    """`Archive` in a directory, which is made when first needed.

    An object is written next to its final place, read back and compared, and only then linked to its name: a link fails if the
    name is taken, which makes it write-once even between processes. What is acknowledged is on disk, deletions too. Files are readable
    by their owner only, and have no content type.
    `delete` removes leftovers of a crash with the rest.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    async def put(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> Archived:
        check_name(name)
        path = self._directory / name
        with _explained(name):
            partial, file = await asyncio.to_thread(_begin, path)
        try:
            with file:
                digest, size = hashlib.sha256(), 0
                # The source's own errors pass through, so only the file's are explained.
                async for chunk in _blocks(chunks):
                    digest.update(chunk)
                    size += len(chunk)
                    with _explained(name):
                        await asyncio.to_thread(file.write, chunk)
                with _explained(name):
                    await asyncio.to_thread(_finish, file, partial, path, (size, digest.hexdigest()))
        finally:
            partial.unlink(missing_ok=True)
        return Archived(name, path.as_uri(), size, digest.hexdigest())

    async def find(self, name: str) -> Archived | None:
        check_name(name)
        path = self._directory / name
        with _explained(name):
            if not await asyncio.to_thread(path.is_file):
                return None
            size, digest = await asyncio.to_thread(_measure, path)
        return Archived(name, path.as_uri(), size, digest)

    async def delete(self, prefix: str) -> int:
        check_prefix(prefix)
        with _explained(prefix):
            return await asyncio.to_thread(_remove_tree, self._directory / prefix)

    async def close(self) -> None:
        """Nothing is held open."""


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of about 1 MiB: a thread hop for each network read would cost more than the write."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _begin(path: Path) -> tuple[Path, BinaryIO]:
    if path.exists():
        raise AlreadyArchived(f"{path.name} is in the archive already")
    make_directories(path.parent)
    handle, partial = tempfile.mkstemp(prefix=f"{path.name}.", suffix=_PARTIAL, dir=path.parent)
    return Path(partial), os.fdopen(handle, "wb")


def _finish(file: BinaryIO, partial: Path, path: Path, expected: tuple[int, str]) -> None:
    file.flush()
    os.fsync(file.fileno())
    if _measure(partial) != expected:
        raise ChecksumMismatch(f"{path.name} was not written as it was sent; the disk or somebody else changed it")
    try:
        os.link(partial, path)
    except FileExistsError as error:
        raise AlreadyArchived(f"{path.name} is in the archive already") from error
    sync_directory(path.parent)


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _remove_tree(directory: Path) -> int:
    if not directory.is_dir():
        return 0
    count = sum(1 for path in directory.rglob("*") if path.is_file() and not path.name.endswith(_PARTIAL))
    shutil.rmtree(directory)
    sync_directory(directory.parent)
    return count


@contextlib.contextmanager
def _explained(name: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"the archive's directory could not serve {name}: {error.strerror or error}") from error
