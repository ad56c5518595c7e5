"""The calls of Zoom's own REST API that RTMS needs: the status of the RTMS app in a meeting, and a token for calling it.

`PATCH /v2/live_meetings/{meetingId}/rtms_app/status` (developers.zoom.us, changelog of July 2026): the participant must be on the
invite list and have joined. Errors have Zoom's form `{"code", "message"}`; 2308 and 2310 are documented, the other codes are inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rtms_simulator.scenario import Action
from rtms_simulator.zoom.app import ZoomApp
from rtms_simulator.zoom.meeting.meeting import Meeting
from rtms_simulator.zoom.oauth import GRANTS, LIFE_S, AccessTokens
from rtms_simulator.zoom.rtms.enums import StopReason

REST_PATH = "/v2/live_meetings/{meeting_id:path}/rtms_app/status"
OAUTH_PATH = "/oauth/token"

_ACTIONS: Mapping[str, Action] = {
    "start": Action(0.0, "reallow"),
    "stop": Action(0.0, "stop", data={"stop_reason": int(StopReason.STOP_BC_USER_TRIGGERED)}),
    "pause": Action(0.0, "pause"),
    "resume": Action(0.0, "resume"),
}


class RestServices(Protocol):
    """What the REST API needs of its Zoom."""

    apps: tuple[ZoomApp, ...]
    meetings: dict[int, Meeting]
    tokens: AccessTokens


def rest_routes(services: RestServices) -> list[Route]:
    """The routes, for the control plane's port and for `meeting play`."""

    async def status(request: Request) -> Response:
        return await _rtms_app_status(services, request)

    async def token(request: Request) -> Response:
        return await _token(services, request)

    return [Route(REST_PATH, status, methods=["PATCH"]), Route(OAUTH_PATH, token, methods=["POST"])]


async def _rtms_app_status(services: RestServices, request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or services.tokens.expired(token):
        return _failure(401, 124, "Invalid access token.")
    meeting = _live_meeting(services, request.path_params["meeting_id"])
    if meeting is None:
        return _failure(404, 3001, f"Meeting does not exist: {request.path_params['meeting_id']}.")
    body = _object(await request.body())
    if body is None:
        return _failure(400, 300, "The body is not a JSON object.")
    settings = body.get("settings") or {}
    if not isinstance(settings, dict) or settings.get("client_id") not in {app.client_id for app in services.apps}:
        return _failure(400, 2310, "Failed to perform the RTMS app operation: settings.client_id is no RTMS app of this account.")
    action = _ACTIONS.get(str(body.get("action")))
    if action is None:
        return _failure(400, 300, f"Invalid action {body.get('action')!r:.100} (allowed: {', '.join(_ACTIONS)}).")
    problem = _participant_problem(meeting, settings.get("participant_user_id"), starts=body["action"] == "start")
    if problem is not None:
        return _failure(400, 2308, problem)
    await meeting.act(action)
    return Response(status_code=204)


def _live_meeting(services: RestServices, identifier: str) -> Meeting | None:
    live = [meeting for meeting in services.meetings.values() if meeting.ended_at is None]
    return next((meeting for meeting in live if identifier in (meeting.meeting_id, meeting.entity_id)), None)


def _participant_problem(meeting: Meeting, user_id: object, *, starts: bool) -> str | None:
    """Why this participant may not do it; None if there is none to check."""
    if user_id is None:
        return None
    person = next((person for person in meeting.scenario.people if str(person.user_id) == str(user_id)), None)
    if person is None or person.user_id not in meeting.roster.present:
        return "Not allowed to start RTMS app: the participant is not in the meeting."
    if starts and not person.invited:
        return "Not allowed to start RTMS app: the participant is not an invitee."
    return None


async def _token(services: RestServices, request: Request) -> Response:
    """Zoom's OAuth answer. `grant_type` comes in the query or in the form."""
    app = services.tokens.authenticate(request.headers.get("authorization", ""))
    if app is None:
        return JSONResponse({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}, 401)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    grant = request.query_params.get("grant_type") or form.get("grant_type", [""])[0]
    if grant not in GRANTS:
        reason = f"grant_type is {grant!r:.60} (allowed: {', '.join(GRANTS)})"
        return JSONResponse({"reason": reason, "error": "unsupported_grant_type"}, 400)
    answer = {"access_token": services.tokens.issue(app), "token_type": "bearer", "expires_in": int(LIFE_S) - 1}
    return JSONResponse(answer | {"scope": "rtms:read", "api_url": str(request.base_url).rstrip("/")})


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        body = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None


def _failure(status: int, code: int, message: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status)
