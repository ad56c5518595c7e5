"""The public function's HTTP surface: both vendors' webhooks, the page after Zoom's OAuth, health."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rtms_relay import __version__
from rtms_relay.errors import NotAuthentic
from rtms_relay.intake import Intake
from rtms_relay.ports import Clock, Log
from rtms_relay.routes.http import Done, Surface, as_json, header_pairs, read_json_body

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>App added</title><style>body{font:18px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}</style></head>
<body><h1>The app is added.</h1>
<p>There is nothing more to do on this page; it may be closed.</p>
<p>Meetings are recorded once the app is chosen in Zoom under Settings, Zoom Apps, "Auto-start apps that access shared realtime
meeting content".</p></body></html>
"""


class WebhookRoutes:
    """`surface` answers the requests of one process. `code`: the hash of the deployed code, for /health."""

    def __init__(self, intake: Intake, clock: Clock, log: Log, project: str = "", code: str = "") -> None:
        self._intake = intake
        self._clock = clock
        self._log = log
        self._code = code
        self.surface = Surface(
            [
                ("POST", "/zoom-webhook", self._zoom),
                ("POST", "/recall-webhook", self._recall),
                ("GET", "/oauth-callback/zoom", self._oauth),
                ("GET", "/health", self._health),
            ],
            clock=clock,
            log=log,
            project=project,
            refused_event="delivery_refused",
            refused_notes=_signed,
        )

    async def _zoom(self, request: Request, _: dict[str, str]) -> Done:
        body = await read_json_body(request, self._clock)
        try:
            reply = await self._intake.receive(header_pairs(request), body)
        except NotAuthentic as error:
            # The event's name is not to be trusted here, but an operator wants to know that a validation fails.
            if b"endpoint.url_validation" in body[:4096]:
                self._log("ERROR", "challenge_refused", reason=str(error))
            raise
        if reply.notes.get("outcome") == "challenge":
            return Done(as_json(reply.body), "challenge", reply.notes)
        return Done(as_json(reply.body), "delivery", {**reply.notes, "vendor": "zoom"})

    async def _recall(self, request: Request, _: dict[str, str]) -> Done:
        body = await read_json_body(request, self._clock)
        reply = await self._intake.observe(header_pairs(request), body)
        return Done(as_json(reply.body), "delivery", {**reply.notes, "vendor": "recall"})

    async def _oauth(self, request: Request, _: dict[str, str]) -> Done:
        # The code in the query is not exchanged: this kit needs no user token, so it is neither used nor logged.
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Done(Response(_PAGE, media_type="text/html", headers=headers))

    async def _health(self, request: Request, _: dict[str, str]) -> Done:
        return Done(as_json({"status": "ok", "role": "webhook", "version": __version__, "code": self._code}), event=None)


def _signed(request: Request) -> dict[str, Any]:
    """Whether the request claims to be Zoom's: this separates a wrong Secret Token from the noise of scanners."""
    return {"signed": "x-zm-signature" in request.headers}
