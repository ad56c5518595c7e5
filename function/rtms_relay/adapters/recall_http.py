"""Recall.ai's HTTP API over httpx.

Nothing that a server sends costs more than the limits here: no content-encoding is accepted (a few hundred bytes unpack to
hundreds of megabytes), bytes are counted as they come from the wire, and one time limit holds for a whole call, headers included.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import httpx

from rtms_relay.errors import RecallUnavailable
from rtms_relay.ports import Answer, Clock

MAX_BODY = 10_000_000
"""More bytes than any answer of Recall's has; the rest is cut off, so that a broken peer cannot fill the memory."""

SMALL_BODY = 250_000
LARGE_AT_ONCE = 4
"""Of answers over `SMALL_BODY` bytes so many are read at a time; the others wait, within their own time. A function handles 40 requests at
once, and 40 answers of `MAX_BODY` would not fit its memory."""

MAX_DOWNLOAD = 50_000_000_000
"""Bytes of one artifact. Zoom ends a meeting after 30 hours: this is 3.7 Mbit/s for all of them."""

STALL_S = 60.0
STALL_BYTES = 65_536
"""A download has stalled when `STALL_S` seconds of waiting brought no whole headers, or then fewer than `STALL_BYTES`."""

_CONNECT_S = 5.0
_IDENTITY = {"Accept-Encoding": "identity"}


class HttpRecall:
    """`RecallApi` at `base_url` (with the API root, no trailing slash). Every call ends within `timeout_s` (seconds), whatever comes.

    The client is made on first use, inside the running loop. Redirects are not followed: a POST must not become a GET, and the
    key goes nowhere else. Proxies and .netrc of the environment are not used. Paths end with a slash, as Recall's reference has them.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        clock: Clock,
        *,
        timeout_s: float = 15.0,
        transport: httpx.AsyncBaseTransport | None = None,
        max_download: int = MAX_DOWNLOAD,
        stall_s: float = STALL_S,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._clock = clock
        self._timeout_s = timeout_s
        self._transport = transport
        self._max_download = max_download
        self._stall_s = stall_s
        self._client: httpx.AsyncClient | None = None
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def create(self, body: bytes, idempotency_key: str) -> Answer:
        return await self._call(
            "POST",
            "meeting_direct_connect/",
            content=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": idempotency_key},
        )

    async def retrieve(self, mdc_id: str) -> Answer:
        return await self._call("GET", f"meeting_direct_connect/{_part(mdc_id)}/")

    async def recording(self, recording_id: str) -> Answer:
        return await self._call("GET", f"recording/{_part(recording_id)}/")

    async def recordings_with_metadata(self, key: str, value: str, cursor: str | None = None) -> Answer:
        params = {f"metadata__{key}": value} | ({"cursor": cursor} if cursor is not None else {})
        return await self._call("GET", "recording/", params=params)

    async def delete_recording(self, recording_id: str) -> Answer:
        return await self._call("DELETE", f"recording/{_part(recording_id)}/")

    async def download(self, url: str) -> AsyncIterator[bytes]:
        """Chunks of a pre-signed link. S3 refuses a request with a second credential, so the API key is not sent."""
        try:
            async with contextlib.AsyncExitStack() as opened:
                response = await self._opened(opened, url)
                if response.status_code != 200:
                    raise RecallUnavailable(f"the download answered {response.status_code}")
                if _encoded(response):
                    raise RecallUnavailable("the download came with a content-encoding")
                size = 0
                async for chunk in self._unless_stalled(response.aiter_raw()):
                    size += len(chunk)
                    if size > self._max_download:
                        raise RecallUnavailable(f"the download is over {self._max_download} bytes")
                    yield chunk
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RecallUnavailable(f"the download broke off: {type(error).__name__}") from error

    async def _opened(self, opened: contextlib.AsyncExitStack, url: str) -> httpx.Response:
        """The answer, its headers read, which closes with `opened`. Headers that arrive too slowly count as stalled, like a body."""
        timeout = httpx.Timeout(self._stall_s, connect=_CONNECT_S)
        try:
            async with asyncio.timeout(self._stall_s):
                return await opened.enter_async_context(self._http().stream("GET", _link(url), timeout=timeout, headers=_IDENTITY))
        except TimeoutError:
            raise RecallUnavailable("the download stalled") from None

    async def _unless_stalled(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks. Only time spent waiting for them counts, not what the caller does with them."""
        loop = asyncio.get_running_loop()
        waited, received = 0.0, 0
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(self._stall_s - waited):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise RecallUnavailable("the download stalled") from None
            waited, received = waited + loop.time() - began, received + len(chunk)
            if received >= STALL_BYTES:
                waited, received = 0.0, 0
            yield chunk

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> Answer:
        sent = {"Authorization": f"Token {self._api_key}", "Accept": "application/json", **_IDENTITY, **(headers or {})}
        answer = Answer(0, failure="timeout")
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                contextlib.AsyncExitStack() as large,
                self._http().stream(method, f"{self._base_url}/{path}", content=content, headers=sent, params=params) as response,
            ):
                answer = Answer(response.status_code, retry_after_s=self._retry_after(response.headers.get("retry-after")))
                if not _encoded(response):
                    async for chunk in response.aiter_raw():
                        if len(body) <= SMALL_BODY < len(body) + len(chunk):
                            await large.enter_async_context(self._large)
                        body += chunk
                        if len(body) > MAX_BODY:
                            break
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.PoolTimeout):
            return Answer(0, failure="unreachable")
        except (TimeoutError, httpx.TimeoutException):
            # With its status known, the answer is one: a 201 whose body never ends has made something.
            pass
        except httpx.HTTPError:
            return Answer(0, failure="reset")
        del body[MAX_BODY:]
        return replace(answer, body=bytes(body))

    def _retry_after(self, value: str | None) -> float | None:
        """Seconds, or an HTTP date (RFC 9110, 10.2.3); at most an hour. What cannot be read counts as absent."""
        if value is None:
            return None
        if value.isascii() and value.isdigit():
            return min(3600.0, float(value))
        try:
            when = parsedate_to_datetime(value)
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            return min(3600.0, max(0.0, (when - datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)).total_seconds()))
        except (ValueError, TypeError, OverflowError):
            return None

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s * 0.8)),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
                follow_redirects=False,
                transport=self._transport,
                trust_env=False,
            )
        return self._client


def _part(name: str) -> str:
    """One part of a path: a name of dots only would mean a folder above."""
    return "%2E" * len(name) if set(name) == {"."} else quote(name, safe="")


def _link(url: str) -> httpx.URL:
    """Raises `httpx.InvalidURL`. A port that no socket has would end in an error of the event loop's."""
    parsed = httpx.URL(url)
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise httpx.InvalidURL("no such port")
    return parsed


def _encoded(response: httpx.Response) -> bool:
    return any(coding.strip().lower() not in ("", "identity") for coding in response.headers.get("content-encoding", "").split(","))
