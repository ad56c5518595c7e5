"""Targets of a client that takes the fake for its HTTPS proxy: which end here, and why others do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.http.front.proxy import ProxyRefusal, Target, connect_refusal, parse_target

OWN = "127.0.0.1:8080"
REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1", "api")


@pytest.mark.parametrize("host", [*(f"{region}.recall.ai" for region in REGIONS), "US-EAST-1.Recall.AI", "a.b.recall.ai"])
def test_a_tunnel_to_any_host_of_recall_ends_here(host):
    assert connect_refusal(f"{host}:443") is None


@pytest.mark.parametrize(
    ("target", "status", "error"),
    [
        ("example.com:443", 403, "proxy_elsewhere"),
        ("recall.ai:443", 403, "proxy_elsewhere"),
        ("us-east-1.recall.ai:80", 403, "proxy_elsewhere"),
        ("us-east-1.recall.ai:8443", 403, "proxy_elsewhere"),
        ("us-east-1.recall.ai.evil.test:443", 403, "proxy_elsewhere"),
        ("evilrecall.ai:443", 403, "proxy_elsewhere"),
        ("-x.recall.ai:443", 403, "proxy_elsewhere"),
        ("us-east-1.recall.ai/x:443", 403, "proxy_elsewhere"),
        ("127.0.0.1:443", 403, "proxy_elsewhere"),
        ("[::1]:443", 403, "proxy_elsewhere"),
        ("user:pw@us-east-1.recall.ai:443", 400, "proxy_userinfo"),
        ("us-east-1.recall.ai", 400, "proxy_target"),
        ("us-east-1.recall.ai:", 400, "proxy_target"),
        ("us-east-1.recall.ai:https", 400, "proxy_target"),
        (":443", 400, "proxy_target"),
        ("", 400, "proxy_target"),
    ],
)
def test_any_other_tunnel_is_refused_with_a_reason(target, status, error):
    refusal = connect_refusal(target)
    assert refusal is not None
    assert (refusal.status, refusal.error) == (status, error)
    assert "pw" not in refusal.reason


@given(st.text(max_size=40))
def test_only_port_443_below_recall_ai_is_ever_let_through(target):
    assert connect_refusal(target) is not None or (target.lower().rpartition(":")[0].endswith(".recall.ai") and target.endswith(":443"))


@pytest.mark.parametrize(
    ("target", "parsed"),
    [
        ("/api/v1/recording/", Target("/api/v1/recording/")),
        ("/x://y", Target("/x://y")),
        ("http", Target("http")),
        ("https://us-east-1.recall.ai/api/v1/recording/", Target("/api/v1/recording/", "https://us-east-1.recall.ai")),
        ("HTTPS://us-east-1.recall.ai:443/", Target("/", "https://us-east-1.recall.ai:443")),
        ("http://us-east-1.recall.ai", Target("/", "http://us-east-1.recall.ai")),
        (f"http://{OWN}/a//b", Target("/a//b", f"http://{OWN}")),
    ],
)
def test_a_target_in_either_form_keeps_its_scheme(target, parsed):
    assert parse_target(target, OWN) == parsed


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("https://example.com/", "proxy_elsewhere"),
        ("https://us-east-1.recall.ai:80/", "proxy_elsewhere"),
        ("http://127.0.0.1:9/", "proxy_elsewhere"),
        ("https://user:pw@us-east-1.recall.ai/", "proxy_userinfo"),
        ("https://us-east-1.recall.ai@example.com/", "proxy_userinfo"),
        ("ftp://us-east-1.recall.ai/", "proxy_scheme"),
        ("https:///api/v1/", "proxy_elsewhere"),
    ],
)
def test_any_other_target_in_absolute_form_is_refused_with_a_reason(target, error):
    refusal = parse_target(target, OWN)
    assert isinstance(refusal, ProxyRefusal)
    assert refusal.error == error
    assert "pw" not in refusal.reason


def test_a_port_of_the_other_scheme_is_named_with_the_right_one():
    for target, right in (("http://us-east-1.recall.ai:443/", "port 80"), ("https://us-east-1.recall.ai:80/", "port 443")):
        refusal = parse_target(target, OWN)
        assert isinstance(refusal, ProxyRefusal)
        assert right in refusal.reason
