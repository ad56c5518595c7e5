"""Every step of every family of faults, given on every surface: one test for each cell of the table in docs/faults.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.simulator.started_up import started_up

from rtms_simulator.cli import cli
from rtms_simulator.cli.fakes import running
from rtms_simulator.control.answers import FaultList, MeetingList, MeetingRow, decode
from rtms_simulator.faults import Occasion, parse_fault
from rtms_simulator.faults.reference import FaultRow, rows, surfaces
from rtms_simulator.scenario import Action, load_scenario
from rtms_simulator.testing.sandbox import WebhookSandbox
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.meeting.meeting import Meeting
from rtms_simulator.zoom.rtms.stream import LiveStream

HOOK = "http://127.0.0.1:1/zoom-webhook"
PLAY = "meeting play --fault"
ALL = [pytest.param(row, id=row.example) for row in rows()]
PLAYED = [pytest.param(row, id=row.example) for row in rows() if PLAY in surfaces(row)[0]]
SHORT = replace(load_scenario("stand-up"), duration_s=2.0, timeline=())


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    one = WebhookSandbox(tmp_path_factory.mktemp("surfaces"))
    one._plan = replace(one._plan, webhook_url=HOOK)
    one.start()
    one._call(_hurry(one))
    yield one
    one.close()


async def _hurry(sandbox: WebhookSandbox) -> None:
    sandbox.stack.clock.set_rate(1000)  # nobody joins, which Zoom gives up on after a minute


@pytest.fixture(scope="module")
def book(sandbox) -> list[str]:
    """Every fault that has been armed in this test; at this rate of the clock the state of a queue is soon over."""
    seen: dict[int, str] = {}
    texts: list[str] = []

    def look() -> None:
        for one in sandbox.stack.faults.listed():
            if one.id not in seen:
                seen[one.id] = str(one.fault)
                texts.append(seen[one.id])

    sandbox.stack.faults.on_change(look)
    return texts


@pytest.fixture
def armed(sandbox, book):
    book.clear()
    yield book

    async def clear() -> None:
        sandbox.stack.faults.clear()

    sandbox._call(clear())


def of_a_moment(row: FaultRow) -> bool:
    return parse_fault(row.example).family.occasion is Occasion.MOMENT


def shows(row: FaultRow, idle: Sequence[str], servers: Sequence[Sequence[str]]) -> bool:
    """Whether a fault of a moment reached a meeting that nobody joined: it acted, or the meeting says that it could not.

    `servers`: the server_urls of each stream.
    """
    if row.step == "concurrency-limited":
        return not servers and not idle
    if row.step == "fail-over":
        return row.example in idle or [len(urls) for urls in servers] == [2]
    return row.example in idle and len(servers) == 1


def used(row: FaultRow, meeting: MeetingRow) -> bool:
    """Whether it shows in a meeting that was given it and that nobody joined."""
    if of_a_moment(row):
        return shows(row, meeting.idle_faults, [stream.server_urls for stream in meeting.streams])
    if row.target.startswith("zoom.webhook"):
        return meeting.deliveries[0].faults == [row.example]
    return meeting.idle_faults == [row.example]


@pytest.fixture
def rtmskit(sandbox, tmp_path, monkeypatch):
    running.write(tmp_path / "up.json", msgspec.structs.replace(sandbox.stack.described(), webhook_url=HOOK))
    monkeypatch.setenv("RTMSKIT_UP", str(tmp_path / "up.json"))
    return lambda *argv: CliRunner().invoke(cli, list(argv), catch_exceptions=False)


@pytest.mark.parametrize("row", PLAYED)
def test_on_the_command_line_for_one_meeting(rtmskit, armed, row: FaultRow):
    done = rtmskit("meeting", "play", "--speed", "max", "--fault", row.example, "--json")
    assert done.exit_code in (0, 1), done.output  # it took place, and nobody joined
    [meeting] = msgspec.convert(json.loads(done.stdout)["meetings"], list[MeetingRow])
    if row.vendor == "zoom":
        assert used(row, meeting)
    assert armed == ([] if row.vendor == "zoom" else [row.example])


@pytest.mark.parametrize("row", ALL)
def test_on_the_command_line_until_it_is_cleared(rtmskit, armed, row: FaultRow):
    done = rtmskit("faults", "add", row.example)
    if "faults add" not in surfaces(row)[0]:
        assert (done.exit_code, PLAY in done.stderr) == (2, True)
        return
    assert done.exit_code == 0, done.output
    assert armed == [row.example]


@pytest.mark.parametrize("row", ALL)
def test_on_the_command_line_from_the_start_on(tmp_path, monkeypatch, row: FaultRow):
    code, answer = started_up(monkeypatch, tmp_path, "/faults", "--fault", row.example)
    if "up --fault" not in surfaces(row)[0]:
        assert (code, answer) == (2, b"")
        return
    assert [one.fault for one in decode(answer, FaultList).armed] == [row.example]


@pytest.mark.parametrize("row", ALL)
def test_in_a_scenario(sandbox, armed, row: FaultRow):
    scenario = replace(SHORT, timeline=(Action(0.0, "fault", data={"fault": row.example}),))

    async def play() -> tuple[Meeting, MeetingReport]:
        meeting = sandbox.stack.zoom.begin(scenario, HOOK, speed=1.0)
        return meeting, await meeting.finished()

    meeting, report = sandbox._call(play())
    assert scripted(row, meeting, report)
    assert armed == ([] if row.vendor == "zoom" else [row.example])


def scripted(row: FaultRow, meeting: Meeting, report: MeetingReport) -> bool:
    """Whether it shows in a meeting that has it in its script and that nobody joined; what waits or changed nothing is named there, too."""
    if row.target.startswith("zoom.webhook"):
        return report.deliveries[0].faults == (row.example,)
    if row.step in LASTING and [LASTING[row.step](stream.live) for stream in meeting.streams] != [True]:
        return False
    if of_a_moment(row):
        return shows(row, report.idle_faults, [stream.server_urls for stream in report.streams])
    return report.idle_faults == ((row.example,) if row.vendor == "zoom" else ())


LASTING: dict[str, Callable[[LiveStream], bool]] = {
    "keep-alive-silence": lambda stream: stream.protocol.silent,
    "slow-close": lambda stream: stream.slow_close_s == 5,
}
"""Steps that are set on a stream and show as soon as somebody is there."""


@pytest.mark.parametrize("row", ALL)
def test_on_the_control_plane(sandbox, armed, row: FaultRow):
    url = sandbox.stack.described().control_url
    with httpx.Client(trust_env=False, timeout=60) as client:
        if of_a_moment(row):
            begun = client.post(f"{url}/meetings", json={"faults": [row.example], "webhook_url": HOOK, "wait": True, "speed": "max"})
            assert begun.status_code == 200, begun.text
            [meeting] = decode(begun.content, MeetingList).meetings
            assert used(row, meeting)
            assert client.post(f"{url}/faults", json={"fault": row.example}).status_code == 422
            return
        answer = client.post(f"{url}/faults", json={"fault": row.example})
        assert (answer.status_code, answer.json()["fault"], answer.json()["vendor"]) == (200, row.example, row.vendor)
        assert armed == [row.example]


@pytest.mark.parametrize("row", ALL)
def test_in_the_sandbox(sandbox, armed, row: FaultRow):
    if of_a_moment(row):
        report = sandbox.play(HOOK, faults=[row.example])
        assert report.deliveries
        assert shows(row, report.idle_faults, [stream.server_urls for stream in report.streams])
    else:
        sandbox.fault(row.example)
        assert armed == [row.example]


def test_every_family_has_its_row():
    assert len(ALL) >= 40
