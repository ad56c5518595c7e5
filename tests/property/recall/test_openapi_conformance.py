"""schemathesis against the served OpenAPI document: whatever is sent, no 5xx, no undocumented status, nothing against the schema.

All of schemathesis' checks are on. `use_after_free` only speaks in its stateful phase, which is not run here: it would hold against us
that a deleted recording can still be retrieved as `deleted` with its metadata, which is what Recall documents.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode
from schemathesis.core.result import Ok

from rtms_simulator.clock import Clock
from rtms_simulator.recall import Limits, Recall, RecallSwitches, Story, scripted

KEY = "0123456789abcdef0123456789abcdef01234567"
HEADERS = {"Authorization": f"Token {KEY}"}
# Cases of one operation; those that are cheap to think of make up the number. Each accepted one is sent twice more, with a wrong key and
# without any, by schemathesis itself.
CHEAP, DEAR = 310, 56
FURNISHED = "a meeting that was held"
EVERYTHING = {
    "recording_config": {
        "video_mixed_layout": "gallery_view_v2",
        "realtime_endpoints": [{"type": "webhook", "url": "https://receiver.test/", "events": ["transcript.data"]}],
        "transcript": {"provider": {"meeting_captions": {}}},
        **{key: {} for key in ("audio_mixed_mp3", "audio_mixed_raw", "audio_separate_raw", "video_separate_mp4")},
    }
}
keys = itertools.count()


@pytest.mark.timeout(600)
def test_no_case_of_ten_thousand_gets_an_answer_that_is_not_in_the_document(tmp_path, capsys):
    recall = Recall(
        Clock(1_780_000_000.0, 0),
        api_key=KEY,
        data_dir=tmp_path,
        # Only what is furnished gets a recording: generated real-time endpoints are not to be connected to.
        recorder_factory=scripted(lambda request: Story(joins_after=0.0 if request.meeting_uuid == FURNISHED else None)),
        switches=RecallSwitches(limits=Limits.off(), page_size=3),
        http_transport=httpx.MockTransport(lambda _: httpx.Response(200)),
    )
    statuses: collections.Counter[int] = collections.Counter()
    with asyncio.Runner() as runner:
        runner.run(furnish(recall))
        config = schemathesis.Config.from_dict({"headers": HEADERS})
        document = schemathesis.openapi.from_wsgi("/openapi.json", as_wsgi(recall.app, runner), config=config)
        for found in document.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            # Any text may stand for an id, so where there is nothing else to send, nothing can be against the schema.
            modes = GenerationMode if operation.body or operation.query else [GenerationMode.POSITIVE]
            for mode in modes:
                cheap = mode is GenerationMode.POSITIVE and not operation.body
                hold(operation, mode, CHEAP if cheap else DEAR, held(recall, operation.path), statuses)
        runner.run(recall.aclose())
    total = sum(statuses.values())
    with capsys.disabled():
        print(f"\nschemathesis: {total} cases, by status {dict(sorted(statuses.items()))}")
    assert total >= 10_000
    assert {200, 201, 204, 400, 404} <= set(statuses)


def hold(operation: APIOperation, mode: GenerationMode, cases: int, ids: list[str], statuses: collections.Counter[int]) -> None:
    """Send an operation's share of cases. With valid cases, some go to objects that exist."""
    checks = list(HealthCheck)

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=checks, phases=[Phase.generate, Phase.shrink])
    @given(case=operation.as_strategy(mode), real=st.sampled_from([*ids, None]))
    def holds(case: Any, real: str | None) -> None:
        if real is not None and mode is GenerationMode.POSITIVE:
            case.path_parameters["id"] = real
        if "Idempotency-Key" in case.headers:
            # Generated keys repeat, and a repeated key rightly gets an earlier answer, whatever the body now is.
            case.headers["Idempotency-Key"] = f"key {next(keys)}"
        statuses[case.call_and_validate(headers=HEADERS).status_code] += 1

    holds()


async def furnish(recall: Recall) -> None:
    """Two finished recordings with an artifact of every kind."""
    async with httpx.AsyncClient(transport=recall.transport(), base_url="https://us-east-1.recall.ai/api/v1", headers=HEADERS) as client:
        for stream in range(2):
            rtms = {"meeting_uuid": FURNISHED, "rtms_stream_id": str(stream), "server_urls": "wss://x", "signature": "0" * 64}
            made = await client.post("/meeting_direct_connect", json={"zoom_rtms": rtms, **EVERYTHING})
            assert made.status_code == 201
    await recall.drained()


def as_wsgi(app: Any, runner: asyncio.Runner) -> Callable[[dict[str, Any], Any], list[bytes]]:
    """The ASGI app for schemathesis' WSGI client, which needs no thread: at three requests per case that is half the time."""

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        headers = [(name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")]
        headers.append(("content-type", environ.get("CONTENT_TYPE", "")))
        scope = {
            "type": "http",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers if value],
            "client": None,
        }
        body, sent = environ["wsgi.input"].read(), []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        runner.run(app(scope, receive, send))
        start, content = sent
        answered = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        start_response(f"{start['status']} {HTTPStatus(start['status']).phrase}", answered)
        return [content["body"]]

    return wsgi


def held(recall: Recall, path: str) -> list[str]:
    """Ids of objects that a path's `{id}` can name."""
    space, kind = recall.workspace, path.split("/")[3]
    if "{id}" not in path:
        return []
    if path.endswith("/create_transcript/"):
        return [recording.id for recording in space.recordings.values() if recording.status.code == "done"]
    tables = {"meeting_direct_connect": space.mdcs, "recording": space.recordings, "realtime_endpoint": space.endpoints}
    return list(tables.get(kind, {identity: thing for identity, thing in space.artifacts.items() if thing.kind == kind}))
