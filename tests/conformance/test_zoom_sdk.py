"""Zoom's own client, unmodified, in a process of its own, against the simulator (issue 3, "Shown by").

The matrix of call-backs is printed at the end: `pytest tests/conformance -rA`, or the captured output of the last test.
"""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.sdk import FIRED, SdkApp, require_sdk, sdk_app

from rtms_simulator.clock import Clock
from rtms_simulator.scenario import KINDS, Action, Person, Scenario, load
from rtms_simulator.zoom import MeetingReport, Tls, Zoom, ZoomApp
from rtms_simulator.zoom.rtms.enums import EventType, StatusCode, StopReason
from rtms_simulator.zoom.rtms.server import ConnectionLimits
from rtms_simulator.zoom.switches import ZoomSwitches

pytestmark = pytest.mark.conformance

ID, SECRET, TOKEN = "cid_probe", "secret_probe", "token_probe"
L16 = {"content_type": 2, "codec": 1, "sample_rate": 1, "channel": 1, "data_opt": 1, "duration": 20, "frame_size": 320}
JPG = {"content_type": 3, "codec": 5, "data_opt": 3, "fps": 5, "resolution": 1}
SLIDES = {"content_type": 3, "codec": 5, "fps": 1, "resolution": 1}
EVERYTHING = {"audio": L16, "video": JPG, "deskshare": SLIDES, "transcript": None}
PEOPLE = (Person(16778240, "Ada"), Person(16779264, "Zoë"))
SHORT = Scenario(
    "short",
    PEOPLE,
    (
        Action(0.0, "video_on", PEOPLE[0].user_id),
        Action(0.0, "share_start", PEOPLE[1].user_id),
        Action(0.1, "speak", PEOPLE[0].user_id, {"until_s": 0.6, "text": "Good morning."}),
        Action(0.7, "speak", PEOPLE[1].user_id, {"until_s": 1.1, "text": "Guten Morgen, Zoë."}),
        Action(1.1, "share_stop", PEOPLE[1].user_id),
        Action(1.2, "video_off", PEOPLE[0].user_id),
        Action(1.3, "leave", PEOPLE[1].user_id),
    ),
    1.5,
)


@asynccontextmanager
async def zoom_and_app(
    tmp_path: Path, name: str, *, client_secret: str = SECRET, tls: Tls | None = None, **options: Any
) -> AsyncGenerator[tuple[Zoom, SdkApp]]:
    """A Zoom and an app on Zoom's own package; `name` stands in the matrix."""
    require_sdk()
    here = Zoom(Clock(), ZoomApp(ID, SECRET, TOKEN), tls=tls, **options)
    await here.start()
    try:
        async with sdk_app(tmp_path, name, client_id=ID, client_secret=client_secret, ca_file=tls.ca_file if tls else None) as app:
            yield here, app
    finally:
        await here.aclose()


async def play(here: Zoom, app: SdkApp, scenario: Scenario = SHORT, **options: object) -> MeetingReport:
    report = await here.begin(scenario, app.url, speed="max", **options).finished()  # ty: ignore[invalid-argument-type]
    await app.left(report.streams[0].stream_id)
    return report


def same_bytes(app: SdkApp, report: MeetingReport) -> None:
    """What the client got is what was sent, for each kind."""
    stream = report.streams[0]
    received = {kind: {key: total[key] for key in ("packets", "bytes", "sha256")} for kind, total in app.totals(stream.stream_id).items()}
    assert received == {kind: dict(sent) for kind, sent in stream.sent.items()}
    assert all(sent["packets"] > 0 for sent in stream.sent.values())


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_a_whole_meeting_with_every_kind_of_media(scheme: str, binary: bool, tmp_path: Path) -> None:
    tls = Tls(tmp_path) if scheme == "wss" else None
    async with zoom_and_app(tmp_path, f"{scheme}, every kind", tls=tls, binary_frames=binary) as (here, app):
        app.ask(media=EVERYTHING)
        report = await play(here, app)
        assert report.streams[0].server_urls[0].startswith(f"{scheme}://")
        assert app.heard("on_join_confirm") == [[0]]
        same_bytes(app, report)
        assert app.heard("on_leave") == [[StopReason.STOP_BC_MEETING_ENDED]]
        assert app.heard("on_active_speaker_event") == [[PEOPLE[0].user_id, "Ada"], [PEOPLE[1].user_id, "Zoë"]]
        assert app.heard("on_participant_video") == [[[PEOPLE[0].user_id], True], [[PEOPLE[0].user_id], False]]
        assert app.heard("on_sharing_event") == [["start", PEOPLE[1].user_id, "Zoë"], ["stop", None, None]]
        events = [event for event, _people in app.heard("on_participant_event")]
        assert events == ["join", "join", "leave"]
        assert [op for op, _active, _paused in app.heard("on_session_update")] == [1, 2]
        await app.until(lambda: app.heard("on_webhook_event") == [["meeting.rtms_started"], ["meeting.rtms_stopped"]])


