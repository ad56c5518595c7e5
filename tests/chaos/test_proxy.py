"""Each spell does to a connection what it says, and nothing happens without one."""

import asyncio
import contextlib
import random

import pytest

from tests.chaos.proxy import SPELLS, Proxy


class Echo:
    """Answers each line with itself, and keeps what it heard."""

    def __init__(self):
        self.heard = []

    async def serve(self, reader, writer):
        try:
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def echo():
    return Echo()


@pytest.fixture
async def proxy(echo):
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    one = Proxy("test", server.sockets[0].getsockname(), random.Random(0))
    await one.start()
    yield one
    await one.aclose()
    server.close()


async def ask(proxy, line=b"hello\n", within_s=3.0):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(line)
        return await asyncio.wait_for(reader.readline(), within_s)
    finally:
        writer.close()


async def test_without_a_spell_everything_passes(proxy, echo):
    big = b"x" * 60_000 + b"\n"
    assert [await ask(proxy), await ask(proxy, big)] == [b"hello\n", big]
    assert proxy.acted.total() == 0


async def test_latency_delays_and_changes_nothing(proxy, echo):
    proxy.begin("latency")
    began = asyncio.get_running_loop().time()
    assert await ask(proxy) == b"hello\n"
    assert asyncio.get_running_loop().time() - began > 0.04
    assert proxy.acted["latency"] == 2


async def test_a_reset_ends_open_and_new_connections(proxy, echo):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello\n")
    await reader.readline()
    proxy.begin("reset")
    with pytest.raises(ConnectionResetError):
        await reader.readline()
    writer.close()
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    assert proxy.acted["reset"] == 2


async def test_a_cut_comes_after_the_effect(proxy, echo):
    proxy.begin("cut")
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    assert echo.heard == [b"hello\n"]


async def test_a_black_hole_swallows_and_resets_in_the_end(proxy, echo):
    proxy.begin("black hole")
    asking = asyncio.create_task(ask(proxy))
    await asyncio.sleep(0.2)
    assert not asking.done()
    proxy.end()
    with pytest.raises(ConnectionResetError):
        await asking
    assert echo.heard == []


async def test_a_dead_target_is_a_reset_and_a_new_one_is_reached_again(echo):
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    proxy = Proxy("test", address, random.Random(0))
    await proxy.start()
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    server = await asyncio.start_server(echo.serve, *address)
    assert await ask(proxy) == b"hello\n"
    await proxy.aclose()
    server.close()


async def test_spells_come_and_go_until_it_is_calm(proxy, monkeypatch):
    monkeypatch.setattr("tests.chaos.proxy.CALM_S", (0.0, 0.01))
    monkeypatch.setattr("tests.chaos.proxy.SPELL_S", (0.0, 0.01))
    met = set()
    proxy.misbehave()
    for _ in range(2000):
        met.add(proxy.spell)
        if met == {None, *SPELLS}:
            break
        await asyncio.sleep(0.001)
    await proxy.calm()
    assert met == {None, *SPELLS}
    assert proxy.spell is None


async def test_connections_that_lead_nowhere_yet_are_closed_with_the_proxy(monkeypatch):
    """Under load the proxy is closed while it connects, or before a connection's task has had its first step."""
    connect, connecting, accepted = asyncio.open_connection, asyncio.Semaphore(0), asyncio.Queue()

    async def never(*_address):
        connecting.release()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", never)
    proxy = Proxy("test", ("127.0.0.1", 9), random.Random(0))
    await proxy.start()
    clients = [await connect("127.0.0.1", proxy.port) for _ in range(6)]
    for _ in clients:
        await asyncio.wait_for(connecting.acquire(), 5)
    async with await asyncio.start_server(lambda *pair: accepted.put_nowait(pair), "127.0.0.1", 0) as server:
        late = [await connect(*server.sockets[0].getsockname()) for _ in range(6)]
        pairs = [await asyncio.wait_for(accepted.get(), 5) for _ in late]
        for pair in pairs:
            proxy._accept(*pair)
        await proxy.aclose()
        for reader, writer in [*clients, *late]:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()
    assert [writer.is_closing() for _, writer in pairs] == [True] * 6
