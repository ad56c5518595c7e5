"""`rtms_simulator.kit.serve.local_service`: what does not start is stopped, then started again. (Whole: tests/e2e/test_serve.py.)"""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from rtms_simulator.kit.serve import local_service
from rtms_simulator.kit.serve.local_service import LocalService, LocalWiring, ServicePlan

SLOW_AT_FIRST = """
import pathlib, sys, time
first = pathlib.Path(__file__).with_name("first")
if first.exists():
    print("dispatching", flush=True)
first.touch()
time.sleep(600)
"""


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dispatcher in place of the real one: its first process says nothing."""
    package = tmp_path / "function" / "rtms_relay"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "dispatching.py").write_text(SLOW_AT_FIRST)
    monkeypatch.setattr(local_service, "source", lambda: package.parent / "main.py")
    return package


@pytest.mark.parametrize("role", ["webhook", "worker"])
def test_the_functions_do_not_look_for_this_machine_behind_a_proxy(tmp_path: Path, role: str):
    plan = ServicePlan(tmp_path, {"https_proxy": "http://proxy.example.com:3128", "NO_PROXY": "intern"})
    told = LocalWiring(plan, "secret of the run").environment(role, "http://127.0.0.1:1", {})
    assert told["no_proxy"] == told["NO_PROXY"] == "intern,127.0.0.1,localhost,::1"
    assert told["https_proxy"] == "http://proxy.example.com:3128"


async def test_a_dispatcher_that_is_too_slow_is_stopped_before_the_next_one(relay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It would hold the queue file, from which one process at a time may deliver, and each next one would be refused."""
    service = LocalService(ServicePlan(tmp_path / "state", {}), on_line=lambda _who, _line: None)
    service._function = types.SimpleNamespace(worker_url="http://127.0.0.1:1")  # ty: ignore[invalid-assignment]
    monkeypatch.setattr(local_service, "_START_WITHIN_S", 0.0)
    with pytest.raises(TimeoutError, match="did not start within"):
        await service._start_dispatcher()
    slow = service._dispatcher
    try:
        assert slow is not None
        assert not slow.alive
        (relay / "first").touch()
        monkeypatch.setattr(local_service, "_START_WITHIN_S", 30.0)
        await service._start_dispatcher()
        assert service._dispatcher is not slow
    finally:
        await service._end_dispatcher()
        if slow is not None:
            await slow.stop()
