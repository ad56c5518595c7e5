"""The control plane: everything a test may look at and change, over HTTP."""

import httpx
import pytest
import standardwebhooks
from tests.unit.simulator.recall.workbench import EPOCH, HOOK, bench

from rtms_simulator.clock import Clock
from rtms_simulator.recall.control import ROUTES
from rtms_simulator.recall.switches import RecallSwitches, switch_table
from rtms_simulator.recall.webhooks.signing import sign

SECRET = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"


def control(b) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=b.recall.transport(), base_url="http://127.0.0.1/_control")


async def test_state_shows_every_mdc_and_recording(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        made = await b.create("s")
        await b.settle()
        state = (await c.get("/state")).json()
        assert state["meeting_direct_connects"] == [{"id": made["id"], "stream": "s", "status": "done"}]
        assert [recording["status"] for recording in state["recordings"]] == ["done"]
        assert state["workspace_secret"] == b.recall.workspace_secret


async def test_reset_and_seed_begin_anew(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        first = (await b.create())["id"]
        await c.post("/reset")
        assert (await b.create())["id"] == first
        assert (await c.post("/seed", json={"seed": 5})).json() == {"seed": 5}
        assert (await b.create())["id"] != first
        assert (await c.post("/seed", json={"seed": "x"})).json()["error"] == "seed"


async def test_every_switch_can_be_read_and_turned(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        shown = (await c.get("/switches")).json()
        names = [row["name"] for row in switch_table()]
        assert list(shown["switches"]) == names
        assert [row["name"] for row in shown["table"]] == names
        assert (await c.patch("/switches", json=shown["switches"])).json()["switches"] == shown["switches"]
        assert b.recall.switches == RecallSwitches()
        changed = {"progression": {"kind": "polls", "polls": 2}, "mdc_codes": {"done": "zzz"}, "recordings": "never", "retention_hours": 1}
        answer = await c.patch("/switches", json=changed)
        assert answer.json()["switches"]["progression"]["polls"] == 2
        assert (b.recall.switches.recordings, b.recall.switches.mdc_codes, b.recall.switches.retention_hours) == (
            "never",
            {"done": "zzz"},
            1,
        )
        await c.post("/reset")
        assert b.recall.switches == RecallSwitches()


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"nonsense": 1}, "unknown_switch"), ({"recordings": "soon"}, "switch_value"), ({"limits": {"create": "x"}}, "switch_value")],
)
async def test_a_switch_that_does_not_exist_or_cannot_be_so_is_refused_and_nothing_changes(tmp_path, changed, code):
    async with bench(tmp_path) as b, control(b) as c:
        answer = await c.patch("/switches", json=changed)
        assert (answer.status_code, answer.json()["error"]) == (400, code)
        assert b.recall.switches == RecallSwitches()


