"""The retrieval flow on the wire: whatever becomes of Recall's webhooks, the record ends with the right recordings and a working link."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.property.end_to_end.composition import ARRIVES, EPOCH, JSON, LOST, SECRET_TOKEN, Fate, World, world

from rtms_relay.handoff.keys import handoff_key
from rtms_simulator.recall import Progression, RecallSwitches, Story
from rtms_simulator.recall.recorder.values import StreamRequest
from rtms_simulator.recall.records.tables import INVENTED_MDC_CODES

STREAM = "609340fb2a7946909659956c8aa9250c"
FIRST, SECOND = "wss://rtms-a.zoom.us:443", "wss://rtms-b.zoom.us:443"
GIVE_UP_S = 7200
SIX_HOURS = 6 * 3600.0

FATES = st.sampled_from(
    [ARRIVES, LOST, Fate(arrives=2), Fate(heard=False), Fate(after_s=1), Fate(after_s=90), Fate(after_s=200), Fate(after_s=400)]
)
RECALL_FAULTS = st.sampled_from(
    [
        "recall.create: 503 x2",
        "recall.retrieve: 503 x3",
        "recall.retrieve: 429 retry-after=40",
        "recall.retrieve: hang x2",
        "recall.retrieve: slow 20s x2",
        "recall.*: reset x2",
        "recall.create: cut x2",
        "recall.create: slow 9s",
    ]
)
MAIL_FAULTS = st.sampled_from(
    ["recall.webhook.*: reorder", "recall.webhook.*: late 30s x3", "recall.webhook.*: lost x9", "recall.webhook.recording.*: duplicate x2"]
)


@dataclass(frozen=True)
class Flow:
    """One run: what Recall does, what becomes of its webhooks, when Zoom speaks."""

    story: Story
    switches: RecallSwitches
    fates: list[Fate] = field(default_factory=list)
    headers: Literal["webhook", "svix"] = "webhook"
    faults: list[str] = field(default_factory=list)
    sweeps: bool = True
    stop_after: float | None = None
    moves_after: float | None = None

    def __repr__(self) -> str:
        """Only what is not as usual, so that a shrunk example reads as a sentence."""
        usual = Flow(Story(lasts=600), RecallSwitches())
        changed = [f"{name}={_short(value)}" for name, value in vars(self).items() if value != vars(usual)[name]]
        return f"Flow({', '.join(changed)})"


def _short(value: Any) -> str:
    if not isinstance(value, (Story, RecallSwitches)):
        return repr(value)
    usual = type(value)()
    changed = {name: getattr(value, name) for name in value.__slots__ if getattr(value, name) != getattr(usual, name)}
    return f"{type(value).__name__}({', '.join(f'{name}={each!r}' for name, each in changed.items())})"


STORIES = st.one_of(
    st.builds(Story, joins_after=st.sampled_from([0.0, 5.0]), lasts=st.sampled_from([600.0, 0.0, 40.0])),
    st.builds(Story, lasts=st.just(40.0), broken=st.just(frozenset({"video_mixed"}))),
    st.builds(Story, lasts=st.sampled_from([0.0, 40.0]), status=st.just("failed"), sub_code=st.just("zoom_rtms_connection_lost")),
    st.just(Story(status="empty")),
    st.just(Story(joins_after=None, sub_code="zoom_rtms_stream_not_found")),
)
SWITCHES = st.builds(
    RecallSwitches,
    recordings=st.sampled_from(["later", "at_once", "never"]),
    mdc_codes=st.sampled_from([{}, INVENTED_MDC_CODES]),
    progression=st.sampled_from([Progression(), Progression.timed(60), Progression.after_polls(2)]),
    swap_done=st.booleans(),
    bot_key=st.sampled_from(["absent", "null", "meeting_direct_connect"]),
    displaced=st.sampled_from(["done", "failed"]),
)


@st.composite
def flows(draw: st.DrawFn, faults: st.SearchStrategy[str], *, sweeps: bool) -> Flow:
    return Flow(
        story=draw(STORIES),
        switches=draw(SWITCHES),
        fates=draw(st.lists(FATES, max_size=12)),
        headers=draw(st.sampled_from(["webhook", "svix"])),
        faults=draw(st.lists(faults, max_size=2)),
        sweeps=sweeps,
        stop_after=draw(st.sampled_from([None, 10.0, 45.0, 700.0])),
        moves_after=draw(st.sampled_from([None, None, 20.0, 100.0])),
    )


async def zoom_says(world: World, name: str, **payload: Any) -> str:
    """The key of the hand-off that such a start would create."""
    now = world.clock.now_ms()
    body = json.dumps(
        {"event": name, "event_ts": now, "payload": {"meeting_uuid": "4444AAAi/AAAiAiAii==", "rtms_stream_id": STREAM, **payload}}
    )
    stamp = str(now // 1000)
    digest = hmac.new(SECRET_TOKEN.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    answer = await world.zoom([*JSON, ("x-zm-request-timestamp", stamp), ("x-zm-signature", f"v0={digest}")], body.encode())
    assert answer.status == 200, answer
    return handoff_key("rtmskit", STREAM, payload.get("server_urls", ""), now)


def told(flow: Flow) -> Any:
    """The first stream's servers follow the story; once it moved on, the second's do."""

    def story(request: StreamRequest) -> Story:
        # What is displaced records until then.
        return Story(lasts=None) if flow.moves_after is not None and request.server_urls == FIRST else flow.story

    return story


async def play(world: World, flow: Flow) -> list[str]:
    """The hand-offs' keys, after everything had time to happen."""
    for script in flow.faults:
        world.recall.faults.add(script)
    keys = [await zoom_says(world, "meeting.rtms_started", server_urls=FIRST)]
    spoken = [("stop", flow.stop_after)] if flow.stop_after is not None else []
    spoken += [("move", flow.moves_after)] if flow.moves_after is not None else []
    for what, at in sorted(spoken, key=lambda each: each[1]):
        await world.live(EPOCH + at - world.clock.now(), sweeps=flow.sweeps)
        if what == "stop":
            await zoom_says(world, "meeting.rtms_stopped", stop_reason=6)
        else:
            keys.append(await zoom_says(world, "meeting.rtms_started", server_urls=SECOND))
    await world.live(2000, sweeps=flow.sweeps)
    return keys