async def test_what_the_package_asks_for_when_an_app_sets_nothing(tmp_path: Path) -> None:
    """OPUS per participant in stereo at 48 kHz, H.264 in HD at 30 frames."""
    async with zoom_and_app(tmp_path, "defaults") as (here, app):
        app.ask(media=dict.fromkeys(EVERYTHING))
        report = await play(here, app)
        same_bytes(app, report)
        assert app.totals(report.streams[0].stream_id)["audio"]["users"] == ["Ada", "Zoë"]


@pytest.mark.parametrize("product", ["meeting", "webinar", "session", "contact_center"])
async def test_every_product_the_package_knows(product: str, tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, product) as (here, app):
        app.ask(media={"audio": L16, "transcript": None})
        timeline = tuple(action for action in SHORT.timeline if product in KINDS[action.kind].products)
        same_bytes(app, await play(here, app, replace(SHORT, product=product, timeline=timeline)))


async def test_every_stop_reason_reaches_on_leave(tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, "stop reasons") as (here, app):
        app.ask(media={"audio": L16}, events=False)
        for reason in StopReason:
            scenario = replace(SHORT, timeline=(Action(0.2, "stop", data={"stop_reason": int(reason)}),))
            report = await play(here, app, scenario)
            assert app.heard("on_leave", stream=report.streams[0].stream_id) == [[int(reason)]]


@pytest.mark.parametrize("socket", ["signaling", "media"])
async def test_every_handshake_status_reaches_on_join_confirm(socket: str, tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, "handshake status") as (here, app):
        app.ask(media={"audio": L16}, events=False)
        refusals = [status for status in StatusCode if status is not StatusCode.OK]
        codes: list[int] = []
        for some in range(0, len(refusals), 4):  # the package's webhook server has a backlog of five
            for status in refusals[some : some + 4]:
                here.faults.add(f"zoom.rtms.{socket}: refuse {int(status)}")
            meetings = [here.begin(SHORT, app.url, speed="max") for _ in refusals[some : some + 4]]
            codes += sorted([await app.confirmed(meeting.streams[0].ids.stream_id) for meeting in meetings])
        assert codes == refusals


@pytest.mark.parametrize(("mode", "code"), [("status", 3), ("close", 960)])
async def test_a_wrong_secret(mode: str, code: int, tmp_path: Path) -> None:
    switches = ZoomSwitches(bad_signature=mode)  # ty: ignore[invalid-argument-type]
    async with zoom_and_app(tmp_path, "wrong secret", client_secret="not the secret", switches=switches) as (here, app):
        meeting = here.begin(SHORT, app.url, speed="max")
        await meeting.announced()
        assert await app.confirmed(meeting.streams[0].ids.stream_id) == code
        if mode == "close":
            report = await meeting.finished()
            assert report.streams[0].stop_reason == StopReason.STOP_BC_AUTHENTICATION_FAILURE


async def test_keep_alives_are_answered_for_longer_than_three_misses(tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, "keep-alive", switches=ZoomSwitches(keep_alive_interval_s=0.3)) as (here, app):
        app.ask(media={"audio": L16, "transcript": None})
        speech = Action(0.1, "speak", PEOPLE[0].user_id, {"until_s": 0.6, "text": "Still here?"})
        meeting = here.begin(replace(SHORT, duration_s=2.4, timeline=(speech,)), app.url)
        report = await meeting.finished()
        assert await app.left(report.streams[0].stream_id) == StopReason.STOP_BC_MEETING_ENDED
        assert report.streams[0].keep_alives >= 3 * 5
        same_bytes(app, report)


async def test_two_full_keep_alive_intervals_as_documented(tmp_path: Path) -> None:
    """Ten seconds each (Zoom docs, RTMS timing), in real time: both requests are answered on each of the three sockets."""
    async with zoom_and_app(tmp_path, "keep-alive, 10 s") as (here, app):
        app.ask(media={"audio": L16, "transcript": None})
        speech = Action(0.1, "speak", PEOPLE[0].user_id, {"until_s": 21.5, "text": "Still here after twenty seconds?"})
        report = await here.begin(replace(SHORT, duration_s=22.0, timeline=(speech,)), app.url).finished()
        assert await app.left(report.streams[0].stream_id) == StopReason.STOP_BC_MEETING_ENDED
        assert report.streams[0].keep_alives >= 2 * 3
        same_bytes(app, report)


async def test_without_sequence_in_the_keep_alive_the_package_is_lost(tmp_path: Path) -> None:
    """Why `Switches.keep_alive_sequence` is on: the documented form gets no answer from Zoom's own client."""
    async with zoom_and_app(
        tmp_path,
        "keep-alive without sequence",
        switches=ZoomSwitches(keep_alive_interval_s=0.2, keep_alive_sequence=False, keep_alive_death="stop"),
    ) as (here, app):
        app.ask(media={"audio": L16})
        report = await here.begin(replace(SHORT, duration_s=30.0, timeline=()), app.url).finished()
        assert report.streams[0].stop_reason == StopReason.STOP_BC_KEEP_ALIVE_TIMEOUT


