"""What is Cloud Storage's own. What every archive does is in tests/contract."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
import requests
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage
from requests.adapters import HTTPAdapter
from tests.fake_gcs import make_bucket

from rtms_relay.adapters.archive_gcs import GcsArchive
from rtms_relay.errors import ArchiveError

BUCKET = "gcs-only"


@pytest.fixture(scope="session")
def server_with_bucket(gcs_server: str) -> str:
    make_bucket(gcs_server, BUCKET)
    return gcs_server


@pytest.fixture
async def archive(monkeypatch: pytest.MonkeyPatch, server_with_bucket: str) -> AsyncGenerator[GcsArchive, None]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server_with_bucket)
    opened = GcsArchive(BUCKET)
    yield opened
    await opened.delete("h1/")
    await opened.close()


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def look(name: str) -> storage.Blob:
    blob = storage.Client().bucket(BUCKET).blob(name)
    blob.reload()
    return blob


async def test_the_content_type_and_the_sha256_are_on_the_object(archive: GcsArchive) -> None:
    await archive.put("h1/a", one(b"data"), content_type="video/mp4")
    blob = await asyncio.to_thread(look, "h1/a")
    assert blob.content_type == "video/mp4"
    assert blob.metadata == {"sha256": hashlib.sha256(b"data").hexdigest()}


async def test_an_object_whose_sha256_a_crash_left_out_is_measured_and_mended(archive: GcsArchive) -> None:
    data = bytes(range(256)) * 40_000

    def leave() -> None:
        storage.Client().bucket(BUCKET).blob("h1/a").upload_from_string(data)

    await asyncio.to_thread(leave)
    found = await archive.find("h1/a")
    assert found is not None
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    blob = await asyncio.to_thread(look, "h1/a")
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


async def test_an_error_says_its_kind_and_not_its_text(archive: GcsArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> storage.Blob:
        raise DefaultCredentialsError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_blob", refuse)
        with pytest.raises(ArchiveError, match="DefaultCredentialsError") as raised:
            await archive.find("h1/a")
    assert "secret" not in str(raised.value)
