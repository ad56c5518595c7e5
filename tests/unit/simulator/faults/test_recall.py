"""Fault scripts: read exactly, refused with a reason, and doing to the API what they say."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.simulator.recall.workbench import bench, body

from rtms_simulator.faults.recall import DOWNLOAD_STEPS, OK, STATUSES, FaultPlan, FaultSyntaxError, Step, parse

MDC = "/meeting_direct_connect"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("recall.create: 503 x2 then ok", [Step("status", 2, status=503), Step("ok")]),
        ("recall.create: 507", [Step("status", status=507, stored=True)]),
        ("recall.*: 429 retry-after 7", [Step("status", status=429, retry_after=7)]),
        ("recall.create: 503 html after 201", [Step("status", status=503, html=True, performed=True)]),
        ("recall.create:  cut  after 201 x*", [Step("cut", -1, performed=True)]),
        ("recall.list: slow 2.5s then hang then reset", [Step("slow", seconds=2.5), Step("hang"), Step("reset")]),
        ("recall.download: expired then truncate 10", [Step("expired"), Step("truncate", size=10)]),
        ("webhook.recording.*: late 30s x3 then dup", [Step("late", 3, seconds=30.0), Step("dup")]),
    ],
)
def test_a_script_is_read(text, steps):
    assert parse(text).steps == steps


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "503",
            "zoom.create: 503",
            "recall.create",
            "recall.create:",
            "recall.create: 200",
            "recall.create: 503 x0",
            "recall.create: lost",
        ),
        *("webhook.recording.done: 503", "recall.create: expired", "recall.create: ok then", "recall.create: slow 5", "recall create: ok"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_allowed(text):
    with pytest.raises(FaultSyntaxError) as refused:
        parse(text)
    assert text in str(refused.value) or "step" in str(refused.value)


@given(st.lists(st.tuples(st.sampled_from(["ok", "503", "reset", "507 html"]), st.integers(1, 4)), min_size=1, max_size=5))
def test_each_step_is_used_as_often_as_it_says_and_then_all_is_well(steps):
    plan = FaultPlan()
    plan.add("recall.create: " + " then ".join(f"{what} x{times}" for what, times in steps))
    taken = [plan.take("recall.create", "recall.meeting_direct_connect_create") for _ in range(sum(times for _, times in steps))]
    kinds = {"ok": "ok", "503": "status", "reset": "reset", "507 html": "status"}
    assert [step.kind for step in taken] == [kinds[what] for what, times in steps for _ in range(times)]
    assert plan.take("recall.create") == OK
    assert plan.scripts[0].fired == sum(times for what, times in steps if what != "ok")


def test_scripts_speak_in_the_order_they_were_added_and_only_of_their_target():
    plan = FaultPlan()
    plan.add("recall.list: 503")
    plan.add("recall.*: 502")
    assert plan.take("recall.create").status == 502
    assert plan.take("recall.list").status == 503
    assert plan.take("recall.list") == OK


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("recall.creat: 503", "recall.create"),
        ("recall.recordings_list: 503", "recall.recording_list"),
        ("webhook.recording.finished: lost", "webhook.recording.done"),
        ("webhook.meeting_direct_connect.done: lost", "webhook.meeting_metadata.done"),
    ],
)
async def test_a_script_that_can_never_speak_is_refused_with_what_may_have_been_meant(tmp_path, text, meant):
    async with bench(tmp_path) as b:
        with pytest.raises(FaultSyntaxError, match=f"there is no {text.partition(':')[0]}; there is .*{meant}"):
            b.recall.faults.add(text)
        for good in (
            "recall.*: ok",
            "recall.recording_*: ok",
            "webhook.*.done: ok",
            "recall.download: ok",
            "recall.meeting_direct_connect_list: ok",
        ):
            b.recall.faults.add(good)


async def test_503_twice_and_then_ok_with_one_key_makes_one_mdc(tmp_path):
    async with bench(tmp_path, faults=["recall.create: 503 x2 then ok"]) as b:
        answers = [await b.client.post(MDC, json=body(), headers={"idempotency-key": "k"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [503, 503, 201, 201]
        assert answers[2].content == answers[3].content
        assert len(b.recall.workspace.mdcs) == 1


async def test_507_is_replayed_for_its_key_and_a_new_key_gets_through(tmp_path):
    async with bench(tmp_path, faults=["recall.create: 507"]) as b:
        statuses = [(await b.client.post(MDC, json=body(), headers={"idempotency-key": key})).status_code for key in ("a", "a", "b")]
        assert statuses == [507, 507, 201]


@pytest.mark.parametrize("script", ["cut after 201", "503 after 201", "504 html after 201"])
async def test_what_was_done_before_the_answer_was_lost_is_found_again_by_its_key(tmp_path, script):
    async with bench(tmp_path, faults=[f"recall.create: {script}"]) as b:
        try:
            assert (await b.client.post(MDC, json=body(), headers={"idempotency-key": "k"})).status_code in (503, 504)
        except httpx.RemoteProtocolError:
            assert script.startswith("cut")
        (made,) = b.recall.workspace.mdcs
        assert (await b.create(key="k"))["id"] == made
        assert len(b.recall.workspace.mdcs) == 1


@pytest.mark.parametrize("script", ["reset", "503", "429 retry-after 3"])
async def test_a_fault_before_the_application_does_nothing(tmp_path, script):
    async with bench(tmp_path, faults=[f"recall.create: {script}"]) as b:
        try:
            answer = await b.client.post(MDC, json=body())
            assert answer.headers.get("retry-after") == ("3" if "429" in script else None)
        except httpx.RemoteProtocolError:
            assert script == "reset"
        assert not b.recall.workspace.mdcs


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("html", ["", " html"])
async def test_every_status_comes_as_json_or_as_a_page(tmp_path, status, html):
    async with bench(tmp_path, faults=[f"recall.create: {status}{html}"]) as b:
        answer = await b.client.post(MDC, json=body())
        assert answer.status_code == status
        if html:
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert str(status) in answer.text
        else:
            assert set(answer.json()) == {"code", "detail"}


async def test_slow_takes_the_clocks_time_and_hang_never_ends(tmp_path):
    async with bench(tmp_path, faults=["recall.create: slow 5s then hang"]) as b:
        slow = asyncio.create_task(b.create())
        await b.pass_time(4.9)
        assert not slow.done()
        assert not b.recall.workspace.mdcs
        await b.pass_time(0.1)
        assert (await slow)["id"]
        hung = asyncio.create_task(b.create())
        await b.pass_time(86_400)
        assert not hung.done()
        hung.cancel()


def test_every_step_is_documented():
    from rtms_simulator.faults import recall as faults

    assert faults.__doc__
    for step in (*faults.REQUEST_STEPS, *DOWNLOAD_STEPS, *faults.WEBHOOK_STEPS):
        assert step.split()[0].strip("<>") in faults.__doc__ or step.startswith("<status>")