async def test_fail_over_to_a_new_server(tmp_path: Path) -> None:
    """The old client is cut off, a second rtms_started brings a new one, and the audio of both is the whole meeting."""
    async with zoom_and_app(tmp_path, "fail-over") as (here, app):
        app.ask(media={"audio": L16})
        report = await here.begin(load("server-fail-over"), app.url, speed="max").finished()
        stream = report.streams[0]
        assert len(stream.server_urls) == 2
        assert len(set(stream.server_urls)) == 2
        both = [client["audio"] for client in (await app.until(lambda: app.heard("totals")))[0][0]]
        assert len(both) == 2
        assert sum(total["bytes"] for total in both) == stream.sent["audio"]["bytes"]
        assert stream.sent["audio"]["packets"] == load("server-fail-over").duration_ms // 20
        assert min(total["packets"] for total in both) > 0
        heard = [event for (event,) in app.heard("on_webhook_event")]
        assert heard.count("meeting.rtms_started") == 2


async def test_individual_video_only_after_it_was_asked_for(tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, "individual video") as (here, app):
        app.ask(media={"video": JPG | {"data_opt": 4}}, watch=True)
        on = tuple(Action(0.2, "video_on", person.user_id) for person in PEOPLE)
        meeting = here.begin(replace(SHORT, timeline=on, duration_s=60.0), app.url)
        await app.until(lambda: app.heard("on_video_subscribed") and app.heard("on_video_data"))
        await meeting.act(Action(0, "end"))
        report = await meeting.finished()
        stream = report.streams[0].stream_id
        await app.left(stream)
        assert app.heard("on_video_subscribed")[0][:2] == [PEOPLE[0].user_id, 0]
        assert len(app.totals(stream)["video"]["users"]) == 1
        same_bytes(app, report)


async def test_pause_and_resume(tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, "pause") as (here, app):
        app.ask(media={"audio": L16})
        report = await play(here, app, replace(SHORT, timeline=(Action(0.5, "pause"), Action(1.0, "resume"))))
        assert [op for op, _active, _paused in app.heard("on_session_update")] == [1, 3, 4, 2]
        # Half a second of the one and a half is not sent; the packet on the stroke of the pause still is.
        assert report.streams[0].sent["audio"]["packets"] == 50


async def test_an_interrupted_media_connection(tmp_path: Path) -> None:
    async with zoom_and_app(tmp_path, "interruption") as (here, app):
        app.ask(media={"audio": L16})
        # It lasts until the app has heard everything, however slow the machine.
        meeting = here.begin(replace(SHORT, timeline=(), duration_s=90.0), app.url)
        await app.until(lambda: app.heard("on_join_confirm"))
        live = meeting.streams[0].live
        interrupted = {"event_type": int(EventType.MEDIA_CONNECTION_INTERRUPTED), "timestamp": here.clock.now_ms()}
        live.act(live.protocol.event(EventType.MEDIA_CONNECTION_INTERRUPTED, interrupted))
        await app.until(lambda: app.heard("on_media_connection_interrupted"))
        await meeting.act(Action(0.0, "stop"))
        report = await meeting.finished()
        await app.left(report.streams[0].stream_id)
        assert len(app.heard("on_media_connection_interrupted")) == 1


async def test_sockets_that_the_client_leaves_open_are_closed_by_the_server(tmp_path: Path) -> None:
    """A stopped process answers nothing: no close frame, no keep-alive."""
    async with zoom_and_app(tmp_path, "frozen", limits=ConnectionLimits(close_s=0.3)) as (here, app):
        app.ask(media={"audio": L16})
        meeting = here.begin(replace(SHORT, duration_s=1.0, timeline=()), app.url)
        await app.until(lambda: app.heard("on_audio_data"))
        app.process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                while meeting.ended_at is None or here.open_connections:
                    await here.clock.sleep(0.05)
        finally:
            app.process.send_signal(signal.SIGCONT)


def test_the_matrix_of_call_backs(capsys: pytest.CaptureFixture[str]) -> None:
    """Every call-back of the package has fired. Runs last, in this file's order."""
    require_sdk()
    assert importlib.util.find_spec("rtms") is not None
    import rtms

    has = {name for name in dir(rtms.Client) if name.startswith("on_")}
    with capsys.disabled():
        print(f"\nZoom's rtms package: {len(has & FIRED.keys())} of {len(has)} call-backs fired")
        for name in sorted(has):
            print(f"  {name:<34} {', '.join(sorted(FIRED.get(name, ()))) or '-'}")
    if not {"ws, every kind", "individual video", "pause"} <= set().union(*FIRED.values()):
        pytest.skip("the other tests of this file did not run in this process")
    assert has - FIRED.keys() == set()
