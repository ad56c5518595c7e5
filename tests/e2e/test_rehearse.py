"""`rtmskit rehearse`: the unmodified program on this machine, and what drills make of it and of planted mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import firestore_emulator
from tests.e2e.processes import rtmskit
from tests.e2e.rehearsed_mistakes import MISTAKES, Seen
from tests.infra.deployment import ROOT, copy_program

from rtms_simulator.cli.rehearse.drill import drills

pytestmark = [pytest.mark.xdist_group("rehearse"), pytest.mark.timeout(300)]

PATIENCE_S = 280


def rehearsed(*arguments: str, cwd: Path) -> tuple[int, dict[str, Any], str]:
    done = rtmskit("rehearse", "--json", *arguments, cwd=cwd, timeout=PATIENCE_S)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_meeting_and_a_missing_grant(tmp_path: Path) -> None:
    """The cheap part of `make rehearse`: everything is well, then the grant of the queues' identity is taken away and given again."""
    firestore_emulator.require()
    page = tmp_path / "report.html"
    code, report, errors = rehearsed("--drill", "meeting", "--drill", "worker-forbidden", "--html", str(page), cwd=ROOT)
    assert code == 0, (report, errors)
    meeting, forbidden = report["drills"]
    assert (meeting["name"], meeting["fired"], meeting["refused"]) == ("meeting", {}, [])
    assert {"start-unseen", "tasks-failing"} <= set(forbidden["fired"])
    assert any("oncall@example.com" in text for text in forbidden["pages"])
    assert any("run.routes.invoke" in text for text in forbidden["refused"])
    assert "  Starts: acknowledged and seen" in meeting["dashboard"]
    assert any(line.strip().startswith("start_acked: ") for line in meeting["dashboard"])
    assert any("nothing costs anything" in text or "no image is built" in text for text in report["without"])
    written = page.read_text()
    assert "worker-forbidden" in written
    assert "Dashboard at the end" in written


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """`project(file, old, new)`: a copy of the project with one mistake in `infra/rtms_infra`."""

    def planted(file: str, old: str, new: str) -> Path:
        program = copy_program(tmp_path)
        path = program / "rtms_infra" / file
        text = path.read_text()
        assert old in text, f"{file} has changed: there is no {old!r} to replace"
        path.write_text(text.replace(old, new))
        return tmp_path

    return planted


def failed(report: dict[str, Any]) -> dict[str, str]:
    """What was promised and does not hold -> what was found."""
    return {one["what"]: one["found"] for drill in report["drills"] for one in drill["promises"] if not one["holds"]}


def check(mistake: Seen, project: Callable[[str, str, str], Path]) -> None:
    """The drill fails, and its report names the mistake."""
    planted = mistake.planted
    where = project(planted.file, planted.old, planted.new)
    code, report, errors = rehearsed("--drill", mistake.drill, "--patience", "10", *mistake.flags, cwd=where)
    assert code == 1, (report, errors)
    [result] = report["drills"]
    assert mistake.words in " ".join([*failed(report), *failed(report).values(), *result["refused"], *result["lines"]]), result


AT_ONCE = ("a secret's grant for the other function", "outside the grid")
"""Of the mistakes those that fail early: `make test` plants them, `pytest -m long` all."""


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.what in AT_ONCE], ids=lambda one: one.what)
def test_a_mistake_that_shows_at_once_is_named(mistake: Seen, project: Callable[[str, str, str], Path]) -> None:
    check(mistake, project)


def test_a_grant_that_is_missing_is_named_and_the_other_drill_still_counts(project: Callable[[str, str, str], Path]) -> None:
    where = project("functions.py", '"worker-called-{role}"', '"worker-asked-{role}"')
    code, report, errors = rehearsed("--drill", "worker-forbidden", "--drill", "destroy", cwd=where)
    assert code == 1, (report, errors)
    assert [(result["name"], result["ok"]) for result in report["drills"]] == [("worker-forbidden", False), ("destroy", True)]
    assert failed(report)["all that this needs is registered"] == "no grant `worker-called-events` is registered"
    assert "bug in rtmskit" not in errors


