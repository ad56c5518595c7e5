"""Requests to the worker's private HTTP surface: its answers as types, its refusals, and Google's own pages in front of it as errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from rtms_simulator.errors import PlatformRefusedError, WorkerRefusedError, WorkerUnreachableError, words_of


class Page(Protocol):
    """An answer with the cursor of the next one, or none."""

    @property
    def next(self) -> str | None: ...


T = TypeVar("T")
P = TypeVar("P", bound=Page)

PLATFORM: Mapping[int, str] = {
    401: "Google did not accept the identity token: it is missing, expired, or made for another service",
    403: "Google let nobody through to the worker: the caller has no right to call it",
    404: "Google has no service at this address for callers from outside: it is another one, or the worker takes internal traffic only",
    429: "Google had no free instance of the worker",
    500: "the worker did not start, or ended while it answered",
    503: "the worker did not start, or Google cannot reach it now",
}
"""What a page of Google's in front of the worker means (Cloud Run docs, "Troubleshoot Cloud Run issues": 401, 403, 404, 429, 500, 503).

With ingress `internal`, a call from outside is answered 404 in HTML, as if there were no such service."""


class _Refusal(msgspec.Struct, frozen=True):
    """How the worker itself refuses."""

    reason: str


class WorkerHttp:
    """The worker at `url`; `token` is an identity token for a deployed one (`gcloud auth print-identity-token`)."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # No connection is used again: functions-framework closes an idle one after 2 s, perhaps just as it is taken up.
        self._client = httpx.AsyncClient(trust_env=False, timeout=30.0, headers=headers, limits=httpx.Limits(max_keepalive_connections=0))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """Raises WorkerUnreachableError, WorkerRefusedError or PlatformRefusedError."""
        # An argument of a command may be no UTF-8: its bytes are sent as they are.
        query = f"?{urlencode(params, errors='surrogateescape')}" if params else ""
        return await self._send(self._client.build_request("GET", self._url + path + query))

    async def pages(self, path: str, filters: Mapping[str, str], type_: type[P]) -> AsyncIterator[P]:
        """A list of the worker's, page by page. Raises as `get` and `decoded` do."""
        cursor: str | None = ""
        while cursor is not None:
            page = decoded(await self.get(path, {**filters, **({"cursor": cursor} if cursor else {})}), type_)
            yield page
            cursor = page.next or None

    async def post(self, path: str, *, timeout_s: float) -> httpx.Response:
        """Without a body. Raises as `get` does."""
        return await self._send(self._client.build_request("POST", self._url + path, timeout=timeout_s))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._client.send(request)
        except httpx.TransportError as error:
            raise WorkerUnreachableError(f"the worker at {self._url} does not answer: {words_of(error)}") from None
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            raise _refusal(answer)
        return answer


def decoded(answer: httpx.Response, type_: type[T]) -> T:
    """An answer of the worker, strictly. Raises WorkerRefusedError for one that this kit does not know."""
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except msgspec.DecodeError as error:
        raise WorkerRefusedError(answer.status_code, f"the worker answered what this rtmskit does not know ({error})") from None


def _refusal(answer: httpx.Response) -> WorkerRefusedError:
    status = answer.status_code
    try:
        return WorkerRefusedError(status, msgspec.json.decode(answer.content, type=_Refusal).reason)
    except (msgspec.DecodeError, UnicodeDecodeError):
        explanation = PLATFORM.get(status)
    if explanation is not None and (_is_page(answer) or not answer.content):
        return PlatformRefusedError(status, explanation)
    return WorkerRefusedError(status, "something else than the worker answered" if _is_page(answer) else _words(answer))


def _is_page(answer: httpx.Response) -> bool:
    """Whether it is a page for people: Google's front end, a proxy."""
    return "html" in answer.headers.get("content-type", "") or answer.content.lstrip()[:1] == b"<"


def _words(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:200] or answer.reason_phrase
