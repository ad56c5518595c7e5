"""A client of the worker's private HTTP surface: what recordings there are, and their bytes.

A download is resumable and all or nothing: bytes go to a hidden part file beside the target, named after what is being downloaded,
and the target appears when every announced byte is there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import httpx

from rtms_simulator.errors import LinkRefusedError, WorkerUnreachableError, words_of
from rtms_simulator.kit.worker.http import WorkerHttp, decoded
from rtms_simulator.kit.worker_answers import HandOffDetail, HandOffPage, HandOffRow
from rtms_simulator.serving.alone import alone

CHUNK = 256 * 1024
SUFFIXES = {"audio/mpeg": ".mp3", "video/mp4": ".mp4", "application/json": ".json", "audio/wav": ".wav", "audio/x-wav": ".wav"}
_TOTAL = re.compile(r"bytes \d+-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class Downloaded:
    """One file on disk. `resumed_at` is how many bytes an earlier try had left behind; `sha256` is of the whole file, lower-case hex."""

    path: Path
    size: int
    sha256: str
    content_type: str
    resumed_at: int


class Recordings:
    """The worker at `url`; `token` is an identity token for a deployed one (`gcloud auth print-identity-token`)."""

    def __init__(self, url: str, token: str = "") -> None:
        self._worker = WorkerHttp(url, token)
        # A pre-signed link carries its own right and refuses any other: no Authorization here.
        self._links = httpx.AsyncClient(trust_env=False, timeout=60.0, follow_redirects=True)

    async def aclose(self) -> None:
        await self._worker.aclose()
        await self._links.aclose()

    async def every(self, filters: Mapping[str, str] | None = None) -> AsyncIterator[HandOffRow]:
        """All of them, newest first, page by page. `filters`: query parameters of `GET /recordings`."""
        async for page in self._worker.pages("/recordings", filters or {}, HandOffPage):
            for row in page.recordings:
                yield row

    async def one(self, key: str) -> HandOffDetail:
        """State and fresh links of one hand-off."""
        return decoded(await self._worker.get(f"/recordings/{quote(key, safe='', errors='surrogateescape')}"), HandOffDetail)

    async def link(self, key: str, artifact: str | None = None) -> str:
        """A fresh pre-signed link."""
        answer = await self._worker.get(
            f"/recordings/{quote(key, safe='', errors='surrogateescape')}/download", {"artifact": artifact} if artifact else {}
        )
        return answer.headers["location"]

    async def download(
        self,
        key: str,
        artifact: str | None,
        target: Path,
        on_progress: Callable[[int, int | None], None] = lambda _have, _total: None,
        *,
        named: bool = True,
    ) -> Downloaded:
        """Bring the bytes to `target`; unless that is how the file is `named`, the ending that fits them is added.

        Calls `on_progress(bytes so far, bytes in all or None)`. A link that its host refuses may have expired: a fresh one is asked for,
        once. Raises WorkerUnreachableError, WorkerRefusedError or LinkRefusedError, and leaves the part file for the next try; OSError
        if `target` cannot be written, or if another download is writing it.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Part.held(part_file(target, key, artifact)) as part:
            try:
                return await self._download(key, artifact, target, part, on_progress, named=named)
            except LinkRefusedError:
                return await self._download(key, artifact, target, part, on_progress, named=named)

    async def _download(
        self, key: str, artifact: str | None, target: Path, part: _Part, on_progress: Callable[[int, int | None], None], *, named: bool
    ) -> Downloaded:
        have = part.size
        headers = {"Range": f"bytes={have}-"} if have else {}
        link = await self.link(key, artifact)
        bytes_read = have
        try:
            async with self._links.stream("GET", link, headers=headers) as answer:
                if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                    # Nothing is missing, or the file is another one now: begin again from the start rather than guess which.
                    part.clear()
                    return await self._download(key, artifact, target, part, on_progress, named=named)
                if answer.status_code == httpx.codes.OK:
                    have = bytes_read = 0
                elif answer.status_code != httpx.codes.PARTIAL_CONTENT:
                    raise LinkRefusedError(answer.status_code, f"{urlsplit(link).hostname} refuses the link, and refused one before it")
                total, content_type = _announced(answer), answer.headers.get("content-type", "")
                async for bytes_read in _written(answer, part, have):
                    on_progress(bytes_read, total)
        except httpx.TransportError as error:
            raise WorkerUnreachableError(f"the download broke off after {bytes_read:,} bytes: {words_of(error)}") from None
        if total is not None and bytes_read != total:
            raise WorkerUnreachableError(f"the download broke off after {bytes_read:,} of {total:,} bytes")
        digest = part.sha256()
        if not named:
            target = target.with_name(target.name + suffix(link, content_type))
        part.become(target)
        return Downloaded(target, bytes_read, digest, content_type, resumed_at=have)


class _Part:
    """The bytes of a download so far: a file that nobody else writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    @contextmanager
    def held(cls, path: Path) -> Generator[_Part]:
        """It is left if it has something for the next try. Raises OSError, also if another download holds it."""
        path.touch()
        with ExitStack() as stack:
            try:
                stack.enter_context(alone(path, waiting=False))
            except BlockingIOError:
                raise OSError(errno.EBUSY, "another download is writing it") from None
            try:
                yield cls(path)
            finally:
                if path.exists() and not path.stat().st_size:
                    path.unlink()

    @property
    def size(self) -> int:
        return self._path.stat().st_size

    def clear(self) -> None:
        os.truncate(self._path, 0)

    def open(self, *, from_the_start: bool) -> BinaryIO:
        return self._path.open("wb" if from_the_start else "ab")

    def sha256(self) -> str:
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def become(self, target: Path) -> None:
        self._path.replace(target)


async def _written(answer: httpx.Response, part: _Part, have: int) -> AsyncIterator[int]:
    """Append an answer's bytes to those that the file has (0: a new file); how many it has, before the first and after each piece."""
    with part.open(from_the_start=not have) as file:
        yield have
        async for chunk in answer.aiter_bytes(CHUNK):
            file.write(chunk)
            have += len(chunk)
            yield have


def suffix(link: str, content_type: str) -> str:
    """A file name's ending: that of the link's own path, or else one for the content type; `.bin` if neither says anything."""
    ending = PurePosixPath(urlsplit(link).path).suffix
    if re.fullmatch(r"\.[a-z0-9]{1,5}", ending):
        return ending
    return SUFFIXES.get(content_type.partition(";")[0].strip().lower(), ".bin")


def part_file(target: Path, key: str, artifact: str | None) -> Path:
    """Where the bytes are kept until all are there: one name for each thing that can be downloaded to `target`."""
    what = hashlib.sha256(f"{key}\n{artifact or ''}".encode()).hexdigest()[:12]
    return target.with_name(f".{target.name}.{what}.part")


def _announced(answer: httpx.Response) -> int | None:
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        match = _TOTAL.fullmatch(answer.headers.get("content-range", ""))
        return int(match[1]) if match else None
    length = answer.headers.get("content-length")
    return int(length) if length is not None and "content-encoding" not in answer.headers else None
