"""schemathesis against the served OpenAPI document: whatever is sent, no 5xx, no undocumented status, nothing against the schema.

All of schemathesis' checks are on, also in its stateful phase, which follows the document's links. Where a check contradicts what Recall
says, `documented_otherwise` holds the answer in question, and only that one, to Recall's word instead of the check.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from schemathesis import APIOperation, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.engine.errors import is_inconsistent_replay
from schemathesis.specs.openapi.checks import positive_data_acceptance, use_after_free

from rtms_simulator.clock import Clock
from rtms_simulator.recall import RateLimits, Recall, RecallSwitches, Story, scripted

KEY = "0123456789abcdef0123456789abcdef01234567"
HEADERS = {"Authorization": f"Token {KEY}"}
# Cases of one operation; those that are cheap to think of make up the number. Each accepted one is sent twice more, with a wrong key and
# without any, by schemathesis itself.
CHEAP, DEAR = 300, 56
# Scenarios of the stateful phase, and requests in each.
SCENARIOS, STEPS = 60, 14
FURNISHED = "a meeting that was held"
RECEIVERS = [{"type": "webhook", "url": "https://receiver.test/", "events": ["transcript.data"]}]
EVERYTHING = {
    "recording_config": {
        "video_mixed_layout": "gallery_view_v2",
        "realtime_endpoints": RECEIVERS,
        "transcript": {"provider": {"meeting_captions": {}}},
        **{key: {} for key in ("audio_mixed_mp3", "audio_mixed_raw", "audio_separate_raw", "video_separate_mp4")},
    }
}
PATIENT = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
keys = itertools.count()


@contextlib.contextmanager
def served(data_dir: Path, recorded: Callable[[str], bool], **switches: Any) -> Generator[tuple[Recall, asyncio.Runner, Any]]:
    """A furnished workspace, its event loop and its document. Streams whose meeting_uuid is not `recorded` are never joined."""
    recall = Recall(
        Clock(1_780_000_000.0, 0),
        api_key=KEY,
        data_dir=data_dir,
        recorder_factory=scripted(lambda request: Story(joins_after=0.0 if recorded(request.meeting_uuid) else None)),
        switches=RecallSwitches(limits=RateLimits.off(), page_size=3, **switches),
        http_transport=httpx.MockTransport(lambda _: httpx.Response(200)),
    )
    # The key is given with each request; there is no use in thinking of others.
    config = schemathesis.Config.from_dict({"headers": HEADERS, "generation": {"with-security-parameters": False}})
    with asyncio.Runner() as runner:
        runner.run(furnish(recall))
        yield recall, runner, schemathesis.openapi.from_wsgi("/openapi.json", as_wsgi(recall.app, runner), config=config)
        runner.run(recall.aclose())


@pytest.mark.once
@pytest.mark.timeout(600)
def test_no_case_of_ten_thousand_gets_an_answer_that_is_not_in_the_document(tmp_path, capsys):
    statuses: collections.Counter[int] = collections.Counter()
    # Only what is furnished gets a recording: generated real-time endpoints are not to be connected to.
    with served(tmp_path, lambda meeting: meeting == FURNISHED) as (recall, _, document):
        for found in document.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            # Any text may stand for an id, so where there is nothing else to send, nothing can be against the schema.
            modes = GenerationMode if operation.body or operation.query else [GenerationMode.POSITIVE]
            for mode in modes:
                cheap = mode is GenerationMode.POSITIVE and not operation.body
                hold(operation, mode, CHEAP if cheap else DEAR, held(recall, operation.path), statuses)
    total = sum(statuses.values())
    with capsys.disabled():
        print(f"\nschemathesis: {total} cases, by status {dict(sorted(statuses.items()))}")
    assert total >= 10_000
    assert {200, 201, 204, 400, 404} <= set(statuses)


def hold(operation: APIOperation, mode: GenerationMode, cases: int, ids: list[str], statuses: collections.Counter[int]) -> None:
    """Send an operation's share of cases. With valid cases, some go to objects that exist."""

    @settings(PATIENT, max_examples=cases, phases=[Phase.generate, Phase.shrink])
    @given(case=operation.as_strategy(mode), real=st.sampled_from([*ids, None]))
    def holds(case: Any, real: str | None) -> None:
        if real is not None and mode is GenerationMode.POSITIVE:
            case.path_parameters["id"] = real
        freshen(case)
        statuses[case.call_and_validate(headers=HEADERS).status_code] += 1

    holds()


