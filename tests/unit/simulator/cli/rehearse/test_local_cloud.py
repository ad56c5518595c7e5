"""What a second `pulumi up` changes in a cloud that runs. The functions are no processes here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.api_core.exceptions import PermissionDenied
from google.cloud.tasks_v2 import CloudTasksAsyncClient, HttpRequest, Task
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from tests.unit.simulator.cli.rehearse.registrations import (
    HOST,
    PLACE,
    PROJECT,
    QUEUE,
    email,
    invoker,
    registered,
    resource,
    service,
)

from rtms_infra.rehearsal.registered import Entry, Function, NotRegistered
from rtms_simulator.cli.rehearse import local_cloud
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, Surroundings
from rtms_simulator.cli.rehearse.program import Loaded
from rtms_simulator.cli.rehearse.rehearsal import not_shown
from rtms_simulator.errors import TaskRefusedError


class Process:
    """In place of `FunctionProcess`."""

    def __init__(self, loaded: Loaded, function: Function, *_: Any) -> None:
        self.loaded, self.function, self.running = loaded, function, False
        self.url = "http://127.0.0.1:1"

    def address(self) -> str | None:
        return self.url if self.running else None

    async def start(self, local: Mapping[str, str]) -> None:
        self.local = local
        self.running = True
        self.on_start()

    def on_start(self) -> None:
        """For a test to look around at that moment."""

    async def stop(self) -> None:
        self.running = False

    async def aclose(self) -> None:
        await self.stop()


def function(role: str, **config: Any) -> Entry:
    inputs = {**service(**config).inputs, "name": f"rtms-{role}"}
    return resource(role, "gcp:cloudfunctionsv2/function:Function", **inputs)


NEW_WORKER = function("worker", environmentVariables={"CODE_HASH": "new"})


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
    await cloud.update(loaded(NEW_WORKER, files={"b": Path("new.zip")}))
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


def queue(name: str, per_second: float, pulumi_name: str = "queue") -> Entry:
    rates = {"maxDispatchesPerSecond": per_second, "maxConcurrentDispatches": 2}
    kind = "gcp:cloudtasks/queue:Queue"
    return resource(pulumi_name, kind, name=name, project=PROJECT, location="us-east4", rateLimits=rates)


def path(name: str) -> str:
    return f"{PLACE}/queues/{name}"


async def rate_of(cloud: LocalCloud, name: str) -> float:
    async with grpc.aio.insecure_channel(cloud.tasks.endpoint) as channel:
        transport = CloudTasksGrpcAsyncIOTransport(channel=channel)
        found = await CloudTasksAsyncClient(transport=transport).get_queue(name=path(name))
    return found.rate_limits.max_dispatches_per_second


async def test_queues_are_made_changed_and_deleted_as_registered(clouds: Any) -> None:
    cloud = await clouds(loaded(queue("kept", 5.0, "one"), queue("gone", 5.0, "two")))
    await cloud.update(loaded(queue("kept", 7.0, "one"), queue("made", 5.0, "three")))
    assert cloud.tasks.queues() == [path("kept"), path("made")]
    assert await rate_of(cloud, "kept") == 7.0


async def test_deletions_come_after_the_functions_and_what_is_replaced_is_deleted_first(
    clouds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue of another name is a replacement, which the provider begins with the deletion."""
    cloud = await clouds(loaded(queue("gone", 5.0, "one"), queue("old", 5.0, "two")))
    seen: list[list[str]] = []
    monkeypatch.setattr(Process, "on_start", lambda _self: seen.append(cloud.tasks.queues()))
    await cloud.update(loaded(NEW_WORKER, queue("new", 5.0, "two"), queue("made", 5.0, "three")))
    assert seen == [[path("gone"), path("made"), path("new")]]
    assert cloud.tasks.queues() == [path("made"), path("new")]


async def test_a_queue_that_comes_again_too_soon_is_refused_as_google_does(clouds: Any) -> None:
    first = loaded(queue("gone", 5.0))
    cloud = await clouds(first)
    await cloud.update(loaded())
    with pytest.raises(TaskRefusedError, match="too recently"):
        await cloud.update(first)


async def test_grants_are_taken_away_and_given_as_registered(clouds: Any) -> None:
    events, sweep = (invoker(f"serviceAccount:{email(role)}") for role in ("events", "sweep"))
    cloud = await clouds(loaded(events))

    def may_call(role: str) -> bool:
        return cloud.decisions.allowed(email(role), "run.routes.invoke", f"{PLACE}/services/rtms-worker")

    assert (may_call("events"), may_call("sweep")) == (True, False)
    await cloud.update(loaded(resource("worker-called-sweep", sweep.type, **sweep.inputs)))
    assert (may_call("events"), may_call("sweep")) == (False, True)


