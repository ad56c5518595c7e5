"""`rtms_simulator.kit.stack`: the fakes wired together, without the functions (tests/e2e starts those)."""

import asyncio
import socket
from dataclasses import fields, replace

import httpx
import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.errors import FaultError, PortTakenError, StateUnusableError, SwitchError, WorkerRefusedError
from rtms_simulator.kit import stack as stack_module
from rtms_simulator.kit.control.fakes import Secrets
from rtms_simulator.kit.control.switches import set_switches
from rtms_simulator.kit.stack import Plan, Ports, Stack
from rtms_simulator.scenario import load


@pytest.mark.parametrize("part", [field.name for field in fields(Ports)])
async def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path, part):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stack = Stack(Plan(tmp_path / "files", ports=replace(Ports(), **{part: taken.getsockname()[1]})))
        with pytest.raises(PortTakenError, match=f"the {part} server"):
            await stack.start()
        await stack.aclose()
    assert not (tmp_path / "files").exists()


def test_one_seed_one_set_of_secrets():
    assert Secrets.of_seed(7) == Secrets.of_seed(7)
    assert not set(fields_of(Secrets.of_seed(7))) & set(fields_of(Secrets.of_seed(8)))


def fields_of(secrets: Secrets) -> list[str]:
    return [getattr(secrets, field.name) for field in fields(secrets)]


@pytest.fixture
async def stack(tmp_path):
    one = Stack(Plan(tmp_path, function=False, webhook_url="http://127.0.0.1:1/zoom", recall_webhook_url="http://127.0.0.1:1/recall"))
    await one.start()
    yield one
    await one.aclose()


async def test_receivers_of_ones_own_are_what_is_described(stack):
    said = stack.described()
    assert (said.webhook_url, said.recall_webhook_url, said.worker_url) == (
        "http://127.0.0.1:1/zoom",
        "http://127.0.0.1:1/recall",
        "",
    )


async def test_zooms_own_rest_call_is_served_beside_the_control_plane(stack):
    said = stack.described()
    async with httpx.AsyncClient(base_url=said.zoom.rest_url, trust_env=False) as client:
        assert (await client.patch("/v2/live_meetings/1/rtms_app/status", json={})).json()["code"] == 124


async def test_reset_forgets_what_the_fakes_know(stack):
    stack.zoom.begin(load("stand-up"), "http://127.0.0.1:1/zoom")
    stack.faults.add("zoom.webhook.*: lost x*")
    assert await stack.forget()
    assert not stack.zoom.meetings
    assert stack.tasks.tasks() == []
    assert stack.faults.listed() == ()


async def test_switches_and_faults_of_the_plan_are_there_at_the_start_and_after_a_reset(tmp_path):
    given = {"zoom.close_code": 1001, "recall.page_size": 3, "tasks.dedup_s": 7.0}
    one = Stack(Plan(tmp_path, function=False, switches=given, faults=("recall.create: 503 x2", "tasks.queue.handoffs: stall")))
    await one.start()
    try:
        for _ in range(2):
            assert (one.zoom.switches.close_code, one.recall.switches.page_size, one.tasks.switches.dedup_s) == (1001, 3, 7.0)
            assert one.faults.listed()[0].left == 2
            assert [str(fault.fault) for fault in one.faults.listed()] == ["recall.create: 503 x2", "tasks.queue.handoffs: stall"]
            set_switches(one.fakes, {"zoom.close_code": 1002, "recall.page_size": 4, "tasks.dedup_s": 8.0})
            one.faults.clear()
            await one.forget()
    finally:
        await one.aclose()


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"faults": ("recall.creat: 503",)}, FaultError, "did you mean create"),
        ({"faults": ("tasks.queue.handofs: stall",)}, FaultError, "did you mean handoffs"),
        ({"faults": ("zoom.stream: drop-media",)}, FaultError, "it happens at a moment of one meeting"),
        ({"switches": {"zoom.closecode": 1}}, SwitchError, "did you mean zoom.close_code"),
    ],
)
async def test_what_the_plan_cannot_have_is_refused_before_the_functions_start(tmp_path, monkeypatch, given, error, says):
    async def never(self):
        raise AssertionError("started")

    monkeypatch.setattr(Stack, "_start_function", never)
    one = Stack(Plan(tmp_path, **given))
    try:
        with pytest.raises(error, match=says):
            await one.start()
    finally:
        await one.aclose()


