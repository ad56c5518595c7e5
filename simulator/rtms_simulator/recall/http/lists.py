"""Lists: which objects the query parameters let through, cut into pages with links to the neighbours (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from rtms_simulator.errors import CursorError
from rtms_simulator.recall.http.exchange import ApiRequest, ApiResponse
from rtms_simulator.recall.http.operations import ROOT, Operation
from rtms_simulator.recall.records.times import parse_time
from rtms_simulator.recall.records.workspace import Artifact, RealtimeEndpoint, Recording, page


def metadata_matches(metadata: Mapping[str, str | None], request: ApiRequest) -> bool:
    """Whether every `metadata__KEY=VALUE` of the query holds."""
    return all(metadata.get(name.removeprefix("metadata__")) == value for name, value in request.query if name.startswith("metadata__"))


def recording_matches(recording: Recording, request: ApiRequest) -> bool:
    parameters = request.parameters
    # Made without a bot or an upload, so no id of one ever matches.
    return (
        not parameters.get("bot_id")
        and not parameters.get("desktop_sdk_upload_id")
        and parameters.get("status_code") in (None, "", recording.status.code)
        and _created_matches(recording.created_at, parameters)
        and metadata_matches(recording.metadata, request)
    )


def part_matches(part: Artifact | RealtimeEndpoint, request: ApiRequest) -> bool:
    """For what belongs to a recording."""
    parameters = request.parameters
    return (
        parameters.get("recording_id", "").lower() in ("", part.recording_id)
        and parameters.get("status_code") in (None, "", part.status.code)
        and _created_matches(part.created_at, parameters)
    )


def listed(request: ApiRequest, operation: Operation, objects: Sequence[Any], show: Callable[[Any], Any], *, page_size: int) -> ApiResponse:
    """One page of `objects`, or the 400 of a filter's value, or the 404 of a cursor that no page gave out."""
    parameters = request.parameters
    problems = {
        one.name: [problem]
        for one in operation.filters
        if parameters.get(one.name) and (problem := one.problem(parameters[one.name])) is not None
    }
    if problems:
        return ApiResponse.json(400, problems)
    try:
        items, further, back = page(objects, parameters.get("cursor"), page_size)
    except CursorError as error:
        return ApiResponse.detail(404, "not_found", str(error))

    def address(cursor: str | None) -> str | None:
        if cursor is None:
            return None
        filters = [(name, value) for name, value in request.query if name != "cursor"]
        return f"{request.origin}{ROOT}{operation.path}?{urlencode([*filters, ('cursor', cursor)])}"

    return ApiResponse.json(200, {"next": address(further), "previous": address(back), "results": [show(item) for item in items]})


def _created_matches(created_at: float, parameters: Mapping[str, str]) -> bool:
    try:
        after, before = parameters.get("created_at_after"), parameters.get("created_at_before")
        return (not after or created_at >= parse_time(after)) and (not before or created_at <= parse_time(before))
    except (ValueError, OverflowError):
        return False  # The list's own validation answers 400.
