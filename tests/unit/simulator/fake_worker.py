"""A worker whose link may break off, for the tests of retrieval and of `rtmskit recordings`.

Its answers are those of the real worker (`golden/worker.json`, made by `python -m tests.golden_worker`) with other ids.
"""

import json
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

DATA = bytes(range(256)) * 4096
KEY = "a" * 64
GOLDEN = json.loads((Path(__file__).parent / "golden/worker.json").read_text())


class Worker:
    def __init__(self) -> None:
        self.breaks_after: int | None = None
        self.silently_short = False
        self.refuses_links = 0  # how many of the next ones have expired
        self.ranges: list[str | None] = []
        self.changes: dict[str, object] = {}  # fields of every row that are to be other ones
        self.url = ""
        self.connections: list[int] = []
        self.app = Starlette(
            routes=[
                Route("/handoffs", self.no_handoffs),
                Route("/recordings", self.page),
                Route(f"/recordings/{KEY}/download", self.download),
                Route(f"/recordings/{GOLDEN['one']['id']}", self.one),
                Route("/recordings/{key}", self.missing),
                Route("/bytes", self.serve),
            ]
        )

    async def download(self, request: Request) -> Response:
        return RedirectResponse(str(request.base_url) + "bytes", 302)

    async def no_handoffs(self, _request: Request) -> Response:
        return JSONResponse({"handoffs": [], "next": None, "stream": None})

    async def one(self, _request: Request) -> Response:
        return JSONResponse(GOLDEN["one"] | self.changes)

    async def missing(self, _request: Request) -> Response:
        return JSONResponse(GOLDEN["missing"]["body"], GOLDEN["missing"]["status"])

    async def page(self, request: Request) -> Response:
        assert request.client is not None
        self.connections.append(request.client.port)
        first = "cursor" not in request.query_params
        [row] = GOLDEN["page"]["recordings"]
        return JSONResponse({"recordings": [row | self.changes | {"id": "1" if first else "2"}], "next": "c/2" if first else None})

    async def serve(self, request: Request) -> Response:
        assert "authorization" not in request.headers
        if self.refuses_links > 0:
            self.refuses_links -= 1
            return Response("Request has expired", 403)
        wanted = request.headers.get("range")
        self.ranges.append(wanted)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if begin >= len(DATA):
            return Response(status_code=416)
        rest = DATA[begin:]
        headers = {"content-length": str(len(rest))} | ({"content-range": f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}"} if wanted else {})

        if self.silently_short:
            return Response(rest[:-1], 206, {"content-range": headers["content-range"]})

        async def chunks():
            sent = rest if self.breaks_after is None else rest[: self.breaks_after]
            yield sent
            if len(sent) < len(rest):
                raise ConnectionResetError

        return StreamingResponse(chunks(), 206 if wanted else 200, headers, media_type="audio/x-raw")
