"""`server_urls` decides where a stream's signature goes: what is let through means the same host to every parser that may read it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from rtms_relay.zoom import Started, parse, refused_host
from tests.ports.bench import Bench
from tests.ports.events import started

PARTS = (
    "wss://",
    "ws://",
    "//",
    "a.zoom.us",
    "zoom.us",
    "evil.example",
    "127.0.0.1",
    "[::1]",
    "0x7f.1",
    "2130706433",
    ".",
    "@",
    ":",
    "443",
)
MORE = (
    "443",
    "\\",
    "/",
    "?",
    "#",
    "%2e",
    "%00",
    "%40",
    ",",
    " ",
    "\t",
    "\u3002",
    "\uff0e",
    "\u2100",
    "xn--",
    "a",
    "-",
    "_",
    ";",
    "&",
    "[",
    "]",
)
_PIECES = st.lists(st.sampled_from(PARTS + MORE), max_size=3).map("".join)
URLS = (
    st.builds("wss://{}a.zoom.us{}".format, _PIECES, _PIECES)
    | st.lists(st.sampled_from(PARTS + MORE), max_size=8).map("".join)
    | st.text(max_size=60).map("wss://a.zoom.us{}".format)
)


@settings(max_examples=500)
@given(URLS)
@example("wss://a.zoom.us%40evil.example")
@example("wss://a.zoom.us:443:evil.example")
@example("wss://evil.example#@a.zoom.us")
@example("wss://a.zoom.us\u3002evil.example")
@example("wss://evil.example\\.zoom.us")
@example("wss://evil.example\\@a.zoom.us")
@example("wss://evil%2eexample.zoom.us")
@example("wss://evil.example\t.zoom.us")
def test_whatever_is_let_through_is_zooms_to_every_parser(urls: str) -> None:
    if refused_host(urls, ("*.zoom.us",)) is not None:
        return
    for url in urls.split(","):
        assert urlsplit(url).scheme == httpx.URL(url).scheme == "wss"
        for host in (urlsplit(url).hostname, httpx.URL(url).raw_host.decode(), _websockets_host(url)):
            assert host is None or host.rstrip(".").lower().endswith(".zoom.us")


def _websockets_host(url: str) -> str | None:
    """Where the client of the simulator would go; None if it would not go anywhere."""
    try:
        return parse_uri(url).host
    except InvalidURI:
        return None


@given(URLS)
async def test_what_is_not_let_through_gets_no_signature_and_no_request(urls: str) -> None:
    bench = Bench()
    event = parse(json.dumps(started(urls)).encode())  # blanks and empty items are taken out before the hosts are looked at
    if isinstance(event, Started) and refused_host(event.server_urls, ("*.zoom.us",)) is None:
        return
    await bench.zoom(started(urls))
    await bench.run(6)
    assert bench.recall.creates == []
    assert [handoff.attempt.state for handoff in bench.handoffs().values()] == ["failed"] * isinstance(event, Started)
