"""Faults of Recall: what they do to the API, and that one that can never act is refused."""

import asyncio

import httpx
import pytest
from tests.unit.simulator.recall.workbench import bench, body

from rtms_simulator.faults import FaultError

MDC = "/meeting_direct_connect"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("recall.creat: 503", "create"),
        ("recall.recordings_list: 503", "recording_list"),
        ("recall.webhook.recording.finished: lost", "recording.done"),
        ("recall.webhook.meeting_direct_connect.done: lost", "meeting_metadata.done"),
    ],
)
async def test_a_script_that_can_never_speak_is_refused_with_what_may_have_been_meant(tmp_path, text, meant):
    async with bench(tmp_path) as b:
        with pytest.raises(FaultError, match=f"there is no (operation|event) .*; did you mean .*allowed: .*{meant}"):
            b.recall.faults.add(text)
        for good in (
            "recall.*: ok",
            "recall.recording_*: ok",
            "recall.webhook.*.done: ok",
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


@pytest.mark.parametrize("script", ["cut", "503 done", "504 html done"])
async def test_what_was_done_before_the_answer_was_lost_is_found_again_by_its_key(tmp_path, script):
    async with bench(tmp_path, faults=[f"recall.create: {script}"]) as b:
        try:
            assert (await b.client.post(MDC, json=body(), headers={"idempotency-key": "k"})).status_code in (503, 504)
        except httpx.RemoteProtocolError:
            assert script.startswith("cut")
        (made,) = b.recall.workspace.mdcs
        assert (await b.create(key="k"))["id"] == made
        assert len(b.recall.workspace.mdcs) == 1


@pytest.mark.parametrize("script", ["reset", "503", "429 retry-after=3"])
async def test_a_fault_before_the_application_does_nothing(tmp_path, script):
    async with bench(tmp_path, faults=[f"recall.create: {script}"]) as b:
        try:
            answer = await b.client.post(MDC, json=body())
            assert answer.headers.get("retry-after") == ("3" if "429" in script else None)
        except httpx.RemoteProtocolError:
            assert script == "reset"
        assert not b.recall.workspace.mdcs


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 425, 429, 451, 500, 502, 503, 504, 507, 599])
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


async def test_what_an_idempotency_key_replays_is_slow_too(tmp_path):
    async with bench(tmp_path, faults=["recall.create: ok then slow 5s"]) as b:
        first = await b.create(key="k")
        again = asyncio.create_task(b.create(key="k"))
        await b.pass_time(4.9)
        assert not again.done()
        await b.pass_time(0.1)
        assert await again == first


async def test_an_answer_has_any_status_header_and_body(tmp_path):
    fault = """recall.create: 202 header='X-Odd: a, b' body='{"note": "no id"}' then 307 header='Location: /elsewhere' then 204 then 299"""
    async with bench(tmp_path, faults=[fault]) as b:
        odd, moved, empty, strange = [await b.client.post(MDC, json=body()) for _ in range(4)]
        assert (odd.status_code, odd.headers["x-odd"], odd.json()) == (202, "a, b", {"note": "no id"})
        assert (moved.status_code, moved.headers["location"]) == (307, "/elsewhere")
        assert (empty.status_code, empty.content) == (204, b"")
        assert (strange.status_code, strange.json()) == (299, {})
        assert not b.recall.workspace.mdcs


async def test_a_strange_answer_after_the_work_was_done_or_stored_for_its_key(tmp_path):
    async with bench(tmp_path, faults=["recall.create: 200 done body='{}' then 425 stored then ok"]) as b:
        done = await b.client.post(MDC, json=body(), headers={"idempotency-key": "a"})
        again = await b.client.post(MDC, json=body("another"), headers={"idempotency-key": "b"})
        assert (done.status_code, done.json(), len(b.recall.workspace.mdcs)) == (200, {}, 1)
        assert again.status_code == 425
        replayed = await b.client.post(MDC, json=body("another"), headers={"idempotency-key": "b"})
        assert replayed.content == again.content
        assert len(b.recall.workspace.mdcs) == 1