async def test_faults_are_added_listed_and_cleared(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        assert (await c.post("/faults", json={"fault": "recall.create: 503 x2"})).status_code == 200
        await b.client.post("/meeting_direct_connect", json={})
        assert (await c.get("/faults")).json() == {
            "armed": [{"id": 1, "fault": "recall.create: 503 x2", "vendor": "recall", "left": 1, "used": 1}]
        }
        assert (await c.delete("/faults")).json() == {"armed": []}
        for wrong in ({}, {"script": "x"}):
            assert (await c.post("/faults", json=wrong)).json()["error"] == "fault"


async def test_history_and_deliveries_tell_what_happened_without_the_key(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        await b.create(key="k")
        await b.settle()
        history = await c.get("/history")
        assert history.json()["requests"][0]["idempotency_key"] == "k"
        assert b.recall.api_key not in history.text
        deliveries = (await c.get("/deliveries")).json()["deliveries"]
        assert [delivery["event"] for delivery in deliveries] == b.receiver.events
        assert {delivery["attempts"][0]["status"] for delivery in deliveries} == {200}
        before = len(b.receiver.got)
        assert (await c.post(f"/deliveries/{deliveries[0]['id']}/resend")).status_code == 200
        await b.settle()
        assert len(b.receiver.got) == before + 1
        assert b.receiver.got[-1].headers["webhook-id"] == deliveries[0]["id"]
        assert (await c.post("/deliveries/msg_0/resend")).json()["error"] == "delivery"


async def test_the_clock_is_frozen_and_moved(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        before = (await c.get("/clock")).json()["now"]
        assert (await c.post("/clock", json={"advance": 60})).json()["now"] == before + 60
        assert (await c.post("/clock", json={"rate": 2})).json()["rate"] == 2
        assert (await c.post("/clock", json={"rate": 0})).json()["rate"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        "{}",
        '{"advance": -1}',
        '{"advance": "1"}',
        '{"speed": 1}',
        '{"rate": true}',
        '{"rate": 1000001}',
        '{"rate": null, "advance": 1}',
        '{"advance": 1e300}',
        '{"advance": 1e999}',
        '{"advance": NaN}',
        '{"rate": Infinity}',
        '{"rate": 1, "advance": -Infinity}',
        '{"advance": 1%s}' % ("0" * 400),
    ],
)
async def test_what_no_clock_can_do_is_refused_and_changes_nothing(tmp_path, wrong):
    async with bench(tmp_path) as b, control(b) as c:
        before = (await c.get("/clock")).json()
        answer = await c.post("/clock", content=wrong)
        assert answer.status_code == 400
        reason = answer.json()["reason"]
        assert "a number from 0 to" in reason or "must be a JSON object" in reason
        assert (await c.get("/clock")).json() == before


async def test_the_clock_stays_in_years_that_can_be_written(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        century = {"advance": 100 * 366 * 86_400}
        while (answer := await c.post("/clock", json=century)).status_code == 200:
            pass
        assert "beyond the year 9998" in answer.json()["reason"]
        await b.create()
        await b.settle()
        assert b.receiver.events[-1] == "recording.done"


async def test_endpoints_are_added_rotated_disabled_and_removed(tmp_path):
    async with bench(tmp_path, clock=Clock(), webhooks=[]) as b, control(b) as c:
        added = (await c.post("/webhooks", json={"url": HOOK, "secret": SECRET, "headers": "svix", "events": ["recording.done"]})).json()
        assert added["secrets"] == [SECRET]
        rotated = (await c.post(f"/webhooks/{added['id']}/rotate")).json()
        assert rotated["secrets"][1] == SECRET
        await b.create()
        await b.recall.drained()
        (received,) = b.receiver.got
        renamed = {name.replace("svix-", "webhook-"): value for name, value in received.headers.items()}
        for secret in rotated["secrets"]:
            standardwebhooks.Webhook(secret).verify(received.raw, renamed)
        assert (await c.post(f"/webhooks/{added['id']}/enable")).json()["enabled"]
        assert (await c.post(f"/webhooks/{added['id']}/recover")).json() == {"messages": 0}
        assert len((await c.get("/webhooks")).json()["webhooks"]) == 1
        assert (await c.delete(f"/webhooks/{added['id']}")).json() == {"webhooks": []}
        for wrong in ({}, {"url": HOOK, "secret": "x"}, {"url": HOOK, "events": ["nonsense"]}, {"url": 1}):
            assert (await c.post("/webhooks", json=wrong)).json()["error"] == "webhook"
        assert (await c.post("/webhooks/ep_0/rotate")).json()["error"] == "webhook"


async def test_the_workspace_secret_is_rotated(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        old = b.recall.workspace_secret
        assert (await c.post("/workspace-secret/rotate", json={"secret": SECRET})).json() == {"workspace_secret": SECRET}
        signature = b.recall.webhooks.workspace_signature("msg_1", b"")["webhook-signature"].split()
        assert signature == [sign(secret, "msg_1", int(EPOCH), b"") for secret in (SECRET, old)]
        assert (await c.post("/workspace-secret/rotate", json={"secret": "nonsense"})).json()["error"] == "secret"
        assert (await c.post("/workspace-secret/rotate", json={"secret": 7})).json()["error"] == "secret"


async def test_an_unknown_route_or_a_body_that_is_no_object_is_refused_with_what_there_is(tmp_path):
    async with bench(tmp_path) as b, control(b) as c:
        unknown = await c.get("/nonsense")
        assert unknown.status_code == 404
        assert all(f"{method} /_control{path}" in unknown.json()["reason"] for method, path, _, _ in ROUTES)
        assert (await c.get("/reset")).status_code == 405
        assert (await c.post("/faults", content=b"[]")).json()["error"] == "body"
        assert b.recall.faults.listed() == ()
