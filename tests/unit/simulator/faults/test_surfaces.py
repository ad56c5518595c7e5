"""Every step of every family of faults, given on every surface: one test for each cell of the table in docs/faults.md."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from rtms_simulator.cli import cli
from rtms_simulator.cli.fakes import running
from rtms_simulator.faults import Occasion, parse_fault
from rtms_simulator.faults.reference import FaultRow, rows
from rtms_simulator.scenario import Action, load_scenario
from rtms_simulator.testing.sandbox import WebhookSandbox

HOOK = "http://127.0.0.1:1/zoom-webhook"
ALL = [pytest.param(row, id=row.example) for row in rows()]
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


@pytest.fixture(autouse=True)
def nothing_armed(sandbox):
    yield

    async def clear() -> None:
        sandbox.stack.faults.clear()

    sandbox._call(clear())


def armed(sandbox: WebhookSandbox) -> list[str]:
    return [str(one.fault) for one in sandbox.stack.faults.listed()]


def of_a_moment(row: FaultRow) -> bool:
    return parse_fault(row.example).family.occasion is Occasion.MOMENT


@pytest.mark.parametrize("row", ALL)
def test_on_the_command_line(sandbox, tmp_path, monkeypatch, row: FaultRow):
    running.write(tmp_path / "up.json", msgspec.structs.replace(sandbox.stack.described(), webhook_url=HOOK))
    monkeypatch.setenv("RTMSKIT_UP", str(tmp_path / "up.json"))
    if of_a_moment(row):
        done = CliRunner().invoke(cli, ["meeting", "play", "--speed", "max", "--fault", row.example, "--json"], catch_exceptions=False)
        assert done.exit_code in (0, 1), done.output  # it took place, and nobody joined
        assert json.loads(done.stdout)["meetings"]
        refused = CliRunner().invoke(cli, ["faults", "add", row.example], catch_exceptions=False)
        assert (refused.exit_code, "meeting play --fault" in refused.stderr) == (2, True)
        return
    done = CliRunner().invoke(cli, ["faults", "add", row.example], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert armed(sandbox) == [row.example]


@pytest.mark.parametrize("row", ALL)
def test_in_a_scenario(sandbox, row: FaultRow):
    scenario = replace(SHORT, timeline=(Action(0.0, "fault", data={"fault": row.example}),))

    async def play() -> list[str]:
        meeting = sandbox.stack.zoom.begin(scenario, HOOK, speed="max")
        waiting = [str(one.fault) for one in (*meeting.faults.listed(), *sandbox.stack.faults.listed())]
        await meeting.aclose()
        return waiting

    waiting = sandbox._call(play())
    if not of_a_moment(row) and parse_fault(row.example).family.prefix != "zoom.webhook":
        assert row.example in waiting
    assert row.vendor == "zoom" or armed(sandbox) == [row.example]


@pytest.mark.parametrize("row", ALL)
def test_on_the_control_plane(sandbox, row: FaultRow):
    url = sandbox.stack.described().control_url
    with httpx.Client(trust_env=False) as client:
        if of_a_moment(row):
            begun = client.post(f"{url}/meetings", json={"faults": [row.example], "webhook_url": HOOK, "wait": False})
            assert begun.status_code == 200, begun.text
            for meeting in begun.json()["meetings"]:
                client.delete(f"{url}/meetings/{meeting['id']}")
            assert client.post(f"{url}/faults", json={"fault": row.example}).status_code == 422
            return
        answer = client.post(f"{url}/faults", json={"fault": row.example})
        assert (answer.status_code, answer.json()["fault"], answer.json()["vendor"]) == (200, row.example, row.vendor)


@pytest.mark.parametrize("row", ALL)
def test_in_the_sandbox(sandbox, row: FaultRow):
    if of_a_moment(row):
        assert sandbox.play(HOOK, faults=[row.example]).deliveries
    else:
        sandbox.fault(row.example)
        assert armed(sandbox) == [row.example]


def test_every_family_has_its_row():
    assert len(ALL) >= 40
