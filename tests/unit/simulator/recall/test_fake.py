"""The fake as one object: its port, its process manners, what it refuses to be made of."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.unit.simulator.recall.workbench import KEY, body

from rtms_simulator.clock import Clock
from rtms_simulator.errors import PortTakenError
from rtms_simulator.recall import Recall, RecallOptions, RecallSwitches, Story, Timings, VideoRequest, WebhookEndpoint, scripted
from rtms_simulator.recall.recorder.values import RecordingResult


@pytest.fixture
async def recall(tmp_path):
    made = Recall(Clock(), api_key=KEY, data_dir=tmp_path, recorder_factory=scripted(Story()), allow_local_urls=True)
    await made.start()
    yield made
    await made.aclose()


@pytest.fixture
async def client(recall):
    async with httpx.AsyncClient(base_url=recall.base_url, headers={"authorization": f"Token {KEY}"}, trust_env=False) as made:
        yield made


async def test_the_port_and_the_app_are_one_state(recall, client):
    made = (await client.post("/meeting_direct_connect", json=body())).json()
    async with httpx.AsyncClient(transport=recall.transport(), headers={"authorization": KEY}) as inside:
        answer = await inside.get(f"{recall.base_url}/meeting_direct_connect/{made['id']}")
        assert answer.json()["id"] == made["id"]
    assert recall.base_url.startswith("http://127.0.0.1:")
    assert recall.base_url.endswith("/api/v1")


async def test_a_recording_is_downloaded_over_the_port(recall, client):
    made = (await client.post("/meeting_direct_connect", json=body())).json()
    await recall.drained()
    shown = (await client.get(f"/meeting_direct_connect/{made['id']}")).json()
    url = shown["recordings"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"]
    assert url.startswith(recall.origin)
    async with httpx.AsyncClient(trust_env=False) as stranger:
        assert (await stranger.get(url)).content == b"video_mixed mp4"


async def raw(recall, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(recall.origin.rpartition(":")[2]))
    writer.write(request)
    await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_an_absolute_form_target_and_any_host_are_served(recall):
    payload = json.dumps(body()).encode()
    head = (
        f"POST https://us-west-2.recall.ai/api/v1/meeting_direct_connect HTTP/1.1\r\nHost: nonsense.test\r\nAuthorization: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    )
    assert (await raw(recall, head.encode() + payload)).startswith(b"HTTP/1.1 201 ")


async def test_a_cut_connection_has_no_answer_but_the_thing_was_done(recall, client):
    recall.faults.add("recall.create: cut then reset")
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/meeting_direct_connect", json=body(), headers={"idempotency-key": "k"})
    with pytest.raises(httpx.ReadError):
        await client.post("/meeting_direct_connect", json=body(), headers={"idempotency-key": "k"})
    assert (await client.post("/meeting_direct_connect", json=body(), headers={"idempotency-key": "k"})).json()[
        "id"
    ] in recall.workspace.mdcs
    assert len(recall.workspace.mdcs) == 1


async def test_a_truncated_download_is_resumed(recall, client):
    made = (await client.post("/meeting_direct_connect", json=body())).json()
    await recall.drained()
    recall.faults.add("recall.download: truncate 6")
    shown = (await client.get(f"/meeting_direct_connect/{made['id']}")).json()
    url = shown["recordings"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"]
    got = b""

    async def read():
        nonlocal got
        async with stranger.stream("GET", url) as answer:
            async for piece in answer.aiter_raw():
                got += piece

    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.RemoteProtocolError):
            await read()
        assert got == b"video_"
        rest = await stranger.get(url, headers={"range": f"bytes={len(got)}-"})
        assert got + rest.content == b"video_mixed mp4"


async def test_a_client_that_leaves_a_hanging_request_costs_nothing(recall, client):
    recall.faults.add("recall.create: hang")
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/meeting_direct_connect", json=body(), timeout=0.05)
    assert (await client.post("/meeting_direct_connect", json=body())).status_code == 201


async def test_garbage_on_the_port_disturbs_nobody(recall, client):
    assert (await raw(recall, b"\x16\x03\x01 garbage\r\n\r\n")).startswith(b"HTTP/1.1 400")
    assert (await client.get("/recording/")).status_code == 200


async def test_the_openapi_document_needs_no_key(recall):
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answer = await stranger.get(f"{recall.origin}/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"


async def test_closing_twice_and_starting_again_on_a_taken_port(recall, tmp_path):
    port = int(recall.origin.rpartition(":")[2])
    other = Recall(Clock(), api_key=KEY, data_dir=tmp_path, port=port)
    with pytest.raises(PortTakenError):
        await other.start()
    await other.aclose()
    await recall.aclose()
    await recall.aclose()
    again = Recall(Clock(), api_key=KEY, data_dir=tmp_path, port=port)
    await again.start()
    await again.aclose()


async def test_a_frozen_clock_does_not_keep_the_port_from_opening():
    made = Recall(Clock(rate=0), api_key=KEY)
    await made.start()
    directory = made.data_dir
    assert directory.is_dir()
    await made.aclose()
    assert not directory.exists()


async def test_closing_with_a_recorder_at_work_is_prompt(tmp_path):
    made = Recall(Clock(), api_key=KEY, data_dir=tmp_path, recorder_factory=scripted(Story(lasts=None)))
    async with httpx.AsyncClient(transport=made.transport(), headers={"authorization": KEY}) as client:
        assert (await client.post("http://r.test/api/v1/meeting_direct_connect", json=body())).status_code == 201
    await made.aclose()
    assert made.lifecycle.recording_now == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"region": "mars"}, "us-east-1, us-west-2"),
        ({"api_key": "two words"}, "one ASCII word"),
        ({"api_key": ""}, "one ASCII word"),
        ({"faults": ["nonsense"]}, "a fault is written"),
        ({"webhooks": [WebhookEndpoint("http://x.test", "nonsense")]}, "whsec_"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(tmp_path, options, says):
    arguments: dict[str, Any] = {"api_key": KEY, "data_dir": tmp_path, **options}
    with pytest.raises(ValueError, match=says):
        Recall(Clock(), **arguments)


async def test_the_region_is_named_in_its_texts(tmp_path):
    made = Recall(Clock(), api_key=KEY, region="eu-central-1", data_dir=tmp_path, switches=RecallSwitches())
    async with httpx.AsyncClient(transport=made.transport(), headers={"authorization": KEY}) as client:
        answer = await client.post("http://r.test/api/v1/meeting_direct_connect", json={"bot_name": 1})
        assert "region=eu-central-1" in answer.text
    await made.aclose()


async def test_the_usual_recorder_really_goes_where_it_is_told(tmp_path):
    made = Recall(Clock(rate=50), api_key=KEY, data_dir=tmp_path, allow_local_urls=True)
    knocked = asyncio.Event()

    async def refuse(reader, writer):
        knocked.set()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        there = body(server_urls=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with httpx.AsyncClient(transport=made.transport(), headers={"authorization": KEY}, base_url="http://r.test/api/v1") as client:
            mdc = (await client.post("/meeting_direct_connect", json=there)).json()
            await made.drained()
            shown = (await client.get(f"/meeting_direct_connect/{mdc['id']}")).json()
    assert knocked.is_set()
    assert shown["status"]["code"] == "failed"
    assert shown["status"]["sub_code"]
    assert shown["recordings"] == []
    await made.aclose()


async def test_a_defect_of_the_fake_is_logged_and_answered_with_500(recall, client, monkeypatch, caplog):
    monkeypatch.setattr(recall.lifecycle, "create", lambda _body: 1 / 0)
    assert (await client.post("/meeting_direct_connect", json=body())).status_code == 500
    assert "POST /api/v1/meeting_direct_connect failed: a defect of the fake" in caplog.text
    assert (await client.get("/meeting_direct_connect")).status_code == 200


async def test_the_recorder_asks_for_the_pictures_and_has_the_patience_that_were_given(tmp_path, monkeypatch):
    made = []

    class Noted:
        def __init__(self, clock, request, config, directory, on_event, *, ssl, timings):
            made.append((config.video, timings, ssl))

        async def run(self):
            return RecordingResult("failed")

        async def displace(self):
            pass

    monkeypatch.setattr("rtms_simulator.recall.recorder.recorder.Recorder", Noted)
    video, timings = VideoRequest(codec=7, resolution=2, fps=30), Timings(silence=5.0)
    for options, noted in (
        (RecallOptions(api_key=KEY, data_dir=tmp_path, video=video, timings=timings), (video, timings, None)),
        (RecallOptions(api_key=KEY, data_dir=tmp_path), (VideoRequest(), Timings(), None)),
    ):
        recall = Recall(Clock(), options)
        async with httpx.AsyncClient(transport=recall.transport(), base_url="https://us-east-1.recall.ai/api/v1") as inside:
            answer = await inside.post("/meeting_direct_connect", json=body(), headers={"authorization": KEY})
            assert answer.status_code == 201
        await recall.drained()
        await recall.aclose()
        assert made.pop() == noted
