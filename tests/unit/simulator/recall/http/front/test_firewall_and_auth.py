"""The firewall and the judgement of keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.http.front import firewall_and_auth as door
from rtms_simulator.recall.http.request_body import decode


def stopped_by_firewall(method, content_type, body, allow_local_urls):
    return door.blocked(method, body, decode(content_type, body), allow_local_urls=allow_local_urls) is not None


@pytest.mark.parametrize(
    ("body", "stopped"),
    [
        (b'{"u": "http://localhost/x"}', True),
        (b'{"u": "wss://127.0.0.1:9"}', True),
        (b'{"u": "https:\\/\\/LocalHost:8080"}', True),
        (b'{"u": "rtmp://user:pw@10.0.0.1/"}', True),
        (b'{"u": "ws://[::1]/"}', True),
        (b'{"u": "https:\\u002f\\u002flocalhost/"}', True),
        (b'{"u": "https://%6cocalhost/"}', True),
        (b'{"u": "http://2130706433/"}', True),
        (b'{"u": "http://0x7f.1:80/"}', True),
        (b'{"u": "http://localhost."}', True),
        (b'{"u": "http://x.localhost"}', True),
        (b'{"u": "wss://rtms.zoom.us,wss://localhost:1"}', True),
        (b'{"u": "see http://localhost, there"}', True),
        (b'{"u": [[{"http://[::1]": null}]]}', True),
        (b"http://localhost is no JSON", True),
        (b"https:\\/\\/localhost is no JSON", True),
        (b'{"u": "https://localhost.example.com"}', False),
        (b'{"u": "https://1.2.3.4.example.com"}', False),
        (b'{"u": "https://1e100.net/127.0.0.1"}', False),
        (b'{"u": "https://localhost@example.com"}', False),
        (b'{"u": "https://mylocalhost.test"}', False),
        (b'{"u": "wss://10-0-0-1.zoom.us"}', False),
        (b'{"u": "localhost"}', False),
        (b'{"u": "https://example.com/localhost"}', False),
    ],
)
def test_urls_of_this_machine_and_of_addresses_are_stopped(body, stopped):
    assert stopped_by_firewall("POST", "application/json", body, "none") == stopped
    assert not stopped_by_firewall("POST", "application/json", body, "all")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"zoom_rtms": {"server_urls": "ws://127.0.0.1:1"}, "x": "%s"}'),
        ("application/x-www-form-urlencoded", b"zoom_rtms.server_urls=ws%%3A%%2F%%2F127.0.0.1&x=%s"),
    ],
)
def test_server_urls_can_be_allowed_alone(kind, body):
    assert stopped_by_firewall("POST", kind, body % b"", "none")
    assert not stopped_by_firewall("POST", kind, body % b"", "server_urls")
    assert stopped_by_firewall("POST", kind, body % b"http://127.0.0.1", "server_urls")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_any_body_on_a_get_is_stopped_whatever_is_allowed(method):
    assert stopped_by_firewall(method, None, b"null", "all")
    assert not stopped_by_firewall(method, None, b"", "none")


@given(st.text() | st.lists(st.sampled_from(["Token", "bearer", "x", "0123456789abcdef"]), max_size=4).map(" ".join))
def test_only_the_key_lets_in(header):
    key = "0123456789abcdef"
    let_in = door.refusal(header, key) is None
    words = header.split()
    assert let_in == (words == [key] or (len(words) == 2 and words[0].lower() in ("token", "bearer") and words[1] == key))
