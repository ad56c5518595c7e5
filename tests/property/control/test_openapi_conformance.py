"""schemathesis on the control plane's own OpenAPI document, all checks on: no 5xx, no undocumented status, nothing against the schema.

What is well formed and cannot be done (a fault that does not exist) is 422, which the document says and which is therefore expected.
"""

from __future__ import annotations

import collections
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, GenerationMode
from schemathesis.core.result import Ok

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
LEFT_OUT = ("GET /_control/events", "POST /_control/reset")
"""A stream that never ends; and what would take away what the others have made. Both have tests of their own."""


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
    _, document = served
    statuses: collections.Counter[int] = collections.Counter()
    seen = 0
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        seen += 1
        if f"{operation.method.upper()} {operation.path}" in LEFT_OUT:
            continue
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if operation.body or operation.query else [GenerationMode.POSITIVE]
        for mode in modes:
            hold(operation, mode, statuses)
    with capsys.disabled():
        print(f"\nschemathesis: {sum(statuses.values())} cases of {seen} operations: {dict(sorted(statuses.items()))}")
    assert seen >= 25
    assert sum(statuses.values()) >= 20 * seen
    assert {200, 400, 404, 422} <= set(statuses)


def hold(operation: APIOperation, mode: GenerationMode, statuses: collections.Counter[int]) -> None:
    """Send an operation's share of cases."""

    @settings(PATIENT, max_examples=CASES, phases=[Phase.generate, Phase.shrink])
    @given(case=operation.as_strategy(mode))
    def holds(case: Any) -> None:
        if operation.path.endswith("/meetings") and isinstance(case.body, dict):
            case.body = {**case.body, "wait": False}  # a meeting that somebody waits for takes a minute
        statuses[case.call_and_validate(headers=HEADERS).status_code] += 1

    holds()


def test_the_document_is_served_to_callers_with_the_token_only(served):
    url, _ = served
    assert [httpx.get(url, headers=headers, trust_env=False).status_code for headers in ({}, HEADERS)] == [401, 200]
