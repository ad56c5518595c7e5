"""Clients with a hard-coded Recall host, through the fake as their HTTPS proxy; and what they must not do with it."""

import asyncio
import contextlib
import json
import os
import ssl

import httpx
import pytest
from tests.unit.simulator.recall.workbench import KEY, body

from rtms_simulator.clock import Clock
from rtms_simulator.recall import Recall, RecallSwitches, scripted
from rtms_simulator.recall.recorder.scripted import Story

HARD_CODED = "https://us-east-1.recall.ai/api/v1"


@pytest.fixture
async def recall(tmp_path):
    made = Recall(Clock(), api_key=KEY, data_dir=tmp_path, recorder_factory=scripted(Story()), switches=RecallSwitches(page_size=1))
    await made.start()
    yield made
    await made.aclose()


def client(recall, **options):
    trust = ssl.create_default_context(cafile=str(recall.authority.ca_file))
    return httpx.AsyncClient(proxy=recall.origin, verify=trust, headers={"authorization": f"Token {KEY}"}, trust_env=False, **options)


async def raw(recall, sent: bytes, then: bytes | None = None) -> bytes:
    """What comes back for bytes on the port, and for `then` once the first answer is there."""
    host, _, port = recall.origin.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        got = b""
        if then is not None:
            got = await reader.readuntil(b"\r\n\r\n")
            writer.write(then)
        writer.write_eof()
        return got + await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def test_a_hard_coded_host_is_reached_and_every_link_is_on_it(recall):
    async with client(recall) as c:
        for name in ("one", "two"):
            answer = await c.post(f"{HARD_CODED}/meeting_direct_connect/", json=body(name))
            assert answer.status_code == 201, answer.text
        await recall.drained()
        first = (await c.get(f"{HARD_CODED}/recording/")).json()
        assert first["next"].startswith(f"{HARD_CODED}/recording/?cursor=")
        second = (await c.get(first["next"])).json()
        ids = [recording["id"] for page in (first, second) for recording in page["results"]]
        assert sorted(ids) == sorted(recall.workspace.recordings)
        link = second["results"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"]
        assert link.startswith("https://us-east-1.recall.ai/_workspace-")
    async with client(recall) as stranger:
        del stranger.headers["authorization"]
        assert (await stranger.get(link)).content == b"video_mixed mp4"


async def test_every_region_is_served_and_no_other_host(recall):
    async with client(recall) as c:
        for region in ("us-west-2", "eu-central-1", "ap-northeast-1"):
            assert (await c.get(f"https://{region}.recall.ai/api/v1/recording/")).status_code == 200
        with pytest.raises(httpx.ProxyError, match="403"):
            await c.get("https://example.com/")


async def test_without_the_runs_authority_no_client_talks_to_it(recall):
    async with httpx.AsyncClient(proxy=recall.origin, trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(f"{HARD_CODED}/recording/")
    async with client(recall) as c:
        assert (await c.get(f"{HARD_CODED}/recording/")).status_code == 200


async def test_the_control_plane_is_out_of_reach_through_the_proxy(recall):
    async with client(recall) as c:
        answer = await c.get("https://us-east-1.recall.ai/_control/state")
        assert (answer.status_code, recall.workspace_secret in answer.text) == (404, False)
    for host in ("https://us-east-1.recall.ai", "http://us-east-1.recall.ai"):
        got = await raw(recall, f"GET {host}/_control/state HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert got.startswith(b"HTTP/1.1 404 ")
    rebound = await raw(recall, b"GET /_control/state HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
    assert rebound.startswith(b"HTTP/1.1 404 ")
    async with httpx.AsyncClient(trust_env=False) as c:
        assert (await c.get(f"{recall.origin}/_control/state")).status_code == 404


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_target_in_absolute_form_keeps_its_scheme_in_links(recall, scheme):
    async with client(recall) as c:
        for name in ("one", "two"):
            await c.post(f"{HARD_CODED}/meeting_direct_connect/", json=body(name))
    await recall.drained()
    head = f"GET {scheme}://us-east-1.recall.ai/api/v1/recording/ HTTP/1.1\r\nHost: other.test\r\nAuthorization: {KEY}\r\n"
    got = await raw(recall, f"{head}Connection: close\r\n\r\n".encode())
    page = json.loads(got.partition(b"\r\n\r\n")[2])
    assert page["next"].startswith(f"{scheme}://us-east-1.recall.ai/api/v1/recording/?cursor=")
    video = page["results"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"]
    assert video.startswith(f"{scheme}://us-east-1.recall.ai/_workspace-")


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        (b"GET https://u:p@us-east-1.recall.ai/api/v1/recording/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400, "proxy_userinfo"),
        (b"GET https://example.com/ HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", 403, "proxy_elsewhere"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 403, "proxy_elsewhere"),
        (b"CONNECT u:p@us-east-1.recall.ai:443 HTTP/1.1\r\n\r\n", 400, "proxy_userinfo"),
        (b"CONNECT us-east-1.recall.ai:443\r\n\r\n", 400, "proxy_request"),
        (b"CONNECT us-east-1.recall.ai:443 HTTP/1.1\r\n", 400, "proxy_request"),
        (b"CONNECT " + b"x" * 40_000, 400, "proxy_request"),
    ],
)
async def test_what_no_proxy_of_ours_does_is_refused_with_its_reason(recall, sent, status, error):
    got = await raw(recall, sent)
    assert got.startswith(f"HTTP/1.1 {status} ".encode())
    refusal = json.loads(got.partition(b"\r\n\r\n")[2])
    assert refusal["error"] == error
    assert refusal["reason"]


async def test_plain_http_inside_a_tunnel_is_told_that_tls_is_spoken_there(recall):
    sent = b"CONNECT us-east-1.recall.ai:443 HTTP/1.1\r\n\r\n"
    got = await raw(recall, sent, b"GET /api/v1/recording/ HTTP/1.1\r\nHost: us-east-1.recall.ai\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 400 ")
    assert b'"proxy_not_tls"' in got


async def test_a_connect_in_pieces_and_a_hello_that_comes_along_are_understood(recall):
    """A client need not wait for the 200: its first TLS record may stand in the same segment as CONNECT."""
    context = ssl.create_default_context(cafile=str(recall.authority.ca_file))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="us-east-1.recall.ai")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    host, _, port = recall.origin.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in (b"CON", b"NECT us-east-1.recall.ai:443 HTTP/1.1\r", b"\n\r\n" + outgoing.read()):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    while True:
        incoming.write(await asyncio.wait_for(reader.read(65536), 5))
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            continue
    assert tls.version() in ("TLSv1.2", "TLSv1.3")
    writer.close()


@pytest.mark.parametrize("fault", ["cut", "reset"])
async def test_a_connection_that_a_fault_cuts_is_cut_through_the_tunnel_too(recall, fault):
    recall.faults.add(f"recall.create: {fault}")
    async with client(recall) as c:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await c.post(f"{HARD_CODED}/meeting_direct_connect/", json=body())
        assert (await c.get(f"{HARD_CODED}/recording/")).status_code == 200


async def test_closing_ends_tunnels_and_connections_that_never_spoke(tmp_path):
    made = Recall(Clock(), api_key=KEY, data_dir=tmp_path, recorder_factory=scripted(Story()))
    await made.start()
    host, _, port = made.origin.removeprefix("http://").rpartition(":")
    silent, silent_writer = await asyncio.open_connection(host, int(port))
    half, half_writer = await asyncio.open_connection(host, int(port))
    half_writer.write(b"CONNECT us-east-1.recall.ai:443 HTTP/1.1\r\n\r\n")
    await half.readuntil(b"\r\n\r\n")
    directory = made.authority.ca_file.parent
    await asyncio.wait_for(made.aclose(), 5)
    for reader, writer in ((silent, silent_writer), (half, half_writer)):
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    assert not os.path.exists(directory)  # noqa: PTH110, ASYNC240