async def test_reset_brings_the_clock_back_to_real_time(stack):
    asleep = asyncio.ensure_future(stack.clock.sleep(86_400 + 0.3))
    await asyncio.sleep(0)
    for frozen in (False, True):
        stack.clock.advance(43_200)
        if frozen:
            stack.clock.freeze()
        await stack.forget()
        assert abs(stack.clock.now() - Clock().now()) < 1
        assert stack.clock.rate == 1
    await asyncio.wait_for(asleep, 5)


async def test_reset_gives_new_ids_where_records_are_kept(tmp_path):
    keeping = Stack(Plan(tmp_path, function=False, state_url="sqlite:///kept", seed=7))
    await keeping.start()
    try:
        assert not await keeping.forget()
        assert keeping.zoom.seed == keeping.recall.seed == 8
    finally:
        await keeping.aclose()


async def test_with_tls_the_streams_are_wss_and_the_ca_is_named(tmp_path):
    secure = Stack(Plan(tmp_path, function=False, tls=True))
    await secure.start()
    try:
        zoom = secure.described().zoom
        assert zoom.server_url.startswith("wss://localhost:")
        assert "BEGIN CERTIFICATE" in (tmp_path / "tls/ca.pem").read_text()
        assert zoom.ca_file == str(tmp_path / "tls/ca.pem")
    finally:
        await secure.aclose()


class ColdStore:
    """Stands for the worker's records while their store starts: it refuses `refusals` times."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def __call__(self, _url: str, _token: str) -> "ColdStore":
        return self

    async def every(self):
        if self.refusals > 0:
            self.refusals -= 1
            raise WorkerRefusedError(500, "the store is away")
        yield {}

    async def aclose(self) -> None:
        pass


async def looked_into(tmp_path, monkeypatch, state_url: str, refusals: int) -> tuple[list[str], float]:
    """What was said while waiting, and for how long that was."""
    said: list[str] = []
    clock = Clock()
    stack = Stack(Plan(tmp_path, state_url=state_url), on_wait=said.append)
    monkeypatch.setattr(stack_module, "Recordings", ColdStore(refusals))
    monkeypatch.setattr(stack, "_real_time", clock)
    clock.set_rate(100)
    began = clock.now()
    try:
        await stack._look_into_records()
    finally:
        said.append(f"after {clock.now() - began:.0f} s")
    return said, clock.now() - began


async def test_an_emulator_that_still_starts_is_waited_for_with_progress(tmp_path, monkeypatch):
    said, took_s = await looked_into(tmp_path, monkeypatch, "firestore://demo/(default)", 4)
    assert len(said) == 5
    assert all("Waiting for firestore://demo/(default)" in line and "at most 60 s: the store is away" in line for line in said[:4])
    assert 8 <= took_s < 60


async def test_a_store_that_stays_away_is_an_error_after_a_minute(tmp_path, monkeypatch):
    with pytest.raises(StateUnusableError, match=r"firestore://demo/x cannot be used within 60 s: the store is away \(HTTP 500\)"):
        await looked_into(tmp_path, monkeypatch, "firestore://demo/x", 10_000)


async def test_a_file_that_cannot_be_used_is_not_waited_for(tmp_path, monkeypatch):
    with pytest.raises(StateUnusableError, match=r"sqlite:///nowhere/x cannot be used: the store is away"):
        await looked_into(tmp_path, monkeypatch, "sqlite:///nowhere/x", 1)
