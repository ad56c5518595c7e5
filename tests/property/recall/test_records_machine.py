"""Recordings and their transcripts against a model of what Recall documents, over histories of creates, deletions, retention and time.

The model knows when each recording was created, ends and is erased, and which transcripts of it there are. Sources: Recall's pages on
"Storage and Data Retention" (hours count from the creation), "Async Transcription" (create_transcript needs a finished recording, any
number of transcripts) and the delete operations (media go, the object stays as `deleted`).
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.simulator.recall.workbench import Bench

from rtms_simulator.recall import RateLimits, RecallSwitches, Story

HOUR = 3600.0
LASTS_S = 60.0
SPOKEN = b'[{"participant": {"id": 1, "name": "Ada"}, "words": []}]'
RETENTIONS: dict[str, tuple[dict[str, Any] | None, float | None]] = {
    "not said": (None, None),
    "forever": ({"type": "forever"}, None),
    "an hour": ({"type": "timed", "hours": 1}, 1.0),
    "a day": ({"type": "timed", "hours": 24}, 24.0),
    "a week": ({"type": "timed"}, 168.0),
}
"""By name: what the create says, and for how many hours after the creation the media stay."""
ASK = {"provider": {"recallai_async": {}}}


@dataclass
class Made:
    """What the model knows of a recording. `stopped_at`: when a deletion ended it early."""

    id: str
    mdc: str
    created_at: float
    hours: float | None
    stopped_at: float | None = None
    deleted_at: float | None = None
    transcripts: dict[str, bool] = field(default_factory=dict)
    """By id: whether it is still there."""
    links: dict[str, str] = field(default_factory=dict)

    @property
    def ends_at(self) -> float:
        return min(self.created_at + LASTS_S, self.stopped_at or float("inf"))

    def erased_at(self) -> float | None:
        by_retention = None if self.hours is None else max(self.created_at + self.hours * HOUR, self.ends_at)
        moments = [moment for moment in (self.deleted_at, by_retention) if moment is not None]
        return min(moments, default=None)

    def code(self, now: float) -> str:
        erased = self.erased_at()
        if erased is not None and now >= erased:
            return "deleted"
        return "done" if now >= self.ends_at else "processing"


class RecordsAgainstTheirDocuments(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.made: list[Made] = []
        self.streams = itertools.count()
        self.bench = self.runner.run(self.open())

    async def open(self) -> Bench:
        story = Story(lasts=LASTS_S, contents={"transcript": SPOKEN})
        return Bench(Path(self.directory.name), story, switches=RecallSwitches(limits=RateLimits.off()))

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

    def ask(self, method: str, path: str, **options: Any) -> Any:
        async def asked() -> Any:
            answer = await self.bench.client.request(method, path, **options)
            await self.bench.settle()
            return answer

        return self.runner.run(asked())

    def draw_recording(self, data: st.DataObject) -> Made:
        return data.draw(st.sampled_from(self.made))

    @rule(retention=st.sampled_from(sorted(RETENTIONS)), asked=st.booleans())
    def a_meeting_begins(self, retention, asked):
        config: dict[str, Any] = {"transcript": {"provider": {"meeting_captions": {}}}} if asked else {}
        says, hours = RETENTIONS[retention]
        if says is not None:
            config["retention"] = says

        async def created() -> tuple[str, dict[str, Any]]:
            mdc = (await self.bench.create(f"stream {next(self.streams)}", recording_config=config))["id"]
            await self.bench.settle()
            return mdc, (await self.bench.get(f"/meeting_direct_connect/{mdc}"))["recordings"][0]

        began = self.now
        mdc, recording = self.runner.run(created())
        made = Made(recording["id"], mdc, began, hours)
        own = self.ask("GET", "/transcript/", params={"recording_id": made.id}).json()["results"]
        assert len(own) == asked
        made.transcripts = {one["id"]: True for one in own}
        self.made.append(made)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def a_transcript_is_asked_for(self, data):
        made = self.draw_recording(data)
        answer = self.ask("POST", f"/recording/{made.id}/create_transcript/", json=ASK)
        if made.code(self.now) == "done":
            assert answer.status_code == 200, answer.text
            made.transcripts[answer.json()["id"]] = True
        else:
            assert (answer.status_code, answer.json()["code"]) == (400, "recording_not_done")

    @precondition(lambda self: any(made.transcripts for made in self.made))
    @rule(data=st.data())
    def a_transcript_is_deleted(self, data):
        made = data.draw(st.sampled_from([made for made in self.made if made.transcripts]))
        identity = data.draw(st.sampled_from(sorted(made.transcripts)))
        assert self.ask("DELETE", f"/transcript/{identity}/").status_code == 204
        made.transcripts[identity] = False

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def a_recording_is_deleted(self, data):
        made = self.draw_recording(data)
        assert self.ask("DELETE", f"/recording/{made.id}/").status_code == 204
        if made.code(self.now) == "processing":
            made.stopped_at = self.now
        made.deleted_at = made.deleted_at or self.now

    @rule(seconds=st.sampled_from([0.5, LASTS_S - 1, LASTS_S, HOUR - LASTS_S, HOUR, 23 * HOUR, 6 * 24 * HOUR]))
    def time_passes(self, seconds):
        self.runner.run(self.bench.pass_time(seconds))

    @invariant()
    def each_recording_is_kept_for_as_long_as_was_asked(self):
        for made in self.made:
            shown = self.ask("GET", f"/recording/{made.id}/").json()
            assert shown["status"]["code"] == made.code(self.now)
            links = [(one["data"] or {}).get("download_url") for one in shown["media_shortcuts"].values() if one]
            assert any(links) == (made.code(self.now) == "done")

    @invariant()
    def each_transcript_is_there_until_it_or_its_recording_is_deleted(self):
        for made in self.made:
            code = made.code(self.now)
            for identity, kept in made.transcripts.items():
                shown = self.ask("GET", f"/transcript/{identity}/").json()
                assert shown["status"]["code"] == (code if kept else "deleted")
                link = (shown["data"] or {}).get("download_url")
                assert (link is not None) == (kept and code == "done")
                if link is not None:
                    made.links.setdefault(identity, link)
                    assert self.runner.run(self.bench.download(link)).content == SPOKEN

    @invariant()
    def what_is_deleted_is_served_no_more_and_leaves_no_file(self):
        for made in self.made:
            erased = made.code(self.now) == "deleted"
            for identity, link in made.links.items():
                if erased or not made.transcripts[identity]:
                    assert self.runner.run(self.bench.download(link)).status_code in (403, 404)
            if erased:
                assert not (Path(self.directory.name) / made.mdc).exists()

    @invariant()
    def each_end_is_announced_once(self):
        told = [(one.event, one.json["data"].get("transcript", {}).get("id")) for one in self.bench.receiver.got]
        deleted = [identity for event, identity in told if event == "transcript.deleted"]
        assert len(deleted) == len(set(deleted))
        gone = {
            identity for made in self.made for identity, kept in made.transcripts.items() if not kept or made.code(self.now) == "deleted"
        }
        assert set(deleted) == gone


RecordsAgainstTheirDocuments.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
TestRecordsAgainstTheirDocuments = RecordsAgainstTheirDocuments.TestCase
