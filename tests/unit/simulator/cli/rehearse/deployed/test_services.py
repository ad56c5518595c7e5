"""A function as a process: where no Python can be made for it, the command says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.simulator.cli.rehearse.test_rehearsal import Stub

from rtms_infra.rehearsal import environments
from rtms_simulator.cli.play.outcome import BadInput
from rtms_simulator.cli.rehearse.deployed import services
from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.rehearsal import Manner, rehearse
from rtms_simulator.serving import firestore_emulator

PIPS = "ERROR: No matching distribution found for no-such-package==1.0"


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refused(*_: object) -> None:
        raise environments.RequirementsRefused(PIPS)

    monkeypatch.setattr(environments, "build", refused)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lock = tmp_path / "requirements.txt"
    lock.write_text("".join(f"no-such-package-{number}==1.0\n" for number in range(5)))
    return lock


def test_without_the_functions_packages_it_is_said_what_is_missing_and_what_to_do(requirements: Path) -> None:
    with pytest.raises(BadInput) as caught:
        services._interpreter(requirements)
    assert "lacks no-such-package-0==1.0, no-such-package-1==1.0, no-such-package-2==1.0, ..." in str(caught.value)
    assert PIPS in str(caught.value)
    assert "package index" in caught.value.do


async def test_it_ends_the_rehearsal_and_not_one_drill(requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firestore_emulator, "unavailable", lambda: "no Java on PATH")

    async def run(_scene: Scene) -> None:
        services._interpreter(requirements)

    drills = {name: Drill("Something happens.", run, deployed=False) for name in "ab"}
    with pytest.raises(BadInput, match="no-such-package"):
        await rehearse(Stub([]), drills, tmp_path, Manner(jobs=2))
