"""The firewall, the judgement of keys, and absolute-form targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall import edge


@pytest.mark.parametrize(
    ("body", "stopped"),
    [
        (b'{"u": "http://localhost/x"}', True),
        (b'{"u": "wss://127.0.0.1:9"}', True),
        (b'{"u": "https:\\/\\/LocalHost:8080"}', True),
        (b'{"u": "rtmp://user:pw@10.0.0.1/"}', True),
        (b'{"u": "ws://[::1]/"}', True),
        (b'{"u": "https://localhost.example.com"}', True),  # the word is enough; a firewall is not a parser (inferred)
        (b'{"u": "https://mylocalhost.test"}', False),
        (b'{"u": "wss://10-0-0-1.zoom.us"}', False),
        (b'{"u": "localhost"}', False),
        (b'{"u": "https://example.com/localhost"}', False),
    ],
)
def test_urls_of_this_machine_and_of_addresses_are_stopped(body, stopped):
    assert edge.blocked("POST", body, allow_local_urls=False) == stopped
    assert not edge.blocked("POST", body, allow_local_urls=True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_any_body_on_a_get_is_stopped_whatever_is_allowed(method):
    assert edge.blocked(method, b"null", allow_local_urls=True)
    assert not edge.blocked(method, b"", allow_local_urls=False)


@given(st.text() | st.lists(st.sampled_from(["Token", "bearer", "x", "0123456789abcdef"]), max_size=4).map(" ".join))
def test_only_the_key_lets_in(header):
    key = "0123456789abcdef"
    let_in = edge.refusal(header, key) is None
    words = header.split()
    assert let_in == (words == [key] or (len(words) == 2 and words[0].lower() in ("token", "bearer") and words[1] == key))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/api/v1/x", "/api/v1/x"),
        ("https://us-east-1.recall.ai/api/v1/x/", "/api/v1/x/"),
        ("http://host", "/"),
        ("/redirect/http://host/x", "/redirect/http://host/x"),
        ("*", "*"),
    ],
)
def test_the_path_of_a_target_in_either_form(target, path):
    assert edge.path_of(target) == path
