"""The OpenAPI 3.1 document of the control plane, made from its operations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from rtms_simulator.control.answers import RefusalAnswer
from rtms_simulator.control.operations import PREFIX, ControlOperation

COMMON: Mapping[int, str] = {
    400: "the request cannot be read: the body, a parameter or its type",
    401: "the token is missing or wrong",
    403: "the request comes from another site",
}
WITH_BODY: Mapping[int, str] = {413: "the body is too large", 415: "the body is not JSON"}


def document(operations: Sequence[ControlOperation], version: str) -> dict[str, Any]:
    """The whole document; components hold one schema for each Struct."""
    types: list[type[Struct]] = []
    for operation in operations:
        types += [one for one in (operation.answer, operation.body, operation.query) if one is not None]
    schemas, components = msgspec.json.schema_components([RefusalAnswer, *types], ref_template="#/components/schemas/{name}")
    by_type = dict(zip([RefusalAnswer, *types], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation, by_type, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rtmskit control plane", "version": version, "description": "What a test or a person may look at and change."},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _operation(operation: ControlOperation, schemas: Mapping[type[Struct], Any], components: Mapping[str, Any]) -> dict[str, Any]:
    media = "text/event-stream" if operation.stream else "application/json"
    schema = _event(schemas[operation.answer]) if operation.stream else schemas[operation.answer]
    good = {"description": operation.says, "content": {media: {"schema": schema}}}
    statuses = {**COMMON, **(WITH_BODY if operation.body or operation.upload else {}), **(operation.refuses or {})}
    problem = {"application/json": {"schema": schemas[RefusalAnswer]}}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.says,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation, schemas, components)],
        "responses": {"200": good, **{str(status): {"description": says, "content": problem} for status, says in sorted(statuses.items())}},
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[operation.body]}}}
    if operation.upload:
        binary = {"type": "string", "format": "binary"}
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": binary}}}
    return described


def _event(schema: Mapping[str, Any]) -> dict[str, Any]:
    """One server-sent event: OpenAPI 3.1 has no word for a stream of them, and its readers take the schema for that of each."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    return {"type": "object", "properties": {"event": {"type": "string"}, "data": data}, "required": ["event", "data"]}


def _path_parameters(operation: ControlOperation) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", operation.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names]


def _query_parameters(
    operation: ControlOperation, schemas: Mapping[type[Struct], Any], components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = components[schemas[operation.query]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(one)}
        for name, one in schema["properties"].items()
    ]


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter that is absent is not null in a URL."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**rest, **options[0]} if len(options) == 1 else {**rest, "anyOf": options} if options else rest
