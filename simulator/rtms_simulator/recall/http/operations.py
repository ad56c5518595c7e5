"""Every operation the fake serves, as one table: routing, limits, bodies, filters and the OpenAPI document come from it (pure).

Reference A1 and A6. Operation ids follow Recall's own reference pages; they also name the targets of fault scripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rtms_simulator.recall.http.schemas.request_schemas import CREATE_TRANSCRIPT_BODY, PATCH_BODY
from rtms_simulator.recall.http.schemas.schema import Type, is_uuid
from rtms_simulator.recall.records.times import parse_time
from rtms_simulator.recall.records.workspace import ARTIFACT_KINDS

ROOT = "/api/v1"
LimitKind = Literal["create", "listing", "single", "create_transcript"]
RECORDING_CODES = ("done", "failed", "paused", "processing")
ARTIFACT_CODES = ("done", "failed", "processing")
REALTIME_CODES = ("done", "failed", "running")


def _time_problem(text: str) -> str | None:
    try:
        parse_time(text)
    except (ValueError, OverflowError):
        return "Enter a valid date/time."
    return None


def _uuid_problem(text: str) -> str | None:
    return None if is_uuid(text) else "Enter a valid UUID."


@dataclass(frozen=True, slots=True)
class Filter:
    """One query parameter of a list. `problem` gives the 400 sentence for a value that is not allowed."""

    name: str
    format: Literal["uuid", "date-time", "choice", "cursor"]
    choices: tuple[str, ...] = ()

    def problem(self, text: str) -> str | None:
        if self.format == "choice":
            return None if text in self.choices else f'"{text}" is not a valid choice.'
        judge: dict[str, Callable[[str], str | None]] = {"uuid": _uuid_problem, "date-time": _time_problem}
        return judge[self.format](text) if self.format in judge else None


CURSOR = Filter("cursor", "cursor")
_CREATED = (Filter("created_at_after", "date-time"), Filter("created_at_before", "date-time"))


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `answer` names a schema of recall/http/schemas/openapi.py; `body` None means the request has none."""

    id: str
    method: str
    path: str
    summary: str
    limit: LimitKind
    success: int = 200
    answer: str | None = None
    body: Type | None = None
    filters: tuple[Filter, ...] = ()

    @property
    def resource(self) -> str:
        """`recording` of `/recording/{id}/create_transcript/`."""
        return self.path.split("/")[1]

    @property
    def fault_names(self) -> tuple[str, ...]:
        """Names a fault may call it by."""
        short = self.id.removeprefix("meeting_direct_connect_")
        return (self.id,) if short == self.id else (short, self.id)


def _resource(name: str, title: str, answer: str, filters: tuple[Filter, ...], *, deletable: bool = True) -> list[Operation]:
    one, many = f"/{name}/{{id}}/", f"/{name}/"
    rows = [
        Operation(f"{name}_list", "GET", many, f"List {title}s", "listing", answer=f"{answer}Page", filters=filters),
        Operation(f"{name}_retrieve", "GET", one, f"Retrieve a {title}", "single", answer=answer),
        Operation(f"{name}_partial_update", "PATCH", one, f"Replace the metadata of a {title}", "single", answer=answer, body=PATCH_BODY),
    ]
    if deletable:
        rows.append(Operation(f"{name}_destroy", "DELETE", one, f"Delete a {title} and its media", "single", success=204))
    return rows


_OF_RECORDING = (CURSOR, Filter("recording_id", "uuid"), *_CREATED)
_RECORDING_FILTERS = (
    CURSOR,
    Filter("bot_id", "uuid"),
    Filter("desktop_sdk_upload_id", "uuid"),
    *_CREATED,
    Filter("status_code", "choice", RECORDING_CODES),
)
_ARTIFACT_FILTERS = (*_OF_RECORDING, Filter("status_code", "choice", ARTIFACT_CODES))
_ENDPOINT_FILTERS = (
    *_OF_RECORDING,
    Filter("status_code", "choice", REALTIME_CODES),
    Filter("type", "choice", ("rtmp", "websocket", "webhook", "desktop_sdk_callback")),
)
_CREATE_TRANSCRIPT = Operation(
    "recording_create_transcript_create",
    "POST",
    "/recording/{id}/create_transcript/",
    "Create a transcript of a finished recording",
    "create_transcript",
    answer="Transcript",
    body=CREATE_TRANSCRIPT_BODY,
)


def operations(create_body: Type, *, mdc_cursor: bool = True) -> tuple[Operation, ...]:
    """The table. `create_body` and `mdc_cursor` depend on switches."""
    artifacts = [
        operation for kind in ARTIFACT_KINDS for operation in _resource(kind, kind.replace("_", " "), schema_name(kind), _ARTIFACT_FILTERS)
    ]
    return (
        *_mdc_operations(create_body, mdc_cursor=mdc_cursor),
        *_resource("recording", "recording", "Recording", _RECORDING_FILTERS),
        _CREATE_TRANSCRIPT,
        *artifacts,
        *_resource("realtime_endpoint", "real-time endpoint", "RealtimeEndpoint", _ENDPOINT_FILTERS, deletable=False),
    )


def _mdc_operations(create_body: Type, *, mdc_cursor: bool) -> tuple[Operation, ...]:
    name, many, title = "meeting_direct_connect", "/meeting_direct_connect/", "Meeting Direct Connect"
    page, filters = ("MeetingDirectConnectPage", (CURSOR,)) if mdc_cursor else ("MeetingDirectConnectArray", ())
    return (
        Operation(
            f"{name}_create",
            "POST",
            path=many,
            summary=f"Create a {title}",
            limit="create",
            success=201,
            answer="MeetingDirectConnect",
            body=create_body,
        ),
        Operation(f"{name}_list", "GET", many, f"List {title}s", "listing", answer=page, filters=filters),
        Operation(f"{name}_retrieve", "GET", f"{many}{{id}}/", f"Retrieve a {title}", "single", answer="MeetingDirectConnect"),
    )


def schema_name(kind: str) -> str:
    """`video_mixed` -> `VideoMixed`."""
    return "".join(word.capitalize() for word in kind.split("_"))


class Router:
    """Finds the operation of a request. Both slash forms of a path are the same place, without a redirect (docs/evidence/recall.md A1)."""

    def __init__(self, table: tuple[Operation, ...]) -> None:
        self.table = table
        self._by_path: dict[str, dict[str, Operation]] = {}
        for operation in table:
            self._by_path.setdefault(operation.path, {})[operation.method] = operation
        self._patterns = [
            (re.compile(path.rstrip("/").replace("{id}", "([^/]+)") + "/?"), methods) for path, methods in self._by_path.items()
        ]

    def find(self, path: str) -> tuple[dict[str, Operation], str | None] | None:
        """The operations by method at `path` (below /api/v1) and the `{id}` in it; None when nothing is routed there."""
        for pattern, methods in self._patterns:
            if match := pattern.fullmatch(path):
                return methods, match[1] if match.groups() else None
        return None
