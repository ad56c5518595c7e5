"""What a second `pulumi up` changes in a cloud that runs. The functions are no processes here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.simulator.cli.rehearse.registrations import registered, resource, service

from rtms_infra.rehearsal.registered import Entry, Function
from rtms_simulator.cli.rehearse import local_cloud
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, Surroundings
from rtms_simulator.cli.rehearse.program import Loaded


class Process:
    """In place of `FunctionProcess`."""

    def __init__(self, loaded: Loaded, function: Function, *_: Any) -> None:
        self.loaded, self.function, self.running = loaded, function, False
        self.url = "http://127.0.0.1:1"

    def address(self) -> str | None:
        return self.url if self.running else None

    async def start(self, _local: Mapping[str, str]) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    async def aclose(self) -> None:
        await self.stop()


def function(role: str, **config: Any) -> Entry:
    inputs = {**service(**config).inputs, "name": f"rtms-{role}"}
    return resource(role, "gcp:cloudfunctionsv2/function:Function", **inputs)


def loaded(*entries: Entry, files: Mapping[str, Path] | None = None) -> Loaded:
    both = [] if any(entry.name == "worker" for entry in entries) else [function("worker")]
    whole = registered(function("webhook"), *both, *entries)
    whole.outputs = {"zoomEventUrl": "https://w/zoom", "recallWebhookUrl": "https://w/recall"}
    return Loaded(whole, files or {}, {})


@pytest.fixture
async def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Any]:
    """`await clouds(loaded)`: one that has started."""
    monkeypatch.setattr(local_cloud, "FunctionProcess", Process)
    made: list[LocalCloud] = []

    async def read(_self: LocalCloud, _url: str) -> None:
        """No worker answers here."""

    monkeypatch.setattr(LocalCloud, "_look_into_records", read)

    async def start(first: Loaded) -> LocalCloud:
        made.append(LocalCloud(first, Surroundings(tmp_path)))
        await made[-1].start()
        return made[-1]

    yield start
    for cloud in made:
        await cloud.aclose()


async def test_an_up_that_changes_nothing_restarts_nothing(clouds: Any) -> None:
    cloud = await clouds(loaded())
    before = dict(cloud.services)
    await cloud.update(loaded())
    assert cloud.services == before
    assert all(one.running for one in before.values())


async def test_only_the_function_that_differs_is_another_revision(clouds: Any) -> None:
    cloud = await clouds(loaded(files={"a": Path("old.zip")}))
    before = dict(cloud.services)
    await cloud.update(loaded(function("worker", environmentVariables={"CODE_HASH": "new"}), files={"b": Path("new.zip")}))
    assert cloud.services["webhook"] is before["webhook"]
    assert cloud.services["worker"] is not before["worker"]
    assert not before["worker"].running
    assert cloud.fronts["worker"].function is cloud.services["worker"].function
    assert cloud.variable("worker", "CODE_HASH") == "new"
    assert set(cloud.services["worker"].loaded.files) == {"a", "b"}, "the archive of before can still be unpacked"


async def test_a_change_that_only_a_build_sees_is_another_revision_too(clouds: Any) -> None:
    cloud = await clouds(loaded())
    before = cloud.services["worker"]
    again = function("worker")
    build = {**again.inputs["buildConfig"], "environmentVariables": {"RTMSKIT_REDEPLOY": "1"}}
    await cloud.update(loaded(resource("worker", again.type, **{**again.inputs, "buildConfig": build})))
    assert cloud.services["worker"] is not before