def shown(recording: dict[str, Any]) -> dict[str, Any]:
    """A recording as Recall tells it, in the record's terms."""
    artifacts = {name: (part["id"], part["status"]["code"]) for name, part in recording["media_shortcuts"].items() if part is not None}
    return {"status": recording["status"]["code"], "sub_code": recording["status"]["sub_code"], "artifacts": artifacts}


def noted(recording: dict[str, Any]) -> dict[str, Any]:
    artifacts = {name: (part["id"], part["status"]) for name, part in recording["artifacts"].items()}
    return {"status": recording["status"], "sub_code": recording["sub_code"], "artifacts": artifacts}


async def has_ended_right(world: World, key: str) -> None:
    """The record, the worker's answers and the links are what Recall has."""
    record = world.handoffs[key]
    truth = {recording["id"]: shown(recording) for recording in await world.at_recall(key)}
    assert {recording["id"]: noted(recording) for recording in record["recordings"]} == truth
    codes = {recording["status"] for recording in truth.values()}
    failed = "failed" in codes or any(code == "failed" for each in truth.values() for _, code in each["artifacts"].values())
    verdict = "none_made" if not truth else "failed" if "done" not in codes else "partial" if failed else "done"
    assert (record["retrieval"], record["due_at"]) == (verdict, None), record["retrieval_reason"]
    assert record["retrieval"] == "done" or record["retrieval_reason"]
    event(verdict)
    if truth:
        assert record["accepted_at"] is not None, "a recording exists, so Recall did accept"
    whole = (await world.worker("GET", f"/recordings/{key}")).json
    assert {recording["id"] for recording in whole["recordings"]} == set(truth)
    video = [recording for recording in truth.values() if recording["artifacts"].get("video_mixed", ("", ""))[1] == "done"]
    answer = await world.worker("GET", f"/recordings/{key}/download")
    if not video:
        assert (answer.status, answer.json["error"]) == (404, "not_found")
        return
    event("a link")
    assert answer.status == 302
    old = answer.headers["location"]
    assert (await world.stranger(old)).content == b"video_mixed mp4"
    await world.pass_time(SIX_HOURS)
    assert (await world.stranger(old)).status_code == 403
    new = (await world.worker("GET", f"/recordings/{key}/download")).headers["location"]
    assert (await world.stranger(new)).content == b"video_mixed mp4"
    stored = json.dumps(world.store.all("handoffs"))
    assert "Signature=" not in stored
    assert "Signature=" not in world.output.getvalue()


def composed(flow: Flow) -> AbstractAsyncContextManager[World]:
    environ = {"RETRIEVAL_GIVE_UP_S": str(GIVE_UP_S)}
    return world(story=told(flow), switches=flow.switches, fates=flow.fates, headers=flow.headers, environ=environ)


@settings(max_examples=60)
@given(flow=flows(st.one_of(RECALL_FAULTS, MAIL_FAULTS), sweeps=True))
async def test_whatever_becomes_of_the_webhooks_the_record_ends_right(flow: Flow) -> None:
    async with composed(flow) as made:
        keys = await play(made, flow)
        await made.live(30 * 3600)
        for key in keys:
            await has_ended_right(made, key)


@settings(max_examples=40)
@given(flow=flows(MAIL_FAULTS, sweeps=False))
async def test_without_the_scheduler_one_webhook_of_the_end_is_enough_and_the_first_sweeps_find_the_rest(flow: Flow) -> None:
    async with composed(flow) as made:
        keys = await play(made, flow)
        heard = {key for name, key, status in made.mail.told if name in ("recording.done", "recording.failed") and status == 200}
        for key in keys:
            if key in heard:
                event("heard of the end")
                await has_ended_right(made, key)
        await made.live(30 * 3600)
        for key in keys:
            await has_ended_right(made, key)