def job(schedule: str, uri: str = f"https://{HOST}/sweep", name: str = "sweep") -> Entry:
    inputs = {"name": name, "project": PROJECT, "region": "us-east4", "schedule": schedule, "httpTarget": {"uri": uri}}
    return resource(name, "gcp:cloudscheduler/job:Job", **inputs)


async def test_the_schedule_is_the_one_that_is_registered(clouds: Any) -> None:
    cloud = await clouds(loaded(job("* * * * *"), job("0 6 * * *", name="probe"), job("* * * * *", name="same")))
    before = dict(cloud.schedulers)
    before["sweep"].paused = True
    await cloud.update(loaded(job("*/5 * * * *"), job("* * * * *", name="same"), job("* * * * *", name="made")))
    assert set(cloud.schedulers) == {"sweep", "same", "made"}
    assert cloud.schedulers["same"] is before["same"]
    assert cloud.schedulers["sweep"] is not before["sweep"]
    assert cloud.schedulers["sweep"].paused, "an update of a job does not resume it"
    await cloud.pass_time(600.0)
    assert before["probe"].runs == []
    assert (len(before["sweep"].runs), len(cloud.schedulers["made"].runs)) == (0, 10)


def policy(text: str) -> Entry:
    matched = {"displayName": "c", "conditionMatchedLog": {"filter": f'jsonPayload.event="{text}"'}}
    return resource("alert-lost", "gcp:monitoring/alertPolicy:AlertPolicy", displayName="Lost", conditions=[matched])


async def test_alert_policies_are_those_that_are_registered(clouds: Any) -> None:
    cloud = await clouds(loaded(policy("lost")))
    cloud.watch.line("rtms-worker", '{"event": "lost"}')
    await cloud.update(loaded(policy("gone")))
    cloud.watch.line("rtms-worker", '{"event": "lost"}')
    cloud.watch.line("rtms-worker", '{"event": "gone"}')
    assert [page.why for page in cloud.watch.monitoring.pages] == ["the line lost", "the line gone"]


async def test_the_front_of_a_function_is_the_one_of_its_new_settings(clouds: Any) -> None:
    cloud = await clouds(loaded())
    assert (await cloud.fronts["worker"].answer("GET", "/", [], b"", internal=False)).status == 403
    await cloud.update(loaded(function("worker", ingressSettings="ALLOW_INTERNAL_ONLY")))
    assert (await cloud.fronts["worker"].answer("GET", "/", [], b"", internal=False)).status == 404


async def test_a_function_of_another_account_calls_as_that_account(clouds: Any) -> None:
    """The guard of Cloud Tasks asks the grants of the account that the function now runs as."""
    cloud = await clouds(loaded(queue("rtms-handoffs", 5.0)))
    await cloud.update(loaded(queue("rtms-handoffs", 5.0), function("worker", serviceAccountEmail=email("other"))))
    async with grpc.aio.insecure_channel(cloud.guards["tasks", "worker"].endpoint) as channel:
        client = CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel))
        with pytest.raises(PermissionDenied, match=r"cloudtasks\.tasks\.create"):
            await client.create_task(parent=QUEUE, task=Task(http_request=HttpRequest(url=f"https://{HOST}/events")))
    assert any(what.startswith(email("other")) for what in cloud.decisions.refused)


ARCHIVING = function("worker", environmentVariables={"ARCHIVE_URL": "gs://p-archive"})
ARCHIVE = resource("archive", "gcp:storage/bucket:Bucket", name="p-archive")


async def test_the_registered_bucket_of_the_archive_is_a_folder_and_that_is_said(clouds: Any, tmp_path: Path) -> None:
    cloud = await clouds(loaded())
    assert "ARCHIVE_URL" not in cloud.services["worker"].local
    assert not any("archive" in sentence for sentence in not_shown(loaded()))
    await cloud.update(loaded(ARCHIVING, ARCHIVE))
    folder = tmp_path / "buckets" / "p-archive"
    assert folder.is_dir()
    assert cloud.services["worker"].local["ARCHIVE_URL"] == f"file://{folder}"
    assert any(sentence.endswith("is checked: p-archive.") for sentence in not_shown(loaded(ARCHIVING, ARCHIVE)))


async def test_an_archive_in_a_bucket_that_is_not_registered_is_named(clouds: Any) -> None:
    with pytest.raises(NotRegistered, match="no bucket `p-archive` is registered"):
        await clouds(loaded(ARCHIVING))