def freshen(case: Any) -> None:
    """Generated keys repeat, and a repeated key rightly gets an earlier answer, whatever the body now is."""
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"key {next(keys)}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("deleted", ["kept", "gone"])
def test_what_the_links_lead_to_is_as_the_document_and_the_steps_before_say(tmp_path, capsys, deleted):
    """schemathesis' stateful phase. Where a deleted object answers 404, no check has an exception for it."""
    steps: collections.Counter[str] = collections.Counter()
    followed: collections.Counter[tuple[str, str]] = collections.Counter()
    excused: collections.Counter[str] = collections.Counter()
    scenarios: list[int] = []
    failures: list[Exception] = []
    with served(tmp_path, lambda _: True, recordings="at_once", deleted=deleted, allow_local_urls="all") as (recall, runner, document):
        # Artifacts are found by way of their recording: lists of seven kinds would take most of the steps.
        document = document.exclude(operation_id_regex=r"^(audio|video|transcript|participant|meeting_metadata|realtime).*_list$")

        class Workflow(document.as_state_machine()):
            def setup(self) -> None:
                # Whatever has been before would decide which steps are possible, and the same draws would not lead to the same ones.
                runner.run(recall.reset())
                runner.run(furnish(recall))
                scenarios.append(0)

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"headers": dict(HEADERS)}

            def before_call(self, case: Any) -> None:
                freshen(case)
                keep_to_one_receiver(case)

            def step(self, given: Any) -> Any:
                try:
                    output = super().step(given)
                except Exception as failure:
                    failures.append(failure)
                    raise
                scenarios[-1] += 1
                if given.transition and given.is_applied:
                    followed[given.transition.id.partition(" -> ")[0], f"{given.case.method} {given.case.operation.path}"] += 1
                return output

            def after_call(self, response: Any, case: Any) -> None:
                super().after_call(response, case)
                runner.run(recall.drained())
                steps[f"{case.method} {response.status_code}"] += 1

            def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **kwargs: Any) -> None:
                excluded = documented_otherwise(recall, response, case)
                excused.update(check.__name__ for check in excluded)
                case.validate_response(response, excluded_checks=excluded, headers=HEADERS, transport_kwargs=kwargs, recorder=self.recorder)

        while len(scenarios) < SCENARIOS:
            # Links make what is drawn depend on answers, which Hypothesis now and then notices and gives up. schemathesis' own runner
            # does not mind, either, but takes care that no failure is forgotten for it.
            try:
                Workflow.run(settings=settings(PATIENT, max_examples=SCENARIOS, stateful_step_count=STEPS, phases=[Phase.generate]))
            except (Flaky, AssertionError) as trouble:
                if not isinstance(trouble, Flaky) and not is_inconsistent_replay(trouble):
                    raise
            if failures:
                raise failures[0]
    one, made = "/api/v1/recording/{id}/", "POST /api/v1/meeting_direct_connect/"
    with capsys.disabled():
        print(f"\nschemathesis, stateful, deleted {deleted}: {len(scenarios)} scenarios, {sum(steps.values())} steps,", end=" ")
        print(f"{sum(followed.values())} links followed, by status {dict(sorted(steps.items()))}, exceptions {dict(excused)}")
    assert sum(steps.values()) >= 250
    assert sum(count > 2 for count in scenarios) >= 20
    # From a create to its recording, which is deleted and then looked for.
    assert sum(count for (source, target), count in followed.items() if source == made and target.endswith(one)) >= 5
    assert sum(count for (_, target), count in followed.items() if target == f"DELETE {one}") >= 5
    assert followed[f"DELETE {one}", f"GET {one}"]
    assert bool(excused["use_after_free"]) is (deleted == "kept")


def keep_to_one_receiver(case: Any) -> None:
    """In a valid create: generated real-time endpoints are not to be connected to."""
    valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    config = case.body.get("recording_config") if valid and isinstance(case.body, dict) else None
    if config and config.get("realtime_endpoints"):
        # The drawn value itself must stay: Hypothesis may use it again.
        case.body = {**case.body, "recording_config": {**config, "realtime_endpoints": RECEIVERS}}


def documented_otherwise(recall: Recall, response: Any, case: Any) -> list[Any]:
    """The check that this answer is excused from, having been held here to what Recall documents.

    `use_after_free` wants a 404 for what was deleted. Recall's recordings and artifacts have the status `deleted`, and their metadata
    survives the media (docs/evidence/recall.md A4, B6), so by default they can still be retrieved; inferred: after a DELETE, too.
    `positive_data_acceptance` wants any body that fits the schema to be accepted. A command that comes at the wrong time is refused with
    a 400 that has a code (docs/evidence/recall.md B3).
    """
    answer: Any = response.json() if response.content else {}
    if response.status_code == 200 and answer.get("status", {}).get("code") == "deleted":
        assert recall.switches.deleted == "kept"
        identity = case.path_parameters["id"]
        kept = (recall.workspace.recordings | {one.id: one for one in recall.workspace.artifacts()})[identity]
        assert (answer["id"], answer["metadata"]) == (identity, kept.metadata)
        assert not any(media_of(answer)), answer
        return [use_after_free]
    if response.status_code == 400 and answer.get("code") == "recording_not_done":
        assert f"{case.method} {case.operation.path}" == "POST /api/v1/recording/{id}/create_transcript/"
        assert recall.workspace.recordings[case.path_parameters["id"]].status.code != "done"
        return [positive_data_acceptance]
    return []


def media_of(answer: Any) -> Iterator[Any]:
    """Every link to media in an answer, and every shortcut to an artifact."""
    for name, value in answer.items() if isinstance(answer, dict) else ():
        if name.endswith("download_url"):
            yield value
        elif name == "media_shortcuts":
            yield from value.values()
        else:
            yield from media_of(value)


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
    tables = {
        "meeting_direct_connect": space.mdcs,
        "recording": space.recordings,
        "realtime_endpoint": {one.id: one for one in space.endpoints()},
    }
    return list(tables.get(kind, {one.id: one for one in space.artifacts() if one.kind == kind}))
