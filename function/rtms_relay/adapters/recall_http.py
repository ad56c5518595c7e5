"""Recall.ai's HTTP API over httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import httpx

from rtms_relay.errors import RecallUnavailable
from rtms_relay.ports import Answer, Clock

MAX_BODY = 10_000_000
"""More than any answer of Recall's; the rest is cut off, so that a broken peer cannot fill the memory."""

_CONNECT_S = 5.0
_DOWNLOAD_STALL_S = 60.0


class HttpRecall:
    """`RecallApi` at `base_url` (with the API root, no trailing slash). Every call ends within about `timeout_s` (seconds).

    The client is made on first use, inside the running loop. Redirects are not followed: a POST must not become a GET, and the
    key goes nowhere else. Both calls with a slash at the end, as Recall's reference has them.
    """

    def __init__(
        self, base_url: str, api_key: str, clock: Clock, *, timeout_s: float = 15.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._clock = clock
        self._timeout_s = timeout_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def create(self, body: bytes, idempotency_key: str) -> Answer:
        return await self._call(
            "POST",
            "meeting_direct_connect/",
            content=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": idempotency_key},
        )

    async def retrieve(self, mdc_id: str) -> Answer:
        return await self._call("GET", f"meeting_direct_connect/{quote(mdc_id, safe='')}/")

    async def recording(self, recording_id: str) -> Answer:
        return await self._call("GET", f"recording/{quote(recording_id, safe='')}/")

    async def recordings_with_metadata(self, key: str, value: str, cursor: str | None = None) -> Answer:
        params = {f"metadata__{key}": value} | ({"cursor": cursor} if cursor is not None else {})
        return await self._call("GET", "recording/", params=params)

    async def delete_recording(self, recording_id: str) -> Answer:
        return await self._call("DELETE", f"recording/{quote(recording_id, safe='')}/")

    async def download(self, url: str) -> AsyncIterator[bytes]:
        """Chunks of a pre-signed link; S3 refuses a request with a second credential, so the API key stays at home."""
        timeout = httpx.Timeout(_DOWNLOAD_STALL_S, connect=_CONNECT_S)
        try:
            async with self._http().stream("GET", url, timeout=timeout) as response:
                if response.status_code != 200:
                    raise RecallUnavailable(f"the download answered {response.status_code}")
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.HTTPError as error:
            raise RecallUnavailable(f"the download broke off: {type(error).__name__}") from error

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
        deadline = self._clock.now_ms() + self._timeout_s * 1000
        sent = {"Authorization": f"Token {self._api_key}", "Accept": "application/json", **(headers or {})}
        try:
            async with self._http().stream(method, f"{self._base_url}/{path}", content=content, headers=sent, params=params) as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY or self._clock.now_ms() > deadline:
                        break
                return Answer(response.status_code, body[:MAX_BODY], self._retry_after(response.headers.get("retry-after")))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.PoolTimeout):
            return Answer(0, failure="unreachable")
        except httpx.TimeoutException:
            return Answer(0, failure="timeout")
        except httpx.HTTPError:
            return Answer(0, failure="reset")

    def _retry_after(self, value: str | None) -> float | None:
        """Seconds, or an HTTP date (RFC 9110, 10.2.3); at most an hour. What cannot be read counts as absent."""
        if value is None:
            return None
        if value.isascii() and value.isdigit() and len(value) < 10:
            return min(3600.0, float(value))
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return min(3600.0, max(0.0, (when - datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)).total_seconds()))

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s)),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
                follow_redirects=False,
                transport=self._transport,
                trust_env=False,
            )
        return self._client
