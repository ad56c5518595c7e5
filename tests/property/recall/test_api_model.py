"""The API against a model of twenty lines: creates, retries with the same and other keys, polls, deletes, lost answers, clock steps.

The promise at the heart of the hand-off rests on this: one key makes one MDC in any hour, whatever else happens.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.simulator.recall.workbench import Bench, body

from rtms_simulator.recall import RateLimits, RecallSwitches, Story

HOUR = 3600.0
KEYS = st.sampled_from(["a", "b", "c"])
STREAMS = st.sampled_from(["one", "two"])
LASTS_S = 30.0


@dataclass
class Made:
    """What the model knows of an MDC: when it was made, when another took its stream, whether its recording was deleted."""

    stream: str
    at: float
    displaced_at: float | None = None
    deleted: bool = False

    def status(self, now: float) -> tuple[str, str]:
        """(MDC code, recording code)."""
        ended = min(self.at + LASTS_S, self.displaced_at if self.displaced_at is not None else float("inf")) <= now
        return ("done" if ended else "recording"), "deleted" if self.deleted else ("done" if ended else "processing")


@dataclass
class Model:
    made: dict[str, Made] = field(default_factory=dict)
    keys: dict[str, tuple[float, str | None]] = field(default_factory=dict)  # when, and the MDC or None for a stored 400

    def remembered(self, key: str | None, now: float) -> bool:
        return key is not None and key in self.keys and now < self.keys[key][0] + HOUR

    def create(self, key: str | None, stream: str, identity: str, now: float) -> None:
        for other in self.made.values():
            if other.stream == stream and other.status(now)[0] == "recording":
                other.displaced_at = now
        self.made[identity] = Made(stream, now)
        if key is not None:
            self.keys[key] = (now, identity)


class ApiAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.model = Model()
        switches = RecallSwitches(limits=RateLimits.off(), page_size=2)
        self.bench = self.runner.run(self.open(switches))

    async def open(self, switches: RecallSwitches) -> Bench:
        return Bench(Path(self.directory.name), Story(lasts=LASTS_S), switches=switches, webhooks=[])

    def teardown(self) -> None:
        self.runner.run(self.close())
        self.runner.close()
        self.directory.cleanup()

    async def close(self) -> None:
        await self.bench.client.aclose()
        await self.bench.recall.aclose()

    @property
    def now(self) -> float:
        return self.bench.clock.now()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """The answer, or None when it was lost."""

        async def sent() -> httpx.Response | None:
            try:
                return await self.bench.client.request(method, path, **options)
            except httpx.RemoteProtocolError:
                return None
            finally:
                await self.bench.settle()

        return self.runner.run(sent())

    @rule(key=st.none() | KEYS, stream=STREAMS, slash=st.sampled_from(["", "/"]), fault=st.sampled_from(["", "503", "cut", "reset"]))
    def create(self, key, stream, slash, fault):
        if fault:
            self.bench.recall.faults.add(f"recall.create: {fault}")
        before = set(self.bench.recall.workspace.mdcs)
        answer = self.send(
            "POST", f"/meeting_direct_connect{slash}", json=body(stream), headers={} if key is None else {"idempotency-key": key}
        )
        new = set(self.bench.recall.workspace.mdcs) - before
        if fault in ("503", "reset"):
            assert not new
            assert answer is None or answer.status_code == 503
        elif self.model.remembered(key, self.now):
            assert not new
            stored = self.model.keys[key][1]
            if not fault:
                assert answer is not None
                assert (answer.status_code, answer.json().get("id")) == ((400, None) if stored is None else (201, stored))
        else:
            (identity,) = new
            assert answer is None or answer.json()["id"] == identity
            self.model.create(key, stream, identity, self.now)

    @rule(key=KEYS)
    def a_wrong_body_is_stored_under_its_key_too(self, key):
        answer = self.send("POST", "/meeting_direct_connect", json={}, headers={"idempotency-key": key})
        assert answer is not None
        if self.model.remembered(key, self.now):
            stored = self.model.keys[key][1]
            assert answer.status_code == (400 if stored is None else 201)
        else:
            assert answer.status_code == 400
            self.model.keys[key] = (self.now, None)

    @precondition(lambda self: self.model.made)
    @rule(data=st.data())
    def retrieve(self, data):
        identity = data.draw(st.sampled_from(sorted(self.model.made)))
        answer = self.send("GET", f"/meeting_direct_connect/{identity}")
        assert answer is not None
        shown = answer.json()
        (recording,) = shown["recordings"]
        assert (shown["status"]["code"], recording["status"]["code"]) == self.model.made[identity].status(self.now)
        link = (recording["media_shortcuts"]["video_mixed"] or {"data": {"download_url": None}})["data"]["download_url"]
        assert (link is not None) == (recording["status"]["code"] == "done")

    @precondition(lambda self: self.model.made)
    @rule(data=st.data())
    def delete(self, data):
        identity = data.draw(st.sampled_from(sorted(self.model.made)))
        recording = self.bench.recall.workspace.mdcs[identity].recording
        assert recording is not None
        answer = self.send("DELETE", f"/recording/{recording.id}/")
        assert answer is not None
        assert answer.status_code == 204
        made = self.model.made[identity]
        made.deleted = True
        if made.status(self.now)[0] == "recording":
            # Deleting what is being made stops it.
            made.displaced_at = self.now

    @rule(seconds=st.sampled_from([0.5, 10.0, LASTS_S, HOUR - 1, HOUR]))
    def time_passes(self, seconds):
        self.runner.run(self.bench.pass_time(seconds))

    @invariant()
    def the_list_holds_each_mdc_once_newest_first(self):
        seen, path = [], "/meeting_direct_connect"
        while path:
            answer = self.send("GET", path)
            assert answer is not None
            seen += [mdc["id"] for mdc in answer.json()["results"]]
            path = answer.json()["next"]
        assert seen == list(self.model.made)[::-1]


ApiAgainstModel.TestCase.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)
TestApiAgainstModel = ApiAgainstModel.TestCase
