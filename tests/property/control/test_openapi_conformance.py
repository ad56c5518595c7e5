"""schemathesis on the control plane's own OpenAPI document, all checks on: no 5xx, no undocumented status, nothing against the schema.

What is well formed and cannot be done (a fault that does not exist) is 422, which the document says and which is therefore expected.
"""

from __future__ import annotations

import collections
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response

from rtms_simulator.control.answers import ROWS_OF_HAPPENINGS, Happening
from rtms_simulator.control.operations import PREFIX
from rtms_simulator.kit.control.reference import all_operations
from rtms_simulator.testing.sandbox import WebhookSandbox

TOKEN = "a token of this test"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
CASES = 25
CONFIG = {
    "headers": HEADERS,
    "generation": {"with-security-parameters": False},
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 413, 422]}},
}
PATIENT = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
LAST = "POST /_control/reset"
"""It takes away what the others have made."""


@pytest.fixture
def served(tmp_path) -> Generator[tuple[str, Any]]:
    """The control plane of a stack that runs on a thread of its own, and its document."""
    sandbox = WebhookSandbox(tmp_path)
    sandbox._plan = replace(sandbox._plan, control_token=TOKEN, webhook_url="http://127.0.0.1:1/zoom")
    sandbox.start()
    try:
        url = f"{sandbox.stack.described().control_url}/openapi.json"
        yield url, schemathesis.openapi.from_url(url, config=schemathesis.Config.from_dict(CONFIG), headers=HEADERS)
    finally:
        sandbox.close()


@pytest.mark.timeout(300)
def test_no_case_gets_an_answer_that_is_not_in_the_document(served, capsys):
    url, document = served
    statuses: collections.Counter[int] = collections.Counter()
    operations: dict[str, APIOperation] = {}
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operations[f"{found.ok().method.upper()} {found.ok().path}"] = found.ok()
    for name in [*(name for name in operations if name != LAST), LAST]:
        operation = operations[name]
        if name == LAST:
            httpx.post(url.replace("openapi.json", "faults"), json={"fault": "recall.list: 503"}, headers=HEADERS, trust_env=False)
            assert_begins_with(url, {"clock", "meeting", "delivery", "fault"})
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if operation.body or operation.query else [GenerationMode.POSITIVE]
        for mode in modes:
            hold(operation, mode, statuses)
    with capsys.disabled():
        print(f"\nschemathesis: {sum(statuses.values())} cases of {len(operations)} operations: {dict(sorted(statuses.items()))}")
    assert set(operations) == {f"{one.method} {PREFIX}{one.path}" for one in all_operations()}
    assert sum(statuses.values()) >= 20 * len(operations)
    assert {200, 400, 404, 422} <= set(statuses)
    assert_begins_with(url, {"clock"})


def hold(operation: APIOperation, mode: GenerationMode, statuses: collections.Counter[int]) -> None:
    """Send an operation's share of cases."""

    @settings(PATIENT, max_examples=CASES, phases=[Phase.generate, Phase.shrink])
    @given(case=operation.as_strategy(mode))
    def holds(case: Any) -> None:
        if operation.path.endswith("/meetings") and isinstance(case.body, dict):
            case.body = {**case.body, "wait": False}  # a meeting that somebody waits for takes a minute
        response = begun(case) if case.path.endswith("/events") else case.call(headers=HEADERS)
        case.validate_response(response)
        statuses[response.status_code] += 1

    holds()


def begun(case: Any) -> Response:
    """The answer of a stream that does not end, as far as its first event."""
    given = case.as_transport_kwargs(headers=HEADERS)
    with requests.Session() as session, session.request(**given, stream=True, timeout=20) as answer:
        if answer.headers["content-type"].startswith("text/event-stream"):
            answer._content = next(answer.iter_content(65536))
        return Response.from_requests(answer, verify=True)


def assert_begins_with(url: str, kinds: set[str]) -> None:
    """The stream of all that happens has events of these kinds, each of the type that its kind has."""
    left, waiting = set(kinds), b""
    with httpx.stream("GET", url.replace("openapi.json", "events"), headers=HEADERS, trust_env=False, timeout=20) as stream:
        for chunk in stream.iter_bytes():  # not by lines: httpx ends one at U+2028, too
            *events, waiting = (waiting + chunk).split(b"\n\n")
            for event in events:
                happening = msgspec.json.decode(event.partition(b"\ndata: ")[2], type=Happening)
                msgspec.convert(happening.row, ROWS_OF_HAPPENINGS[happening.kind])
                left.discard(happening.kind)
            if not left:
                return
    raise AssertionError(f"nothing of {left}")


def test_the_document_is_served_to_callers_with_the_token_only(served):
    url, _ = served
    assert [httpx.get(url, headers=headers, trust_env=False).status_code for headers in ({}, HEADERS)] == [401, 200]
