"""The OpenAPI 3.1 document of what the fake serves, built from the tables that routing and validation use (pure).

It describes the fake. How certain each field, status, parameter and limit is, stands beside it as `x-evidence` (recall/evidence.py).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from typing import Any

from rtms_simulator.recall.evidence import LABELS, LIMITS, PARAMETERS, STATUSES, field_label, request_label
from rtms_simulator.recall.http.limits import WINDOW_S
from rtms_simulator.recall.http.operations import ROOT, Filter, Operation, schema_name
from rtms_simulator.recall.http.schemas.schema import RequestContext, problems
from rtms_simulator.recall.records.workspace import ARTIFACT_KINDS, SHORTCUT_KINDS
from rtms_simulator.recall.switches import RateLimits

_S: dict[str, Any] = {"type": "string"}
_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}


def _null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, *, closed: bool = True) -> dict[str, Any]:
    schema = {"type": "object", "properties": {**required, **(optional or {})}, "required": sorted(required)}
    return {**schema, "additionalProperties": False} if closed else schema


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_LINK = _null({"type": "string", "format": "uri"})
_METADATA = {"type": "object", "additionalProperties": _null(_S)}
_REFERENCE = _object({"id": _UUID, "metadata": _METADATA})


def _status(*codes: str) -> dict[str, Any]:
    code: dict[str, Any] = {"type": "string", "enum": list(codes)} if codes else _S
    return _object({"code": code, "sub_code": _null(_S), "updated_at": _TIME})


def _shortcut(kind: str) -> dict[str, Any]:
    data = {
        "participant_events": _object(
            {f"{stem}_download_url": _LINK for stem in ("participant_events", "speaker_timeline", "participants")}
        ),
        "meeting_metadata": _object({"title": _null(_S), "zoom": _null(_object({"meeting_uuid": _null(_S)}))}),
        "transcript": _object({"download_url": _LINK, "provider_data_download_url": _LINK}),
    }.get(kind, _object({"download_url": _LINK}))
    extra: dict[str, Any] = {}
    if kind.startswith(("audio_", "video_")):
        extra["format"] = {"type": "string", "enum": ["mp4"] if kind.startswith("video") else ["mp3", "raw"]}
    if kind == "transcript":
        extra["provider"] = {"type": "object", "minProperties": 1, "maxProperties": 1}
        extra["diarization"] = _null({"type": "object"})
    status = _status("processing", "done", "failed", "deleted")
    return _object({"id": _UUID, "created_at": _TIME, "status": status, "metadata": _METADATA, "data": data, **extra})


def _page(name: str) -> dict[str, Any]:
    return _object({"next": _LINK, "previous": _LINK, "results": {"type": "array", "items": _ref(name)}})


def _recording_fields() -> dict[str, Any]:
    return {
        "id": _UUID,
        "created_at": _TIME,
        "started_at": _null(_TIME),
        "completed_at": _null(_TIME),
        "expires_at": _null(_TIME),
        "status": _status("processing", "paused", "done", "failed", "deleted"),
        "media_shortcuts": _object({kind: _null(_ref(f"{schema_name(kind)}Shortcut")) for kind in SHORTCUT_KINDS}),
        "metadata": _METADATA,
    }


def _recording() -> dict[str, Any]:
    further = {
        "realtime_endpoints": {"type": "array", "items": _REFERENCE},
        "bot": _null(_REFERENCE),
        "desktop_sdk_upload": _null(_REFERENCE),
    }
    return _object({**_recording_fields(), **further})


def _realtime_endpoint() -> dict[str, Any]:
    return _object(
        {
            "id": _UUID,
            "created_at": _TIME,
            "type": _S,
            "url": _S,
            "events": {"type": "array", "items": _S},
            "status": _status("running", "done", "failed"),
            "metadata": _METADATA,
            "recording": _REFERENCE,
        }
    )


def _mdc() -> dict[str, Any]:
    always = {
        "id": _UUID,
        "created_at": _TIME,
        "status": _status(),
        "recordings": {"type": "array", "items": _ref("EmbeddedRecording")},
        "metadata": _METADATA,
        "recording_config": _null({"type": "object"}),
    }
    by_switch = {
        "zoom_rtms": _null(_object({"meeting_uuid": _S, "rtms_stream_id": _S, "server_urls": _S})),
        "google_meet_media_api": _null(_object({"space_name": _S})),
        "status_changes": {"type": "array", "items": {"type": "object"}},
    }
    return _object(always, by_switch)


def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = {
        "EmbeddedRecording": _object(_recording_fields()),
        "Recording": _recording(),
        "RealtimeEndpoint": _realtime_endpoint(),
        "MeetingDirectConnect": _mdc(),
        "MeetingDirectConnectArray": {"type": "array", "items": _ref("MeetingDirectConnect")},
        "FieldErrors": {"type": "object", "minProperties": 1},
        "Detail": _object({"code": _S, "detail": _S}),
    }
    for kind in ARTIFACT_KINDS:
        shortcut = _shortcut(kind)
        schemas[f"{schema_name(kind)}Shortcut"] = shortcut
        schemas[schema_name(kind)] = _object({**shortcut["properties"], "recording": _REFERENCE})
    for name in ("MeetingDirectConnect", "Recording", "RealtimeEndpoint", *map(schema_name, ARTIFACT_KINDS)):
        schemas[f"{name}Page"] = _page(name)
    return {name: _labelled(schema, partial(field_label, name)) for name, schema in schemas.items()}


def _labelled(schema: Mapping[str, Any], label: Callable[[str], str], path: str = "") -> dict[str, Any]:
    """A copy in which every field carries its `x-evidence`, inside objects, lists and alternatives, too."""
    copy = dict(schema)
    for key in ("anyOf", "oneOf"):
        if key in copy:
            copy[key] = [_labelled(option, label, path) for option in copy[key]]
    if isinstance(copy.get("items"), Mapping):
        copy["items"] = _labelled(copy["items"], label, path)
    if "properties" in copy:
        copy["properties"] = {
            name: _labelled_field(inner, label, f"{path}.{name}" if path else name) for name, inner in copy["properties"].items()
        }
    return copy


def _labelled_field(schema: Mapping[str, Any], label: Callable[[str], str], path: str) -> dict[str, Any]:
    return {**_labelled(schema, label, path), "x-evidence": label(path)}


_RETRY_AFTER = {"Retry-After": {"description": "whole seconds", "required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
_JSON_DETAIL = {"application/json": {"schema": _ref("Detail")}}
_HTML: dict[str, Any] = {"text/html": {"schema": _S}}


def _follow_ups(operation: Operation) -> Iterable[tuple[str, str]]:
    """What may be asked next: (id of an operation that need not exist, expression for its `{id}`)."""
    resource, verb = operation.resource, operation.id.removeprefix(f"{operation.resource}_")
    if verb == "list":
        first = "$response.body#/0/id" if operation.answer and operation.answer.endswith("Array") else "$response.body#/results/0/id"
        yield f"{resource}_retrieve", first
    else:
        yield from _of_the_same(operation, verb)
    if resource == "meeting_direct_connect" and verb != "list":
        yield from ((f"recording_{then}", "$response.body#/recordings/0/id") for then in ("retrieve", "destroy"))
    if operation.id == "recording_retrieve":
        yield from ((f"{kind}_retrieve", f"$response.body#/media_shortcuts/{kind}/id") for kind in SHORTCUT_KINDS)
        yield "realtime_endpoint_retrieve", "$response.body#/realtime_endpoints/0/id"
    elif verb == "retrieve" and resource in ARTIFACT_KINDS:
        yield from ((f"recording_{then}", "$response.body#/recording/id") for then in ("retrieve", "destroy"))


def _of_the_same(operation: Operation, verb: str) -> Iterable[tuple[str, str]]:
    """What may be asked next of what was just made, shown, changed or deleted."""
    own = "$request.path.id" if operation.answer is None else "$response.body#/id"
    if verb == "create_transcript_create":
        return [(f"transcript_{then}", own) for then in ("retrieve", "destroy")]
    return [(f"{operation.resource}_{then}", own) for then in ("retrieve", "partial_update", "destroy", "create_transcript_create")]


def _responses(operation: Operation, known: Container[str]) -> dict[str, Any]:
    links = {then: {"operationId": then, "parameters": {"id": identity}} for then, identity in _follow_ups(operation) if then in known}
    done: dict[str, Any] = {"description": "done"}
    if operation.answer is not None:
        done["content"] = {"application/json": {"schema": _ref(operation.answer)}}
    responses: dict[str, Any] = {
        str(operation.success): {**done, "links": links},
        "401": {
            "description": "no key, a malformed header, a wrong key or another region's",
            "headers": {"WWW-Authenticate": {"required": True, "schema": _S}},
            "content": _JSON_DETAIL,
        },
        "403": {"description": "blocked by the firewall", "content": {**_JSON_DETAIL, **_HTML}},
        "413": {"description": "the body is too large", "content": _JSON_DETAIL},
        "429": {"description": "over the rate limit", "headers": _RETRY_AFTER, "content": _JSON_DETAIL},
    }
    if operation.body is not None or operation.filters or "{id}" in operation.path:
        content = {"application/json": {"schema": _ref("FieldErrors")}}
        responses["400"] = {"description": "a field, a filter or the body is not as it should be", "content": content}
    if "{id}" in operation.path or operation.filters:
        responses["404"] = {"description": "no such object, or no such page", "content": {**_JSON_DETAIL, **_HTML}}
    if operation.method in ("POST", "PATCH"):
        responses["409"] = {"description": "another request with this Idempotency-Key is in flight", "content": _JSON_DETAIL}
        responses["415"] = {"description": "a content type that is not read", "content": _JSON_DETAIL}
    return {status: _labelled_response(status, response) for status, response in sorted(responses.items())}


def _labelled_response(status: str, response: Mapping[str, Any]) -> dict[str, Any]:
    of_status, of_body = STATUSES[status]
    content = {kind: {**media, "x-evidence": of_body} for kind, media in response.get("content", {}).items()}
    return {**response, "x-evidence": of_status, **({"content": content} if content else {})}


def _parameter(filter_: Filter) -> dict[str, Any]:
    """A filter; an empty one counts as absent."""
    schema: dict[str, Any] = dict(_S)
    if filter_.format in ("uuid", "date-time"):
        schema = {"anyOf": [{**_S, "format": filter_.format}, {**_S, "maxLength": 0}]}
    if filter_.choices:
        schema["enum"] = [*filter_.choices, ""]
    return {"name": filter_.name, "in": "query", "required": False, "schema": schema, "x-evidence": PARAMETERS[filter_.name]}


def _described(operation: Operation, known: Container[str], limits: RateLimits) -> dict[str, Any]:
    parameters = [_parameter(filter_) for filter_ in operation.filters]
    if "{id}" in operation.path:
        path_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "x-evidence": PARAMETERS["id"]}
        parameters.insert(0, path_id)
    if operation.method in ("POST", "PATCH"):
        name = "Idempotency-Key"
        parameters.append({"name": name, "in": "header", "required": False, "schema": _S, "x-evidence": PARAMETERS[name]})
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.resource],
        "parameters": parameters,
        "responses": _responses(operation, known),
        "x-rate-limit": {
            "requests": getattr(limits, operation.limit),
            "seconds": WINDOW_S,
            "of": "recording" if operation.limit == "create_transcript" else "workspace",
            "x-evidence": LIMITS[operation.limit],
        },
    }
    if operation.body is not None:
        # No body is an empty object, which is fine where nothing is required.
        empty_will_do = problems(operation.body, {}, RequestContext(operation.id, "")) is None
        schema = _labelled(operation.body.schema(), partial(request_label, operation.id))
        described["requestBody"] = {"required": not empty_will_do, "content": {"application/json": {"schema": schema}}}
    return described


def document(table: Iterable[Operation], *, region: str, version: str, limits: RateLimits) -> dict[str, Any]:
    """The document of a table of operations. A limit that is off is null."""
    paths: dict[str, dict[str, Any]] = {}
    operations = {operation.id: operation for operation in table}
    for operation in operations.values():
        paths.setdefault(f"{ROOT}{operation.path}", {})[operation.method.lower()] = _described(operation, operations, limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Recall.ai Meeting Direct Connect, simulated",
            "version": version,
            "description": f"Region {region}. Lists of recordings also take `metadata__KEY=VALUE`. Every field, parameter, status and "
            f"limit carries `x-evidence`: {', '.join(LABELS)}. They are explained in docs/evidence/README.md.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {"MethodNotAllowed": _labelled_response("405", {"description": "no such method here", "content": _JSON_DETAIL})},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token KEY"}},
        },
        "security": [{"token": []}],
    }
