"""Everything that may reach the HTTP surface, in any order: genuine events, forgeries, junk, tasks, webhooks, faults, restarts, time.

A failure reads as a story: one line for each request and each thing that went wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.property.end_to_end.composition import CLIENT_ID, CLIENT_SECRET, JSON, SECRET_TOKEN, SECRETS, World

from rtms_relay import zoom as relay_zoom
from rtms_simulator.recall import Progression, RecallSwitches, Story
from rtms_simulator.recall.records.lifecycle import stream_signature
from rtms_simulator.testing import strategies
from rtms_simulator.testing.strategies import Damage, Flaw
from rtms_simulator.zoom.webhooks import events as zoom
from rtms_simulator.zoom.webhooks.events import StreamIds, WebhookEvent

T = TypeVar("T")

SERVERS = {name: f"wss://rtms-{name}.zoom.us:443" for name in "ab"} | {"elsewhere": "wss://rtms.example.com:443"}
WHO = {
    "meeting": StreamIds("/4AAiAAAAAiAi//iii==", "609340fb2a7946909659956c8aa9250c"),
    "webinar": StreamIds("7777AAAiAAAAAiAiAiiAii==", "70a1b2c3d4e5f60718293a4b5c6d7e8f"),
    "session": StreamIds("sEssIon+AAAiAiAiAiiAii==", "8f7e6d5c4b3a29180706f5e4d3c2b1a0"),
    "contact_center": StreamIds("engagement-0001", "00112233445566778899aabbccddeeff"),
    "phone": StreamIds("call/0001", "ffeeddccbbaa99887766554433221100"),
}
PRODUCTS = st.sampled_from(list(WHO))
AGO = st.sampled_from([0, 3, 50, 61])
FINAL = {"accepted", "cancelled", "superseded", "failed", "expired"}
RECALLS_TROUBLE = [
    *("503", "503 x3", "429 retry-after=7", "409", "507", "400", "401", "502 html", "503 done", "cut"),
    *("reset", "hang", "slow 9s", "slow 20s"),
]
TOKENS = ["qgg8vlvZRS6UYooatFL8Aw", "", "v0:1795338000:{}", "a b", "\N{ARABIC-INDIC DIGIT ONE}", "a" * 129]
JUNK = [
    ("GET", "/zoom-webhook", JSON, b"", 405),
    ("DELETE", "/recall-webhook", JSON, b"", 405),
    ("POST", "/handoff", JSON, b'{"id":"x"}', 404),
    ("POST", "/", JSON, b"{}", 404),
    ("POST", "/zoom-webhook", [("content-type", "text/plain")], b"{}", 415),
    ("POST", "/zoom-webhook", JSON, b" " * 1_048_577, 413),
    ("POST", "/recall-webhook", JSON, b"{}", 401),
    ("POST", "/recall-webhook", [*JSON, ("webhook-id", "m"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")], b"{}", 401),
]


class Surface(RuleBasedStateMachine):
    """One world. `acked`: the starts that were answered with 2xx, as (product, server). `revoked`: products whose stream was."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = self.run(self._made())
        self.acked: set[tuple[str, str]] = set()
        self.revoked: set[str] = set()
        self.sent: list[tuple[Any, bytes]] = []
        self.checked_answers = 0
        self.checked_output = 0
        self.checked_writes = -1
        self.grams = [secret[at : at + 8] for secret in self._secrets() for at in range(len(secret) - 7)]

    async def _made(self) -> World:
        return World(story=Story(lasts=30), switches=RecallSwitches(progression=Progression.timed(5)))

    def _secrets(self) -> list[str]:
        """What must never be seen: the four secrets, and each stream's signature, which opens its media."""
        return [*SECRETS, *(stream_signature(CLIENT_ID, CLIENT_SECRET, who.entity_id, who.stream_id) for who in WHO.values())]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def now(self) -> float:
        return self.world.clock.now()

    # Zoom

    def zoom_sends(self, event: WebhookEvent) -> int:
        body = zoom.body(event)
        headers = strategies.sign(SECRET_TOKEN, int(self.now), body)
        self.sent.append((headers, body))
        return self.run(self.world.zoom(headers, body)).status

    def at(self, ago: int) -> int:
        return int(self.now - ago) * 1000

    @rule(product=PRODUCTS, server=st.sampled_from(list(SERVERS)), ago=AGO)
    def starts(self, product: str, server: str, ago: int) -> None:
        if 200 <= self.zoom_sends(zoom.started(product, WHO[product], SERVERS[server], self.at(ago))) < 300:
            self.acked.add((product, server))

    @rule(product=PRODUCTS, server=st.sampled_from([None, "a", "b"]), ago=AGO)
    def is_interrupted(self, product: str, server: str | None, ago: int) -> None:
        event = zoom.interrupted(product, WHO[product], self.at(ago), server_urls=SERVERS[server] if server else None)
        if 200 <= self.zoom_sends(event) < 300 and server:
            self.acked.add((product, server))

    @rule(product=PRODUCTS, reason=st.sampled_from([6, 6, 1, 8]), ago=AGO)
    def stops(self, product: str, reason: int, ago: int) -> None:
        if 200 <= self.zoom_sends(zoom.stopped(product, WHO[product], reason, self.at(ago))) < 300 and reason == 8:
            self.revoked.add(product)

    @rule(event=st.sampled_from(["app_deauthorized", "rtms.concurrency_limited", "rtms.concurrency_near_limit", "meeting.ended"]))
    def says_something_else(self, event: str) -> None:
        before = self.state()
        known = zoom.EVENTS.get(event, WebhookEvent(event, {"object": {"id": 1}}, self.at(0)))
        assert self.zoom_sends(known) == 200
        assert self.state() == before

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 50))
    def is_heard_again(self, which: int) -> None:
        """A duplicate, or a replay: the very same bytes, however old."""
        headers, body = self.sent[which % len(self.sent)]
        stamped = int(dict(headers)[strategies.TIMESTAMP])
        before = self.state()
        status = self.run(self.world.zoom(headers, body)).status
        if self.now - stamped > 5700:
            assert status == 401
            assert self.state() == before

    @rule(token=st.sampled_from(TOKENS), signed=st.booleans())
    def validates(self, token: str, signed: bool) -> None:
        before = self.state()
        body = zoom.body(zoom.url_validation(token, self.at(0)))
        answer = self.run(self.world.zoom(strategies.sign(SECRET_TOKEN, int(self.now), body) if signed else JSON, body))
        if token == TOKENS[0]:
            assert zoom.judge_validation(SECRET_TOKEN, token, answer.status, answer.body).ok
        else:
            assert answer.status in (400, 401)
        assert self.state() == before

    # Nobody

    @rule(flaw=strategies.flaws(), product=PRODUCTS, what=st.sampled_from(["start", "stop", "revocation"]))
    def somebody_forges(self, flaw: Flaw, product: str, what: Literal["start", "stop", "revocation"]) -> None:
        who = WHO[product]
        event = zoom.started(product, who, SERVERS["b"], self.at(0)) if what == "start" else None
        forged = flaw.apply(event or zoom.stopped(product, who, 8 if what == "revocation" else 6, self.at(0)), SECRET_TOKEN, self.now)
        before = self.state()
        assert self.run(self.world.zoom(forged.headers, forged.body)).status == 401
        assert self.state() == before

    @rule(damage=strategies.damages(), product=PRODUCTS)
    def is_garbled(self, damage: Damage, product: str) -> None:
        """Signed by Zoom, and broken: what matters of it is used all the same, and if that is missing, nothing happens."""
        body = damage.apply(zoom.started(product, WHO[product], SERVERS["a"], self.at(0)))
        before, trouble = self.state(), self.world.tasks.down or self.world.store_failures
        status = self.run(self.world.zoom(strategies.sign(SECRET_TOKEN, int(self.now), body), body)).status
        if isinstance(relay_zoom.parse(body, signed_at_ms=1), relay_zoom.Started):
            assert status == 200 or (status >= 500 and trouble)
            return  # it is a start like any other, of whose fate `settle` does not ask
        assert status == 200
        # What cannot be used is kept for a person to look at: that is one task.
        assert (self.state()[0], min(self.state()[1], before[1])) == before
        assert self.state()[1] <= before[1] + 1

    @rule(which=st.integers(0, len(JUNK) - 1))
    def somebody_sends_junk(self, which: int) -> None:
        method, path, headers, body, status = JUNK[which]
        before = self.state()
        assert self.run(self.world.ask("webhook", method, path, headers, body)).status == status
        assert self.state() == before

    # Queue, scheduler, Recall, time

    @precondition(lambda self: self.world.tasks.due())
    @rule(which=st.integers(0, 9), how=st.sampled_from(["once", "once", "twice", "lost"]))
    def a_task_is_delivered(self, which: int, how: str) -> None:
        due = self.world.tasks.due()
        task = due[which % len(due)]
        if how == "lost" and task.path == "/retrieve":  # Cloud Tasks keeps what it has taken; a look may be lost all the same
            self.world.tasks.waiting.remove(task)
            return

        async def deliver() -> None:
            if how == "twice":
                self.world.dispatch(task, once=False)
            self.world.dispatch(task)
            await self.world.settle()

        self.run(deliver())

    @rule()
    def the_scheduler_sweeps(self) -> None:
        self.run(self.world.worker("POST", "/sweep"))

    @rule(operation=st.sampled_from(["create", "create", "*"]), what=st.sampled_from(RECALLS_TROUBLE))
    def recall_has_trouble(self, operation: str, what: str) -> None:
        self.world.recall.faults.add(f"recall.{operation}: {what}")

    @rule(what=st.sampled_from(["lost x3", "late 30s", "duplicate x2", "reorder"]))
    def recalls_webhooks_go_astray(self, what: str) -> None:
        self.world.recall.faults.add(f"recall.webhook.*: {what}")

    @precondition(lambda self: self.world.mail.sent)
    @rule(which=st.integers(0, 50))
    def a_webhook_of_recalls_is_heard_again(self, which: int) -> None:
        letter = self.world.mail.sent[which % len(self.world.mail.sent)]

        async def bring() -> None:
            self.world.spawn(self.world.mail.bring(letter))
            await self.world.pass_time(0.1)

        self.run(bring())

    @rule(down=st.booleans())
    def the_queue_is(self, down: bool) -> None:
        self.world.tasks.down = down

    @rule(calls=st.sampled_from([1, 3, 40]))
    def the_store_fails_for(self, calls: int) -> None:
        self.world.store_failures = calls

    @rule(role=st.sampled_from(["webhook", "worker"]))
    def dies_and_comes_back(self, role: Literal["webhook", "worker"]) -> None:
        self.run(self.world.restart(role))

    @rule(seconds=st.sampled_from([1, 5, 20, 70, 400, 6000]))
    def time_passes(self, seconds: int) -> None:
        self.run(self.world.pass_time(seconds))

    @rule(seconds=st.sampled_from([10, 120]))
    def all_goes_well_for(self, seconds: int) -> None:
        """The queue and the scheduler do their work for a while."""
        self.run(self.world.live(seconds))

    @precondition(lambda self: self.world.handoffs)
    @rule(which=st.integers(0, 9), path=st.sampled_from(["", "/download", "/download?artifact=transcript", "/download?artifact=x"]))
    def somebody_reads(self, which: int, path: str) -> None:
        keys, away = sorted(self.world.handoffs), self.world.store_failures
        answer = self.run(self.world.worker("GET", f"/recordings/{keys[which % len(keys)]}{path}"))
        assert answer.status in (200, 302, 400, 404, 502) or (away and answer.status == 500)
        listed = self.run(self.world.worker("GET", "/recordings"))
        assert (away and listed.status == 500) or {row["id"] for row in listed.json["recordings"]} == set(keys)

    # What always holds

    def state(self) -> tuple[int, int]:
        """Changes when a record is written or a task is enqueued."""
        return self.world.store.writes, self.world.tasks.enqueued

    @invariant()
    def every_refusal_is_one_line_of_json(self) -> None:
        for answer in self.world.answers[self.checked_answers :]:
            if answer.status >= 400:
                assert answer.headers["content-type"] == "application/json"
                said = answer.json
                assert set(said) == {"error", "reason"}
                assert said["reason"]
                assert "\n" not in said["reason"]

    @invariant()
    def no_secret_is_seen(self) -> None:
        world = self.world
        texts = [answer.body.decode() for answer in world.answers[self.checked_answers :]]
        self.checked_answers = len(world.answers)
        output = world.output.getvalue()
        texts.append(output[self.checked_output :])
        self.checked_output = len(output)
        if world.store.writes != self.checked_writes:
            self.checked_writes = world.store.writes
            texts.append(json.dumps([world.store.all("handoffs"), world.store.all("streams")]))
        seen = "\n".join(texts)
        # A challenge is answered with an HMAC, never with the secret; a link to a recording is what its reader asked for.
        assert [gram for gram in self.grams if gram in seen] == []

    @invariant()
    def one_hand_off_makes_one_mdc(self) -> None:
        records = self.world.handoffs
        made = Counter(mdc.body["metadata"]["rtmskit_handoff"] for mdc in self.world.recall.workspace.mdcs.values())
        assert all(count == 1 or key not in records or records[key]["unsure"] for key, count in made.items())

    # The end

    def teardown(self) -> None:
        try:
            self.settles()
        finally:
            self.run(self.world.aclose())
            self.runner.close()

    def settles(self) -> None:
        """Everything works again and time passes: what was acknowledged has ended, with a reason, and what was revoked is gone."""
        world = self.world
        refused_for_good = self._refused()
        world.recall.faults.clear()
        world.tasks.down, world.store_failures = False, 0
        self.run(world.live(60 * 3600))
        latest = sorted(world.handoffs.values(), key=lambda fields: fields["epoch"])
        records = {(fields["stream_id"], fields["server_urls"]): fields for fields in latest if fields["stream_id"]}
        mdcs: dict[str, set[str]] = defaultdict(set)
        for mdc in world.recall.workspace.mdcs.values():
            mdcs[mdc.body["metadata"]["rtmskit_handoff"]].add(mdc.id)
        assert set(mdcs) <= set(world.handoffs)
        for product, server in self.acked - {(p, s) for p, s in itertools.product(self.revoked, SERVERS)}:
            record = records[WHO[product].stream_id, SERVERS[server]]  # G1, and G3: each has a record of its own
            assert record["state"] in FINAL
            assert record["reason"] or record["state"] == "accepted"
            if record["state"] == "accepted":
                assert record["key"] in mdcs
                assert record["mdc_id"] is None or record["mdc_id"] in mdcs[record["key"]]
            if record["state"] == "failed":
                assert server == "elsewhere" or record["key"] in refused_for_good
            if server == "elsewhere":
                assert record["key"] not in mdcs
            if any(recording["metadata"]["rtmskit_handoff"] == record["key"] for recording in self.run(world.at_recall(record["key"]))):
                assert record["state"] in ("accepted", "superseded"), "Recall recorded it, and the record does not know"
        self._nothing_is_left()
        self.every_refusal_is_one_line_of_json()
        self.no_secret_is_seen()
        self.one_hand_off_makes_one_mdc()
        assert all(self.world.handoffs[key]["due_at"] is None for key in self.world.handoffs)

    def _refused(self) -> set[str]:
        """Hand-offs that Recall refused for good, by its own history."""
        bodies = [exchange.body for exchange in self.world.recall.api.history if exchange.method == "POST" and exchange.status == 400]
        return {json.loads(body)["metadata"]["rtmskit_handoff"] for body in bodies}

    def _nothing_is_left(self) -> None:
        """G8: of a revoked stream neither a recording at Recall nor an id in a record."""
        world = self.world
        for product in self.revoked:
            who = WHO[product]
            mine = [mdc for mdc in world.recall.workspace.mdcs.values() if mdc.stream_id == who.stream_id]
            assert all(mdc.recording is None or mdc.recording.status.code == "deleted" for mdc in mine)
            for mdc in mine:
                assert world.handoffs[mdc.body["metadata"]["rtmskit_handoff"]]["retrieval"] == "forgotten"
            stored = json.dumps([world.store.all("handoffs"), world.store.all("streams")], ensure_ascii=False)
            assert who.stream_id not in stored
            assert who.entity_id not in stored


TestSurface = Surface.TestCase
TestSurface.settings = settings(max_examples=40, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow])