NEW_CODE = """("Other code" in open(__file__.replace("infra/rtms_infra/queues.py", "function/main.py")).read())"""
"""In `queues.py`: whether this is the run of the program with the code that a drill deploys over the first."""


def test_a_role_that_the_second_version_takes_away_is_named(project: Callable[[str, str, str], Path]) -> None:
    where = project("queues.py", "for role in PRODUCERS\n", f"for role in PRODUCERS[{NEW_CODE}:]\n")
    code, report, errors = rehearsed("--drill", "redeploy", "--patience", "10", cwd=where)
    assert code == 1, (report, errors)
    [result] = report["drills"]
    assert failed(report)["no event was refused"]
    assert any("rtmskit-minimal-webhook@" in what and "lacks cloudtasks.tasks.create" in what for what in result["refused"])


def test_an_output_that_is_missing_is_named(project: Callable[[str, str, str], Path]) -> None:
    where = project(
        "../__main__.py", "for name, value in outputs.items():\n", "outputs.pop('recallWebhookUrl')\nfor name, value in outputs.items():\n"
    )
    code, report, errors = rehearsed("--drill", "meeting", cwd=where)
    assert code == 1, (report, errors)
    assert "no output `recallWebhookUrl`" in failed(report)["all that this needs is registered"]
    assert "meeting" in errors
    assert "bug in rtmskit" not in errors


@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.what)
def test_every_planted_mistake_is_named_by_its_drill(mistake: Seen, project: Callable[[str, str, str], Path]) -> None:
    check(mistake, project)


def test_the_table_names_thirty_mistakes_of_behaviour_each_with_its_rule_and_its_drill() -> None:
    assert len(MISTAKES) >= 30
    assert len({(one.kind, one.what) for one in MISTAKES}) == len(MISTAKES)
    known = drills()
    assert {one.drill for one in MISTAKES} <= set(known)
    assert all(one.planted.rule for one in MISTAKES)


def test_settings_that_the_program_refuses_are_refused_with_its_words(tmp_path: Path) -> None:
    settings = tmp_path / "Pulumi.test.yaml"
    settings.write_text("config:\n  gcp:project: acme-rtms\n  rtmskit:region: nowhere\n  rtmskit:recallRegion: us-east-1\n")
    done = rtmskit("rehearse", str(settings), cwd=tmp_path, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert "rtmskit:region" in done.stderr
    assert "rtmskit:zoomClientId" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_plays_in_what_the_program_deploys(tmp_path: Path) -> None:
    done = rtmskit("demo", "--rehearsed", "--keep", "--json", cwd=tmp_path, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["ok"] is True
    assert summary["samples"]["count"] == 192_000
    assert [row["status"] for row in summary["webhooks"]] == [200, 200]
    in_emulator = summary["state_url"] == "firestore://acme-rtms/rtmskit-minimal"
    assert in_emulator or firestore_emulator.unavailable(), summary["state_url"]
    kept = {path.name for path in (tmp_path / ".rtmskit" / "demo").iterdir()}
    assert kept == {"downloads"}, "the copy of the project goes"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("secrets.py", "identity.member(READER[variable])", 'identity.member("build")', "does not start: Permission denied on secret"),
        ("alerts.py", "(sum(increase({acked_series}{window(unseen_s)}))", "(sum(rate({acked_series}{window(unseen_s)}))", "cannot read"),
        ("stack.py", '"WORKER_URL": worker_url', '"WORKER_URL": worker_ur', "name 'worker_ur' is not defined"),
    ],
    ids=["a grant", "a query", "the program itself"],
)
def test_a_demo_of_a_program_with_a_mistake_names_it(
    file: str, old: str, new: str, says: str, project: Callable[[str, str, str], Path]
) -> None:
    done = rtmskit("demo", "--rehearsed", cwd=project(file, old, new), timeout=PATIENCE_S)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.rpartition("\n")[0].splitlines()[-1].startswith("Do: ")
