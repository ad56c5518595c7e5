"""`rtms_simulator.serving.loopback`: the proxy of a company's network is not asked for this machine, and is for all else."""

from __future__ import annotations

import sys

import httpx
import pytest
from starlette.responses import JSONResponse

from rtms_simulator.serving.http_server import HttpServer
from rtms_simulator.serving.loopback import is_loopback, outgoing, without_proxy

DEAD = "http://127.0.0.1:9"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def here():
    server = HttpServer(JSONResponse({"here": True}))  # whatever is asked, also as a proxy
    await server.start()
    yield server.url
    await server.aclose()


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("https://localhost", True),
        ("http://LOCALHOST/x", True),
        ("http://[::1]:1/", True),
        ("http://127.0.0.1.example.com/", False),
        ("https://example.com/127.0.0.1", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_what_is_this_machine(url: str, *, is_here: bool) -> None:
    assert is_loopback(url) is is_here


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", [DEAD, "socks5://127.0.0.1:9"])
async def test_this_machine_is_reached_whatever_the_proxy(here: str, monkeypatch: pytest.MonkeyPatch, name: str, proxy: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, proxy)
    for url in (here, here.replace("127.0.0.1", "localhost")):
        async with outgoing(url) as client:
            assert (await client.get(url)).json() == {"here": True}


async def test_elsewhere_is_reached_through_the_proxy(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", here)
    async with outgoing("http://example.com/") as client:
        assert (await client.get("http://example.com/")).json() == {"here": True}


def test_a_proxy_that_httpx_cannot_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(httpx.ProxyError, match="SOCKS proxy"):
        outgoing("https://example.com/")


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, None),
        ({"PATH": "/bin", "NO_PROXY": "intern"}, None),
        ({"HTTP_PROXY": ""}, None),
        ({"HTTP_PROXY": DEAD}, "127.0.0.1,localhost,::1"),
        ({"grpc_proxy": DEAD}, "127.0.0.1,localhost,::1"),
        ({"https_proxy": DEAD, "NO_PROXY": "intern, localhost"}, "intern,localhost,127.0.0.1,::1"),
        ({"ALL_PROXY": DEAD, "NO_PROXY": "a", "no_proxy": "b"}, "b,a,127.0.0.1,localhost,::1"),
    ],
)
def test_what_a_child_process_is_told(environment: dict[str, str], direct: str | None) -> None:
    assert without_proxy(environment) == ({} if direct is None else {"no_proxy": direct, "NO_PROXY": direct})
