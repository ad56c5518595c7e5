"""The control plane, route by route: what it answers, what it changes, what it refuses."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import get_args

import httpx
import pytest
import standardwebhooks
from tests.unit.simulator.recall.workbench import body

from rtms_simulator.cloud_tasks.broker import TaskState
from rtms_simulator.control import answers
from rtms_simulator.kit.control.all import control_server, operations
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.kit.control.meetings import MeetingResource
from rtms_simulator.recall.webhooks.sender import MessageState
from rtms_simulator.zoom.webhooks.sender import INTERNAL_ERRORS, DeliveryOutcome

HOOK = "http://127.0.0.1:1/zoom-webhook"
SIGNED = {"meeting_uuid": "u", "signature": "0" * 64}
SECRET = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"


def refused(answer: httpx.Response, status: int, says: str) -> None:
    problem = answers.decode(answer.content, answers.RefusalAnswer)
    assert (answer.status_code, says in problem.reason) == (status, True), answer.text
    assert "\n" not in problem.reason


async def create(stack, stream: str = "s", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=stack.recall.base_url, trust_env=False) as client:
        given = {"authorization": f"Token {stack.secrets.api_key}", **headers}
        return await client.post("/meeting_direct_connect", json=body(stream), headers=given)


# The whole


async def test_the_state_is_numbers_and_no_secret(stack, control):
    answer = await control.get("/state")
    state = answers.decode(answer.content, answers.FakesState)
    assert state.rtms_servers == list(stack.zoom.server_urls())
    assert (state.recall_base_url, state.meetings, state.requests) == (stack.recall.base_url, 0, 0)
    for secret in (stack.secrets.client_secret, stack.secrets.secret_token, stack.secrets.api_key, stack.secrets.webhook_secret):
        assert secret not in answer.text


async def test_every_answer_is_what_its_type_says(stack, control):
    resource = MeetingResource(stack.fakes)
    checked = 0
    for operation in operations(stack.fakes, resource):
        if operation.method == "GET" and "{" not in operation.path and not operation.stream:
            answers.decode((await control.get(operation.path)).content, operation.answer)
            checked += 1
    assert checked >= 10


async def test_the_clock_is_read_moved_and_set(stack, control):
    stack.clock.freeze()
    before = answers.decode((await control.get("/clock")).content, answers.ClockReading)
    after = answers.decode((await control.post("/clock", json={"advance": 60})).content, answers.ClockReading)
    assert after.now - before.now == 60
    assert (await control.post("/clock", json={"rate": 2})).json()["rate"] == 2
    assert stack.clock.rate == 2


@pytest.mark.parametrize("steps", [[86 * 60], [5 * 60, 20 * 60, 61 * 60], [43 * 60] * 2])
async def test_zooms_retries_come_when_they_are_due_whatever_the_step(stack, control, steps):
    stack.clock.freeze()
    began = stack.clock.now()
    sent = (await control.post("/deliveries", json={"event": "phone.rtms_stopped", "webhook_url": HOOK})).json()
    for step in steps:
        await control.post("/clock", json={"advance": step})
    row = answers.decode((await control.get(f"/deliveries/{sent['id']}")).content, answers.DeliveryDetail).delivery
    assert [round((attempt.at - began) / 60) for attempt in row.attempts] == [0, 5, 25, 85]
    assert row.outcome == "failed"


@pytest.mark.parametrize(
    "wrong",
    [
        '{"advance": -1}',
        '{"advance": "1"}',
        '{"speed": 1}',
        '{"rate": true}',
        '{"rate": 1000001}',
        '{"advance": 1e300}',
        '{"advance": 1e999}',
        '{"advance": NaN}',
        '{"rate": Infinity}',
        '{"rate": 1, "advance": -Infinity}',
        '{"advance": 1%s}' % ("0" * 400),
        "[]",
        "{",
        "",
    ],
)
async def test_a_body_that_no_clock_can_take_is_refused_and_changes_nothing(stack, control, wrong):
    stack.clock.freeze()
    before = (await control.get("/clock")).json()
    answer = await control.post("/clock", content=wrong, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert (await control.get("/clock")).json() == before


async def test_a_clock_change_without_a_change_or_beyond_the_years_is_impossible(stack, control):
    stack.clock.freeze()
    refused(await control.post("/clock", json={}), 422, "rate, advance or both")
    while (answer := await control.post("/clock", json={"advance": 100 * 366 * 86_400})).status_code == 200:
        pass
    refused(answer, 422, "beyond the year 9998")


async def test_reset_forgets_everything_and_brings_the_switches_back(stack, control):
    await create(stack)
    await control.patch("/switches", json={"set": {"recall.page_size": 3, "tasks.dedup_s": 5}})
    await control.post("/faults", json={"fault": "recall.create: 503"})
    assert (await control.post("/reset", json={"seed": 5})).json() == {"records": "forgotten"}
    state = answers.decode((await control.get("/state")).content, answers.FakesState)
    assert (state.requests, state.meeting_direct_connects, state.faults, state.seed) == (0, 0, 0, 5)
    rows = answers.decode((await control.get("/switches")).content, answers.SwitchList).switches
    changed = {row.name for row in rows if row.value != row.default}
    assert changed == {"recall.allow_local_urls"}


# Faults and switches


async def test_resets_come_one_after_the_other(stack):
    """Each stops the functions, removes their records and starts them: two at once would start them twice on the same ports."""
    under_way: list[int] = []
    most = 0

    async def reset(seed: int | None) -> bool:
        nonlocal most
        under_way.append(seed or 0)
        most = max(most, len(under_way))
        await asyncio.sleep(0.02)
        under_way.remove(seed or 0)
        return True

    fakes = dataclasses.replace(stack.fakes, reset=reset)
    resource = MeetingResource(fakes)
    server = control_server(fakes, resource)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            done = await asyncio.gather(*(client.post("/_control/reset", json={"seed": seed}) for seed in (1, 2, 3)))
    finally:
        await server.aclose()
        await resource.aclose()
    assert [answer.json() for answer in done] == [{"records": "forgotten"}] * 3
    assert most == 1


async def test_faults_of_every_vendor_are_armed_listed_and_cleared(stack, control):
    texts = ["zoom.webhook.*: lost x*", "recall.create: 503 x2", "tasks.queue.handoffs: stall 60s"]
    rows = [answers.decode((await control.post("/faults", json={"fault": text})).content, answers.ArmedFaultRow) for text in texts]
    assert [(row.fault, row.vendor) for row in rows] == list(zip(texts, ("zoom", "recall", "tasks"), strict=True))
    assert (await create(stack)).status_code == 503
    listed = answers.decode((await control.get("/faults")).content, answers.FaultList).armed
    assert [(row.left, row.used) for row in listed] == [(None, 0), (1, 1), (1, 1)]
    assert (await control.delete(f"/faults/{rows[0].id}")).json() == {"cleared": 1}
    refused(await control.delete(f"/faults/{rows[0].id}"), 404, "armed are 2, 3")
    refused(await control.delete("/faults/x"), 404, "armed are 2, 3")
    assert (await control.delete("/faults")).json() == {"cleared": 2}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("nope", "the targets are"),
        ("late:seconds=4", "is written 'zoom.webhook.*: late 4s' now"),
        ("recall.creat: 503", "did you mean create?"),
        ("tasks.queue.handoff: stall", "did you mean handoffs?"),
        ("zoom.stream: fail-over", "a moment of one meeting"),
    ],
)
async def test_a_fault_that_cannot_act_is_impossible(stack, control, fault, says):
    refused(await control.post("/faults", json={"fault": fault}), 422, says)
    assert stack.faults.listed() == ()


async def test_every_switch_is_listed_with_its_evidence_and_can_be_set_to_what_it_is(stack, control):
    rows = answers.decode((await control.get("/switches")).content, answers.SwitchList).switches
    assert [row.name for row in rows] == [row.name for row in default_switches()]
    assert {row.vendor for row in rows} == {"zoom", "recall", "tasks"}
    assert all(row.evidence and row.source for row in rows)
    same = {row.name: row.value for row in rows}
    answer = await control.patch("/switches", json={"set": same})
    assert answers.decode(answer.content, answers.SwitchList).switches == rows


async def test_switches_of_all_vendors_are_set_at_once_and_take_effect(stack, control):
    decided = {"recall.progression": {"kind": "polls", "seconds": 0, "polls": 2}, "zoom.close_code": 1001, "tasks.dedup_s": 5}
    assert (await control.patch("/switches", json={"set": decided})).status_code == 200
    assert stack.recall.switches.progression.polls == 2
    assert stack.zoom.switches.close_code == 1001
    assert stack.tasks.switches.dedup_s == 5


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"recall.pag_size": 1}, "did you mean recall.page_size?"),
        ({"recall.recordings": "soon"}, "its default is"),
        ({"recall.limits": {"create": "x"}}, "its default is"),
        ({"page_size": 1}, "a name is zoom.NAME, recall.NAME, tasks.NAME"),
        ({"zoom.close_code": "x"}, "cannot be 'x'"),
        ({"tasks.dedup_s": 5, "recall.nope": 1}, "there is no switch recall.nope"),
    ],
)
async def test_a_switch_that_cannot_be_so_is_refused_and_none_is_set(stack, control, values, says):
    before = (await control.get("/switches")).json()
    refused(await control.patch("/switches", json={"set": values}), 422, says)
    assert (await control.get("/switches")).json() == before


# Deliveries


async def test_deliveries_are_sent_listed_shown_and_replayed(stack, control):
    sent = answers.decode(
        (await control.post("/deliveries", json={"event": "phone.rtms_stopped", "webhook_url": HOOK})).content, answers.DeliveryRow
    )
    assert (sent.vendor, sent.outcome, sent.attempts[0].status) == ("zoom", "waiting", -2)
    await create(stack)
    await control.post("/webhooks", json={"url": "http://127.0.0.1:1/recall"})
    await create(stack, "t")
    await stack.recall.lifecycle.drained()
    listed = answers.decode((await control.get("/deliveries")).content, answers.DeliveryList).deliveries
    assert {row.vendor for row in listed} >= {"zoom"}
    for query, expected in (
        ({"vendor": "zoom"}, ["phone.rtms_stopped"]),
        ({"event": "*.rtms_stopped"}, ["phone.rtms_stopped"]),
        ({"status": "-2", "vendor": "zoom"}, ["phone.rtms_stopped"]),
        ({"status": "waiting", "vendor": "zoom"}, ["phone.rtms_stopped"]),
        ({"status": "delivered"}, []),
        ({"meeting": "7"}, []),
        ({"since": stack.clock.now() + 1}, []),
    ):
        rows = answers.decode((await control.get("/deliveries", params=query)).content, answers.DeliveryList).deliveries
        assert [row.event for row in rows] == expected, query
    shown = answers.decode((await control.get(f"/deliveries/{sent.id}")).content, answers.DeliveryDetail)
    assert shown.body.startswith('{"event":"phone.rtms_stopped"')
    assert shown.requests[0].headers["x-zm-signature"].startswith("v0=")
    again = answers.decode((await control.post(f"/deliveries/{sent.id}/replay", json={})).content, answers.DeliveryRow)
    assert (again.event, again.id != sent.id) == (sent.event, True)


async def test_any_event_with_any_payload_in_any_style(stack, control):
    new = {"event": "future.event", "webhook_url": HOOK, "payload": {"x": "/"}, "event_ts": 5, "style": "escaped-slashes"}
    sent = answers.decode((await control.post("/deliveries", json=new)).content, answers.DeliveryRow)
    shown = answers.decode((await control.get(f"/deliveries/{sent.id}")).content, answers.DeliveryDetail)
    assert shown.body == '{"event":"future.event","event_ts":5,"payload":{"x":"\\/"}}'
    refused(await control.post("/deliveries", json=new | {"style": "x"}), 422, "there is no style 'x' (allowed: ")
    refused(await control.post("/deliveries", json={"event": "future.event", "webhook_url": HOOK}), 422, "give its payload")
    refused(await control.post("/deliveries", json={"event": "meeting.rtms_started"}), 422, "no webhook is known")
    for bad in ({"payload": 1}, {"event": ""}, {"event_ts": -1}, {"more": 1}):
        assert (await control.post("/deliveries", json=new | bad)).status_code == 400


async def test_what_is_not_there_is_404_and_says_what_is(control):
    for method, path in (
        ("GET", "/deliveries/99"),
        ("POST", "/deliveries/99/replay"),
        ("GET", "/meetings/99"),
        ("DELETE", "/meetings/99"),
        ("GET", "/meetings/99/traffic"),
        ("GET", "/requests/99"),
        ("GET", "/tasks/99"),
        ("POST", "/webhooks/ep_0/enable"),
    ):
        answer = await control.request(method, path, json={} if path.endswith("replay") else None)
        refused(answer, 404, "there is no")
    refused(await control.post("/meetings/99/actions", json={"kind": "stop"}), 404, "there is no")
    unknown = await control.get("/nonsense")
    refused(unknown, 404, "GET /_control/state")
    wrong = await control.put("/state")
    assert (wrong.status_code, "GET" in wrong.headers["allow"]) == (405, True)
    refused(wrong, 405, "GET")


# Requests, MDCs, tasks


async def test_a_request_is_linked_with_what_it_made_and_shown_with_the_answer(stack, control):
    await control.post("/faults", json={"fault": "recall.create: 503 then 201 body='{}'"})
    for _ in range(3):
        await create(stack, "a" * 32, **{"idempotency-key": "k"})
    rows = answers.decode((await control.get("/requests")).content, answers.RequestList).requests
    assert [(row.id, row.status, row.fault) for row in rows] == [(1, 503, "503"), (2, 201, "201"), (3, 201, None)]
    [mdc] = answers.decode((await control.get("/meeting-direct-connects")).content, answers.MdcList).meeting_direct_connects
    assert (rows[2].mdc, rows[2].stream, mdc.stream, 3 in mdc.requests) == (mdc.id, "a" * 32, "a" * 32, True)
    detail = answers.decode((await control.get("/requests/2")).content, answers.RequestDetail)
    assert (detail.answer, json.loads(detail.body)["zoom_rtms"]["rtms_stream_id"]) == ("{}", "a" * 32)
    everything = (await control.get("/requests")).text + (await control.get("/requests/1")).text
    assert stack.secrets.api_key not in everything
    for query, expected in (
        ({"status": "refused"}, [1]),
        ({"status": "201"}, [2, 3]),
        ({"operation": "create"}, [1, 2, 3]),
        ({"meeting": "b"}, []),
    ):
        found = answers.decode((await control.get("/requests", params=query)).content, answers.RequestList).requests
        assert [row.id for row in found] == expected, query


async def test_a_query_that_means_nothing_is_refused(control):
    refused(await control.get("/requests", params={"state": "x"}), 400, "unknown parameter 'state'")
    refused(await control.get("/state", params={"x": 1}), 400, "allowed: none")
    refused(await control.get("/requests?limit=1&limit=2"), 400, "given twice")
    refused(await control.get("/requests", params={"limit": 0}), 400, ">= 1")
    refused(await control.get("/requests", params={"since": "yesterday"}), 400, "float")
    refused(await control.get("/requests", params={"status": "refusd"}), 400, "refused")
    refused(await control.get("/deliveries", params={"status": "dlivered"}), 400, "delivered")
    refused(await control.get("/tasks", params={"state": "waitin"}), 400, "waitin")


async def test_every_outcome_and_state_that_there_is_can_be_asked_for(control):
    for outcome in (*get_args(DeliveryOutcome), *get_args(MessageState), *map(str, INTERNAL_ERRORS.values()), "200"):
        assert (await control.get("/deliveries", params={"status": outcome})).json() == {"deliveries": []}
    for state in get_args(TaskState):
        assert (await control.get("/tasks", params={"state": state})).json() == {"tasks": []}


# Meetings


async def test_a_meeting_from_beginning_to_end(stack, control):
    stack.clock.set_rate(200)  # nobody comes, which Zoom gives up on after a minute
    answer = await control.post("/meetings", json={"speed": 1000, "webhook_url": HOOK, "faults": ["zoom.webhook.*: lost x*"]})
    [row] = answers.decode(answer.content, answers.MeetingList).meetings
    assert (row.joined, row.deliveries[0].outcome, row.deliveries[0].meeting) == (False, "withheld", row.id)
    assert answers.decode((await control.get(f"/meetings/{row.id}")).content, answers.MeetingRow).ended_ms is not None


async def test_a_meeting_can_be_begun_acted_in_and_broken_off(stack, control):
    begun = await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})
    [row] = answers.decode(begun.content, answers.MeetingList).meetings
    assert row.ended_ms is None
    for wrong, status in (
        ({"kind": "dance"}, 422),
        ({}, 400),
        ({"kind": "leave"}, 422),
        ({"kind": "leave", "who": 999}, 422),
        ({"kind": "fault"}, 422),
    ):
        assert (await control.post(f"/meetings/{row.id}/actions", json=wrong)).status_code == status, wrong
    stopped = await control.post(f"/meetings/{row.id}/actions", json={"kind": "stop", "data": {"stop_reason": 8}})
    assert answers.decode(stopped.content, answers.MeetingRow).streams[0].stop_reason == 8
    assert answers.decode((await control.get(f"/meetings/{row.id}/traffic")).content, answers.Traffic).traffic == []
    answers.decode((await control.delete(f"/meetings/{row.id}")).content, answers.MeetingRow)


async def test_a_meeting_that_is_deleted_is_ended_by_its_host(stack, control):
    """What Ctrl-C on `meeting play` asks for: nobody is left with a stream that never stops."""
    begun = await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})
    [row] = answers.decode(begun.content, answers.MeetingList).meetings
    ended = answers.decode((await control.delete(f"/meetings/{row.id}")).content, answers.MeetingRow)
    assert ended.ended_ms is not None
    assert [(stream.state, stream.stop_reason) for stream in ended.streams] == [("TERMINATED", 6)]
    assert [one.event for one in ended.deliveries] == ["meeting.rtms_started", "meeting.rtms_stopped"]
    again = answers.decode((await control.delete(f"/meetings/{row.id}")).content, answers.MeetingRow)
    assert (again.ended_ms, len(again.deliveries)) == (ended.ended_ms, 2)


async def test_a_meeting_that_cannot_be_ended_is_broken_off_and_shown_as_over(stack, control, monkeypatch):
    monkeypatch.setattr("rtms_simulator.kit.control.meetings._ENDED_WITHIN_S", 0.2)
    stack.faults.add("zoom.webhook.*: late 60s")
    begun = await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})
    [row] = answers.decode(begun.content, answers.MeetingList).meetings
    monkeypatch.setattr(stack.zoom.meetings[row.id], "end", lambda: asyncio.sleep(60))
    ended = answers.decode((await control.delete(f"/meetings/{row.id}")).content, answers.MeetingRow)
    assert ended.ended_ms is not None
    assert ended.timeline[-1].what == "meeting broken off"


async def problems(control, meeting: int, expected: str = "recorded") -> list[tuple[str, str]]:
    answer = await control.get(f"/meetings/{meeting}/problems", params={"expected": expected})
    return [(one.name, one.what) for one in answers.decode(answer.content, answers.ProblemList).problems]


async def test_the_verdict_on_a_receiver_names_what_it_broke(stack, control):
    """Nobody listens at HOOK; then a stream is handed to Recall twice by hand."""
    begun = await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})
    [row] = answers.decode(begun.content, answers.MeetingList).meetings
    await stack.zoom.meetings[row.id].announced()
    assert [name for name, _ in await problems(control, row.id)] == ["failed"]
    [stream] = row.streams
    for _ in range(2):
        stack.recall.lifecycle.create({"zoom_rtms": {"rtms_stream_id": stream.stream_id, "server_urls": stream.server_urls[0]} | SIGNED})
    assert [name for name, _ in await problems(control, row.id)] == ["failed", "doubled"]
    other = answers.decode((await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})).content, answers.MeetingList)
    assert [name for name, _ in await problems(control, other.meetings[0].id)] == ["failed"]  # its own only


async def test_what_was_to_be_deleted_and_is_still_there_is_named(stack, control, monkeypatch):
    monkeypatch.setattr("rtms_simulator.kit.control.meetings._DELETED_WITHIN_S", 0.5)
    begun = await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})
    [row] = answers.decode(begun.content, answers.MeetingList).meetings
    await stack.zoom.meetings[row.id].announced()
    [stream] = row.streams
    urls = {"rtms_stream_id": stream.stream_id, "server_urls": stream.server_urls[0]}
    mdc = stack.recall.lifecycle.create({"zoom_rtms": urls | SIGNED, "recording_config": {"audio_mixed_raw": {}}})
    assert mdc.recording is not None
    stack.recall.workspace.recordings[mdc.recording.id] = mdc.recording
    found = await problems(control, row.id, "deleted")
    assert ("kept", f"recording {mdc.recording.id} is still at Recall, {mdc.recording.status.code}") in found
    stack.recall.lifecycle.delete_recording(mdc.recording)
    assert "kept" not in [name for name, _ in await problems(control, row.id, "deleted")]


async def test_that_nobody_joined_is_no_problem_where_nobody_is_to_join(stack, control, monkeypatch):
    monkeypatch.setattr(stack.recall.lifecycle, "_signature_fits", lambda _rtms: True)
    begun = await control.post("/meetings", json={"webhook_url": HOOK, "wait": False})
    [row] = answers.decode(begun.content, answers.MeetingList).meetings
    meeting = stack.zoom.meetings[row.id]
    await meeting.announced()
    meeting.deliveries[0].outcome = "delivered"
    meeting.deliveries[0].attempts[0].status = 200
    [stream] = row.streams
    stack.recall.lifecycle.create({"zoom_rtms": {"rtms_stream_id": stream.stream_id, "server_urls": stream.server_urls[0]} | SIGNED})
    assert [name for name, _ in await problems(control, row.id)] == ["unjoined"]
    assert await problems(control, row.id, "not-joined") == []


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"scenario": "nope"}, 422, "there is no scenario 'nope'"),
        ({"speed": "fast"}, 422, "speed is 'fast'"),
        ({"speed": 0}, 422, "speed is 0"),
        ({"faults": ["nope"]}, 422, "a fault is written"),
        ({"media": "/nowhere.mp4"}, 422, "/nowhere.mp4"),
        ({"scenario": "upload:7"}, 422, "there is no upload '7'"),
        ({"scenario": "upload:../x"}, 422, "there is no upload"),
        ({"seed": "x"}, 400, "int"),
        ({"faults": "late"}, 400, "array"),
        ({"more": 1}, 400, "unknown field"),
        ([], 400, "object"),
    ],
)
async def test_a_meeting_that_cannot_be_is_refused_with_the_reason(stack, control, request_, status, says):
    given = {"webhook_url": HOOK, **request_} if isinstance(request_, dict) else request_
    refused(await control.post("/meetings", json=given), status, says)
    assert not stack.zoom.meetings


async def test_a_scenario_can_be_uploaded_and_played(stack, control):
    stack.clock.set_rate(200)
    text = 'duration_s = 1\npeople = [{ name = "Ada" }]\ntimeline = []\n'
    octets = {"content-type": "application/octet-stream"}
    up = await control.post("/uploads", params={"name": "mine.toml"}, content=text.encode(), headers=octets)
    uploaded = answers.decode(up.content, answers.Uploaded)
    assert uploaded.bytes == len(text)
    played = await control.post("/meetings", json={"scenario": f"upload:{uploaded.upload}", "webhook_url": HOOK, "speed": "max"})
    assert answers.decode(played.content, answers.MeetingList).meetings[0].scenario.endswith("mine")
    refused(await control.post("/uploads", params={"name": "../x"}, content=b"", headers=octets), 400, "regex")


async def test_own_media_is_a_meeting_of_its_own_name_in_which_nothing_else_happens(stack, control):
    stack.clock.set_rate(200)
    said = b"WEBVTT\n\n00:00:00.100 --> 00:00:00.900\nHello, all of you.\n"
    octets = {"content-type": "application/octet-stream"}
    up = answers.decode(
        (await control.post("/uploads", params={"name": "talk.vtt"}, content=said, headers=octets)).content, answers.Uploaded
    )
    for more, name, people in (
        ({}, up.upload.partition("-")[2], ["Speaker"]),
        ({"scenario": "one-to-one"}, "one-to-one", ["Katherine Johnson"]),
    ):
        asked = {"transcript": f"upload:{up.upload}", "webhook_url": HOOK, "speed": 1000, **more}
        [row] = answers.decode((await control.post("/meetings", json=asked)).content, answers.MeetingList).meetings
        assert row.scenario == name
        scenario = stack.zoom.meetings[row.id].scenario
        assert [person.name for person in scenario.people][:1] == people
        assert {action.kind for action in scenario.timeline} <= {"join", "video_on", "speak", "end"}
        assert scenario.duration_s == 0.9


async def test_a_caller_that_goes_away_takes_the_meeting_along(stack, control):
    with pytest.raises(httpx.ReadTimeout):
        await control.post("/meetings", json={"speed": 1, "webhook_url": HOOK}, timeout=0.5)
    for _ in range(100):
        if not stack.zoom.meetings[1].streams[0].live.attended and len(asyncio.all_tasks()) < 40 and _broken_off(stack):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the meeting goes on")


def _broken_off(stack) -> bool:
    return stack.zoom.meetings[1]._run is not None and stack.zoom.meetings[1]._run.done()


# Recall's endpoints


async def test_endpoints_are_added_rotated_enabled_recovered_and_removed(stack, control):
    new = {"url": "http://127.0.0.1:1/x", "secret": SECRET, "headers": "svix", "events": ["recording.done"]}
    added = answers.decode((await control.post("/webhooks", json=new)).content, answers.EndpointRow)
    assert (added.secrets, added.events) == ([SECRET], ["recording.done"])
    rotated = answers.decode((await control.post(f"/webhooks/{added.id}/rotate", json={})).content, answers.EndpointRow)
    assert rotated.secrets[1] == SECRET
    for secret in rotated.secrets:
        standardwebhooks.Webhook(secret)
    assert (await control.post(f"/webhooks/{added.id}/enable")).json()["enabled"]
    assert (await control.post(f"/webhooks/{added.id}/recover")).json() == {"messages": 0}
    assert (await control.delete(f"/webhooks/{added.id}")).json() == {"webhooks": []}
    for wrong, status in (({"secret": "x"}, 422), ({"events": ["nonsense"]}, 422), ({"url": 1}, 400), ({"headers": "x"}, 400)):
        assert (await control.post("/webhooks", json=new | wrong)).status_code == status, wrong


async def test_the_workspace_secret_is_rotated(stack, control):
    old = stack.recall.workspace_secret
    assert (await control.post("/workspace-secret/rotate", json={"secret": SECRET})).json() == {"workspace_secret": SECRET}
    assert stack.recall.workspace_secret == SECRET != old
    refused(await control.post("/workspace-secret/rotate", json={"secret": "nonsense"}), 422, "whsec_")


# What happens, as it happens


async def test_everything_that_happens_is_told(stack, control):
    kinds: list[str] = []
    async with control.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()

        async def until(kind: str) -> answers.Happening:
            async for line in lines:
                if line.startswith("data: "):
                    happening = answers.decode(line.removeprefix("data: ").encode(), answers.Happening)
                    kinds.append(happening.kind)
                    if happening.kind == kind:
                        return happening
            raise AssertionError("the stream ended")

        async with asyncio.timeout(10):
            await until("clock")
            await control.post("/faults", json={"fault": "recall.list: 503"})
            assert (await until("fault")).row["fault"] == "recall.list: 503"
            await create(stack, "b" * 32)
            assert (await until("mdc")).row["stream"] == "b" * 32
            await control.post("/deliveries", json={"event": "phone.rtms_stopped", "webhook_url": HOOK})
            assert (await until("delivery")).row["event"] == "phone.rtms_stopped"
    assert "request" in kinds


# Meetings


async def test_each_of_many_plays_that_begin_together_is_answered_with_its_own_meeting(stack, control):
    plays = [control.post("/meetings", json={"scenario": "one-to-one", "webhook_url": HOOK, "wait": False}) for _ in range(8)]
    rows = [answers.decode(answer.content, answers.MeetingList).meetings for answer in await asyncio.gather(*plays)]
    assert sorted(one.id for row in rows for one in row) == list(range(1, 9))
    ended = await control.delete("/meetings/3")
    assert ended.status_code == 200
    listed = answers.decode((await control.get("/meetings")).content, answers.MeetingList).meetings
    assert [one.id for one in listed if one.ended_ms is not None] == [3]
