"""Every operation of the control plane, found from the code, with a wrong body, type, id, range, parameter, method, token and page.

The cases are made from the operation's own types: whatever the JSON schema of a field forbids is sent, and must be refused in one line.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from rtms_simulator.control.answers import FaultList, RefusalAnswer, SwitchList
from rtms_simulator.control.app import MOST_BODY
from rtms_simulator.control.operations import PREFIX, ControlOperation
from rtms_simulator.kit.control.reference import all_operations
from rtms_simulator.testing.sandbox import WebhookSandbox

TOKEN = "a token of this test"
JSON = {"content-type": "application/json"}
OPERATIONS = {f"{one.method} {one.path}": one for one in all_operations()}
WITH_BODY = [name for name, one in OPERATIONS.items() if one.body is not None]
WITH_QUERY = [name for name, one in OPERATIONS.items() if one.query is not None]
WITH_ID = [name for name, one in OPERATIONS.items() if "{" in one.path]
NO_BODY = [name for name, one in OPERATIONS.items() if one.body is None and not one.upload]

WRONG_VALUES: tuple[Any, ...] = (None, True, -1, 0, 1.5, 10**400, "", "x" * 2001, "nonsense", [], ["x"], [1], {}, {"x": 1})
"""Tried in every field; those that its schema allows are left out."""

STRANGE_IDS = ("99999999", "-1", "0x1", "nonsense", "%00", "%0A", "%FF", "..", "%2e%2e", "*", "x" * 4000, "' OR 1=1", "\u00e9", "1;2")


@pytest.fixture(scope="module")
def control(tmp_path_factory) -> Generator[httpx.Client]:
    sandbox = WebhookSandbox(tmp_path_factory.mktemp("control"))
    sandbox._plan = replace(sandbox._plan, control_token=TOKEN)
    sandbox.start()
    headers = {"authorization": f"Bearer {TOKEN}"}
    try:
        with httpx.Client(base_url=sandbox.stack.described().control_url, headers=headers, trust_env=False, timeout=20) as client:
            client.post("/faults", json={"fault": "recall.list: 503"})
            yield client
    finally:
        sandbox.close()


@pytest.fixture(autouse=True)
def changes_nothing(control) -> Generator[None]:
    before = standing(control)
    yield
    assert standing(control) == before


def standing(control: httpx.Client) -> tuple[Any, ...]:
    """What a call could have changed."""
    state = control.get("/state").json()
    state["clock"] = state["clock"]["rate"]
    armed = msgspec.json.decode(control.get("/faults").content, type=FaultList)
    switches = msgspec.json.decode(control.get("/switches").content, type=SwitchList)
    return state, armed, switches, control.get("/webhooks").json()


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The reason of a refusal with one of these statuses."""
    assert answer.status_code in statuses, (answer.request.method, answer.request.url, answer.request.content[:200], answer.text[:300])
    problem = msgspec.json.decode(answer.content, type=RefusalAnswer)
    assert answer.headers["content-type"] == "application/json"
    assert "access-control-allow-origin" not in answer.headers
    assert problem.reason.isprintable(), problem.reason
    assert problem.error.isidentifier()
    return problem.reason


def address(operation: ControlOperation, identity: str = "1") -> str:
    return operation.path.replace("{id}", identity)


def schema_of(type_: type[msgspec.Struct]) -> dict[str, Any]:
    whole = msgspec.json.schema(type_)
    return whole["$defs"][whole["$ref"].rpartition("/")[2]] | {"$defs": whole["$defs"]}


