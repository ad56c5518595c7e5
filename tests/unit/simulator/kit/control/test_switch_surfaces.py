"""Every switch of every fake, set on every surface: one test for each cell of the table in docs/switches.md."""

from __future__ import annotations

import json
import shlex

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.simulator.started_up import started_up

from rtms_simulator.cli import cli
from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.fakes import switches as switches_command
from rtms_simulator.control import answers
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.kit.control.examples import another_value, surfaces
from rtms_simulator.kit.control.switches import all_switches
from rtms_simulator.testing.sandbox import WebhookSandbox

HOOK = "http://127.0.0.1:1/zoom-webhook"
ALL = [pytest.param(row, id=row.name) for row in default_switches()]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    one = WebhookSandbox(tmp_path_factory.mktemp("switches"))
    one.start()
    one._call(_frozen(one))
    yield one
    one.close()


async def _frozen(sandbox: WebhookSandbox) -> None:
    sandbox.stack.clock.freeze()


@pytest.fixture(autouse=True)
def as_at_the_start(sandbox):
    yield
    sandbox._call(sandbox.stack.forget())
    sandbox._call(_frozen(sandbox))
    assert _set(sandbox) == FIRST, "a reset brings the defaults back"


def _set(sandbox: WebhookSandbox) -> dict[str, object]:
    """The switches that are not at their defaults."""
    return {row.name: row.value for row in all_switches(sandbox.stack.fakes) if row.value != row.default}


FIRST = {"recall.allow_local_urls": "server_urls"}
"""What a stack on this machine sets by itself."""


def expected(row: answers.SwitchRow) -> dict[str, object]:
    return FIRST | {row.name: another_value(row)}


@pytest.fixture
def rtmskit(sandbox, tmp_path, monkeypatch):
    running.write(tmp_path / "up.json", msgspec.structs.replace(sandbox.stack.described(), webhook_url=HOOK))
    monkeypatch.setenv("RTMSKIT_UP", str(tmp_path / "up.json"))
    return lambda *argv: CliRunner().invoke(cli, list(argv), catch_exceptions=False)


@pytest.mark.parametrize("row", ALL)
def test_on_the_command_line(sandbox, rtmskit, row: answers.SwitchRow):
    done = rtmskit("switches", "set", *shlex.split(surfaces(row)[0]))
    assert done.exit_code == 0, done.output
    assert _set(sandbox) == expected(row)
    [shown] = [one for one in json.loads(rtmskit("switches", "list", "--json").stdout)["switches"] if one["name"] == row.name]
    assert (shown["value"], shown["default"], shown["evidence"]) == (another_value(row), row.default, row.evidence)
    assert shown["source"]


@pytest.mark.parametrize("row", ALL)
def test_on_the_command_line_from_the_start_on(tmp_path, monkeypatch, row: answers.SwitchRow):
    code, answer = started_up(monkeypatch, tmp_path, "/switches", "--set", *shlex.split(surfaces(row)[0]))
    assert code == 0
    assert {one.name: one.value for one in answers.decode(answer, answers.SwitchList).switches if one.value != one.default} == expected(row)


@pytest.mark.parametrize("columns", [None, "40", "80"], ids=["pipe", "40", "80"])
def test_the_list_for_people_shows_each_with_value_default_evidence_and_source(sandbox, rtmskit, monkeypatch, columns):
    if columns:
        monkeypatch.setattr(switches_command, "on_terminal", lambda: True)
        monkeypatch.setenv("COLUMNS", columns)
    assert rtmskit("switches", "set", "recall.page_size=3").exit_code == 0
    lines = rtmskit("switches", "list").stdout.splitlines()
    assert not columns or max(map(len, lines)) <= int(columns)
    text = "".join("".join(lines).split())
    for row in default_switches():
        value = (FIRST | {"recall.page_size": 3}).get(row.name, row.value)
        if columns:
            parts = [f"{row.name} = {plain(value)}", f"default {plain(row.default)}; {row.evidence}, {row.source}", row.says]
        else:
            parts = [row.name, plain(value), plain(row.default), row.evidence, row.source, row.says]
        assert "".join("".join(parts).split()) in text, row.name


def plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("row", ALL)
def test_in_a_scenario(sandbox, tmp_path, row: answers.SwitchRow):
    (tmp_path / "mine.toml").write_text(f'duration_s = 1\npeople = [{{ name = "Ada" }}]\n[switches]\n{surfaces(row)[1]}\n')
    with httpx.Client(trust_env=False) as client:
        asked = {"scenario": str(tmp_path / "mine.toml"), "webhook_url": HOOK, "wait": False}
        begun = client.post(f"{sandbox.stack.described().control_url}/meetings", json=asked)
    assert begun.status_code == 200, begun.text
    assert _set(sandbox) == expected(row)


@pytest.mark.parametrize("row", ALL)
def test_on_the_control_plane(sandbox, row: answers.SwitchRow):
    with httpx.Client(trust_env=False) as client:
        answer = client.patch(f"{sandbox.stack.described().control_url}/switches", json={"set": json.loads(surfaces(row)[2])})
    assert answer.status_code == 200, answer.text
    listed = answers.decode(answer.content, answers.SwitchList).switches
    assert {one.name: one.value for one in listed if one.value != one.default} == expected(row)


@pytest.mark.parametrize("row", ALL)
def test_in_the_sandbox(sandbox, row: answers.SwitchRow):
    eval(f"sandbox.{surfaces(row)[3]}", {"sandbox": sandbox})
    assert _set(sandbox) == expected(row)


def test_the_table_has_every_switch():
    assert len(ALL) >= 60


@pytest.mark.parametrize(
    ("switch", "says"),
    [
        ("zoom.closecode = 1", "there is no switch zoom.closecode; did you mean zoom.close_code?"),
        ('zoom.close_code = "x"', "zoom.close_code cannot be 'x'"),
        ("recall.limits = { create = true }", "recall.limits cannot be"),
        ("page_size = 3", "not a switch"),
    ],
)
def test_a_scenario_with_a_switch_that_cannot_be_is_refused_with_its_line_and_sets_none(sandbox, rtmskit, tmp_path, switch, says):
    file = tmp_path / "mine.toml"
    file.write_text(f'duration_s = 1\npeople = [{{ name = "Ada" }}]\n[switches]\nrecall.page_size = 3\n{switch}\n')
    for command in (("scenarios", "show"), ("meeting", "play")):
        done = rtmskit(*command, str(file))
        assert done.exit_code == 2
        assert f"{file}:5: switches." in done.stderr
        assert says in done.stderr
    assert _set(sandbox) == FIRST


def test_a_play_that_is_refused_leaves_the_switches_as_they_were(sandbox, tmp_path):
    (tmp_path / "mine.toml").write_text('duration_s = 1\npeople = [{ name = "Ada" }]\n[switches]\nrecall.page_size = 3\n')
    with httpx.Client(trust_env=False) as client:
        asked = {"scenario": str(tmp_path / "mine.toml"), "webhook_url": HOOK, "media": "/nowhere.mp4"}
        assert client.post(f"{sandbox.stack.described().control_url}/meetings", json=asked).status_code == 422
    assert _set(sandbox) == FIRST
