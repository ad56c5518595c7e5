"""A client of what the worker keeps of hand-offs: lists, one hand-off's story, one more try."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, unquote

from rtms_simulator.kit.worker.http import WorkerHttp, decoded
from rtms_simulator.kit.worker_answers import HandOffList, HandOffRow, HandOffStory, RetryDone, StreamFacts

RETRY_TIMEOUT_S = 60.0
"""The worker waits 20 s for what comes of a retry, and as long as one call to Recall lasts."""

SOME = 50
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_BY_ID = ("meeting", "stream", "mdc")


class HandOffs:
    """The worker at `url`; `token` is an identity token for a deployed one. Every call may raise a WorkerError."""

    def __init__(self, url: str, token: str = "") -> None:
        self._worker = WorkerHttp(url, token)

    async def aclose(self) -> None:
        await self._worker.aclose()

    async def every(self, filters: Mapping[str, str] | None = None) -> AsyncIterator[HandOffRow]:
        """All of them, newest first, page by page. `filters`: query parameters of `GET /handoffs`."""
        async for page in self._worker.pages("/handoffs", filters or {}, HandOffList):
            for row in page.handoffs:
                yield row

    async def stream(self, stream_id: str) -> StreamFacts | None:
        """What is known of a stream by Zoom's id."""
        return (await self._page({"stream": stream_id, "limit": "1"})).stream

    async def matching(self, text: str) -> list[HandOffRow]:
        """The hand-offs that `text` may mean: the beginning of an id, or the whole id of a meeting, stream or MDC. Newest first.

        An id that comes from a URL, encoded once or twice (as Zoom's API takes a UUID with slashes), is found, too.
        """
        rows: dict[str, HandOffRow] = {}
        if _PREFIX.fullmatch(text.lower()):
            page = await self._page({"id": text.lower(), "limit": str(SOME)})
            rows |= {row.id: row for row in page.handoffs}
        for written in dict.fromkeys((text, unquote(text), unquote(unquote(text)))):
            for name in _BY_ID:
                page = await self._page({name: written, "limit": str(SOME)})
                rows |= {row.id: row for row in page.handoffs}
        return sorted(rows.values(), key=lambda row: (row.created_at, row.id), reverse=True)

    async def story(self, key: str) -> HandOffStory:
        return decoded(await self._worker.get(f"/handoffs/{quote(key, safe='')}"), HandOffStory)

    async def retry(self, key: str) -> RetryDone:
        """One more try, or another look for its recording; returns within `RETRY_TIMEOUT_S`."""
        return decoded(await self._worker.post(f"/handoffs/{quote(key, safe='')}/retry", timeout_s=RETRY_TIMEOUT_S), RetryDone)

    async def _page(self, params: Mapping[str, str]) -> HandOffList:
        return decoded(await self._worker.get("/handoffs", params), HandOffList)