def least(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """A body with nothing but what is required."""
    schema = schema_of(type_)
    return {name: {} if schema["properties"][name].get("type") == "object" else "x" for name in schema.get("required", ())}


def wrong_bodies(type_: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    """(field, body) of every body that one wrong field makes wrong."""
    schema, good = schema_of(type_), least(type_)
    yield "surplus", good | {"surplus": 1}
    for name in schema.get("required", ()):
        yield name, {key: value for key, value in good.items() if key != name}
    for name, rule in schema["properties"].items():
        check = jsonschema_rs.Draft202012Validator(rule | {"$defs": schema["$defs"]})
        for value in (*WRONG_VALUES, *beyond(rule)):
            if not check.is_valid(value):
                yield name, good | {name: value}


def beyond(rule: Mapping[str, Any]) -> Iterator[Any]:
    """Values just outside of a range, wherever in the rule it stands."""
    for one in (rule, *rule.get("anyOf", ())):
        if "minimum" in one:
            yield one["minimum"] - 1
        if "maximum" in one:
            yield one["maximum"] + 1
        if "maxLength" in one:
            yield "x" * (one["maxLength"] + 1)


def test_the_cases_reach_every_operation():
    assert len(OPERATIONS) >= 34
    assert len(WITH_BODY) >= 11
    assert len(WITH_QUERY) >= 4
    assert len(WITH_ID) >= 11
    assert sum(len(list(wrong_bodies(one.body))) for one in OPERATIONS.values() if one.body is not None) >= 250


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_field_of_a_wrong_type_or_range_is_named(control, name):
    operation = OPERATIONS[name]
    assert operation.body is not None
    for field, body in wrong_bodies(operation.body):
        reason = refused(control.request(operation.method, address(operation), content=json.dumps(body), headers=JSON), 400)
        assert field in reason, (body, reason)


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_that_is_no_object_of_json_is_refused(control, name):
    operation = OPERATIONS[name]
    for content in (b"", b"{", b"[]", b"null", b'"x"', b"1", b"\xff", b"\x00", b"{}{}", b"[" * 100_000, b'{"a": 1, "a": 2}'):
        reason = refused(control.request(operation.method, address(operation), content=content, headers=JSON), 400)
        assert reason.startswith("the body cannot be read: ")
    large = b'{"x": "' + b"x" * MOST_BODY + b'"}'
    refused(control.request(operation.method, address(operation), content=large, headers=JSON), 413)


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_that_is_not_said_to_be_json_is_refused(control, name):
    operation = OPERATIONS[name]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""):
        answer = control.request(operation.method, address(operation), content=b"{}", headers={"content-type": kind})
        assert "application/json" in refused(answer, 415)


@pytest.mark.parametrize("name", NO_BODY)
def test_a_body_where_none_is_taken_is_refused(control, name):
    operation = OPERATIONS[name]
    for content in (b'{"x": 1}', b"[]", b"x"):
        assert "no body" in refused(control.request(operation.method, address(operation), content=content, headers=JSON), 400)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_unknown_parameter_is_named_with_those_that_are_known(control, name):
    operation = OPERATIONS[name]
    known = [one.name for one in msgspec.structs.fields(operation.query)] if operation.query else []
    reason = refused(control.request(operation.method, address(operation), params={"surplus": "1"}), 400)
    assert f"unknown parameter 'surplus' (allowed: {', '.join(known) or 'none'})" in reason
    refused(control.request(operation.method, address(operation), params={"x\ny": "\x1b"}), 400)


@pytest.mark.parametrize("name", WITH_QUERY)
def test_a_parameter_of_a_wrong_type_or_range_is_refused(control, name):
    operation = OPERATIONS[name]
    assert operation.query is not None
    tried = 0
    for field, rule in schema_of(operation.query)["properties"].items():
        refused(control.request(operation.method, f"{address(operation)}?{field}=1&{field}=1"), 400)
        kinds = [one.get("type") for one in (rule, *rule.get("anyOf", ()))]
        numeric = not {"integer", "number"}.isdisjoint(kinds)
        wrong = [*map(str, beyond(rule)), *(("nonsense", "", "1e", "null", "NaN-") if numeric else ())]
        if any("enum" in one or "pattern" in one for one in (rule, *rule.get("anyOf", ()))):
            wrong += ["\x1b[31m", "nonsense/"]
        for value in wrong:
            refused(control.request(operation.method, address(operation), params=required_of(operation) | {field: value}), 400)
            tried += 1
    assert tried >= 1


def required_of(operation: ControlOperation) -> dict[str, str]:
    assert operation.query is not None
    return dict.fromkeys(schema_of(operation.query).get("required", ()), "x")


BODIES = {"POST /meetings/{id}/actions": {"kind": "stop"}}
"""Bodies that are right for operations whose id is wrong."""


@pytest.mark.parametrize("name", WITH_ID)
def test_an_id_that_nothing_has_says_what_there_is(control, name):
    operation = OPERATIONS[name]
    body = BODIES.get(name, least(operation.body) if operation.body else None)
    for identity in STRANGE_IDS:
        given = {} if body is None else {"json": body}
        reason = refused(control.request(operation.method, address(operation, identity), **given), 404, 405)
        assert len(reason) < 6000


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_method_that_the_path_does_not_have_names_those_it_has(control, name):
    operation = OPERATIONS[name]
    allowed = {one.method for one in OPERATIONS.values() if one.path == operation.path}
    others = sorted({"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed)
    assert "PUT" in others
    for method in others:
        answer = control.request(method, address(operation))
        assert operation.method in answer.headers["allow"] + refused(answer, 405)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_caller_without_the_token_and_a_page_on_the_web_get_nothing(control, name):
    operation = OPERATIONS[name]
    for headers, status in (
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"host": "evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ):
        content = json.dumps(least(operation.body)) if operation.body else None
        refused(control.request(operation.method, address(operation), content=content, headers={**JSON, **headers}), status)


def test_a_path_that_is_not_there_names_those_that_are(control):
    for path in ("/nonsense", "/", "/state/x", "//state", "/State"):
        reason = refused(control.get(path), 404)
        assert all(f"{one.method} {PREFIX}{one.path}" in reason for one in OPERATIONS.values())
