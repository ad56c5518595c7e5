"""Who may call what: one table of tokens, one of paths, and nothing unclear counts as an identity."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports.events import NOW

from rtms_relay import callers
from rtms_relay.callers import Caller
from rtms_relay.errors import NotAllowed

URL = "https://worker-abc.a.run.app"
INVOKERS = {
    "/events": "tasks-events@p.iam.gserviceaccount.com",
    "/retrieve": "tasks-retrieve@p.iam.gserviceaccount.com",
    "/sweep": "scheduler@p.iam.gserviceaccount.com",
}
EVENTS = INVOKERS["/events"]
CLAIMS = {"email": EVENTS, "email_verified": True, "aud": URL, "exp": NOW // 1000 + 60, "iss": "https://accounts.google.com"}


def token(claims: Any = None, signature: str = "SIGNATURE_REMOVED_BY_GOOGLE", **changed: Any) -> str:
    whole = {**CLAIMS, **changed} if claims is None else claims
    whole = {name: value for name, value in whole.items() if value is not ...} if isinstance(whole, dict) else whole
    parts = [json.dumps(part).encode() if not isinstance(part, bytes) else part for part in ({"alg": "RS256", "kid": "k"}, whole)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), signature])


def caller(*headers: tuple[str, str]) -> Caller:
    return callers.by_claims(headers, audiences=callers.audiences(URL), now_ms=NOW)


def bearer(text: str, name: str = "Authorization") -> tuple[str, str]:
    return name, f"Bearer {text}"


def padded_within(whole: str) -> str:
    head, claims, signature = whole.split(".")
    return f"{head}.{claims[:4]}===={claims[4:]}.{signature}"


OTHER = token(email="somebody@example.com")
KNOWN = [
    ("the plain header", [bearer(token())], EVENTS),
    ("the preferred header", [bearer(token(), "X-Serverless-Authorization")], EVENTS),
    ("the preferred header wins", [bearer(OTHER), bearer(token(), "X-Serverless-Authorization")], EVENTS),
    ("the preferred header wins in the other order", [bearer(token(), "x-serverless-authorization"), bearer(OTHER)], EVENTS),
    ("the plain one is not read then", [bearer(token()), bearer(OTHER, "X-Serverless-Authorization")], "somebody@example.com"),
    ("a scheme in lower case", [("authorization", f"bearer {token()}")], EVENTS),
    ("with its signature", [bearer(token(signature="c2ln"))], EVENTS),
    ("an audience with a slash", [bearer(token(aud=URL + "/"))], EVENTS),
    ("an audience with the path", [bearer(token(aud=URL + "/sweep"))], EVENTS),
    ("a second before it expires", [bearer(token(exp=NOW / 1000 + 1))], EVENTS),
    ("a person", [bearer(OTHER)], "somebody@example.com"),
]
EVERYBODY = [
    ("no token", []),
    ("the plain header twice", [bearer(token()), bearer(token())]),
    ("the preferred header twice", [bearer(token(), "X-Serverless-Authorization")] * 2),
    ("the plain header twice beside the preferred one", [bearer(token()), bearer(token()), bearer(token(), "X-Serverless-Authorization")]),
    ("a broken preferred header beside a sound one", [bearer(token()), bearer("x", "X-Serverless-Authorization")]),
    ("an empty preferred header beside a sound one", [bearer(token()), ("X-Serverless-Authorization", "")]),
    ("two tokens in one header", [("Authorization", f"Bearer {token()}, Bearer {token()}")]),
    ("another scheme", [("Authorization", f"Basic {token()}")]),
    ("no scheme", [("Authorization", token())]),
    ("blanks", [("Authorization", f"Bearer  {token()}")]),
    ("a line break", [("Authorization", f"Bearer {token()}\n")]),
    ("two parts", [bearer(token().rpartition(".")[0])]),
    ("four parts", [bearer(token() + ".x")]),
    ("claims that are not base64", [bearer("e30.!.x")]),
    ("claims that are cut", [bearer("e30.e.x")]),
    ("claims with padding in their middle", [bearer(padded_within(token()))]),
    ("claims that are not JSON", [bearer(token(b"{"))]),
    ("claims that are an array", [bearer(token([CLAIMS]))]),
    ("claims nested deeply", [bearer(token(b"[" * 3000))]),
    ("no e-mail", [bearer(token(email=...))]),
    ("an e-mail that is not text", [bearer(token(email=[EVENTS]))]),
    ("an e-mail that is not one", [bearer(token(email="tasks-events"))]),
    ("an e-mail with a line break", [bearer(token(email=EVENTS + "\n"))]),
    ("an e-mail that is not verified", [bearer(token(email_verified=False))]),
    ("an e-mail of which nothing is said", [bearer(token(email_verified=...))]),
    ("verified as text", [bearer(token(email_verified="true"))]),
    ("verified as a number", [bearer(token(email_verified=1))]),
    ("another audience", [bearer(token(aud="https://other.a.run.app"))]),
    ("an audience that begins like the worker", [bearer(token(aud=URL + ".evil.example"))]),
    ("an audience that ends like the worker", [bearer(token(aud="https://evil-worker-abc.a.run.app"))]),
    ("an audience with another path", [bearer(token(aud=URL + "/recordings"))]),
    ("several audiences", [bearer(token(aud=[URL]))]),
    ("no audience", [bearer(token(aud=...))]),
    ("expired just now", [bearer(token(exp=NOW // 1000))]),
    ("expired", [bearer(token(exp=NOW // 1000 - 3600))]),
    ("no expiry", [bearer(token(exp=...))]),
    ("an expiry that is text", [bearer(token(exp=str(NOW)))]),
    ("an expiry that is true", [bearer(token(exp=True))]),
    (
        "headers of Cloud Tasks alone",
        [("X-CloudTasks-QueueName", "handoffs"), ("X-CloudTasks-TaskName", "t"), ("X-CloudScheduler", "true")],
    ),
    ("headers of a proxy", [("X-Goog-Authenticated-User-Email", f"accounts.google.com:{EVENTS}"), ("X-Forwarded-User", EVENTS)]),
]


@pytest.mark.parametrize(("headers", "email"), [row[1:] for row in KNOWN], ids=[row[0] for row in KNOWN])
def test_a_clear_token_is_an_identity(headers: list[tuple[str, str]], email: str) -> None:
    assert caller(*headers) == Caller("identity", email)


@pytest.mark.parametrize("headers", [row[1] for row in EVERYBODY], ids=[row[0] for row in EVERYBODY])
def test_what_is_not_clear_is_everybody_else(headers: list[tuple[str, str]]) -> None:
    told = caller(*headers)
    assert (told.kind, told.email) == ("everybody", "")
    assert told.why


MACHINES = ("/events", "/retrieve", "/sweep")
PEOPLE = ("/recordings", "/recordings/abc", "/recordings/abc/download", "/handoffs", "/handoffs/abc", "/handoffs/abc/retry")
ELSEWHERE = (
    "/",
    "",
    "/recordingsx",
    "/events/",
    "/events/x",
    "/EVENTS",
    "//events",
    "/handoffs-second",
    "/admin",
    "/health/x",
    "/x/recordings",
)


def may(who: Caller, path: str, invokers: dict[str, str] | None = None) -> bool:
    try:
        callers.admit(who, path, INVOKERS if invokers is None else invokers)
    except NotAllowed:
        return False
    return True


def test_the_whole_table_of_callers_and_paths() -> None:
    somebody = [
        Caller("everybody", why="x"),
        Caller("identity", "somebody@example.com"),
        Caller("identity", "x" + EVENTS),
        Caller("identity"),
    ]
    assert set(INVOKERS) == set(MACHINES)
    for path in (*MACHINES, *PEOPLE, *ELSEWHERE):
        for machine, email in INVOKERS.items():
            assert may(Caller("identity", email), path) is (path == machine), (email, path)
        for who in somebody:
            assert may(who, path) is (path in PEOPLE), (who, path)
        assert may(Caller("run"), path)
    for who in [*somebody, *(Caller("identity", email) for email in INVOKERS.values())]:
        assert may(who, "/health")


def test_tasks_of_the_first_edition_come_from_the_same_queue() -> None:
    assert may(Caller("identity", EVENTS), "/handoff")
    assert not may(Caller("identity", INVOKERS["/sweep"]), "/handoff")
    assert not may(Caller("everybody", why="x"), "/handoff")


def test_an_e_mail_counts_only_where_a_token_proves_it() -> None:
    assert not may(Caller("everybody", EVENTS, "x"), "/events")


def test_without_invokers_no_caller_is_a_machine() -> None:
    for path in MACHINES:
        assert not may(Caller("identity", EVENTS), path, {})
        assert not may(Caller("everybody", why="x"), path, {})
        assert not may(Caller("identity", ""), path, {})


def test_a_refusal_says_why() -> None:
    with pytest.raises(NotAllowed, match=r"/sweep is called by its queue or Scheduler alone: an expired token"):
        callers.admit(caller(bearer(token(exp=1))), "/sweep", INVOKERS)
    with pytest.raises(NotAllowed, match="the identity of /events may call nothing else"):
        callers.admit(caller(bearer(token())), "/recordings", INVOKERS)
    with pytest.raises(NotAllowed, match=r"^/events is called by its queue or Scheduler alone$"):
        callers.admit(caller(bearer(OTHER)), "/events", INVOKERS)
    with pytest.raises(NotAllowed, match=r"^nobody may call this path$"):
        callers.admit(caller(bearer(OTHER)), "/admin", INVOKERS)


@pytest.mark.parametrize("url", ["https://w.example/FOX", "https://w.example/FOX/"])
def test_a_token_is_for_the_worker_with_and_without_a_slash_or_for_a_path_of_tasks(url: str) -> None:
    root = "https://w.example/FOX"
    assert callers.audiences(url) == {root, f"{root}/", f"{root}/events", f"{root}/retrieve", f"{root}/sweep"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([EVENTS, URL]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(CLAIMS)) | st.text(max_size=5), inner, max_size=5),
    max_leaves=8,
)
NAMES = st.sampled_from(["authorization", "Authorization", "x-serverless-authorization", "X-CloudTasks-QueueName", "x-other"])
VALUES = JSON.map(lambda claims: f"Bearer {token(claims)}") | st.text(max_size=60) | st.just(f"Bearer {token()}")


@given(headers=st.lists(st.tuples(NAMES, VALUES), max_size=4), path=st.sampled_from(MACHINES + PEOPLE + ELSEWHERE) | st.text())
def test_whatever_the_headers_are_only_one_clear_token_opens_a_path_of_tasks(headers: list[tuple[str, str]], path: str) -> None:
    who = caller(*headers)
    values = [value for name, value in headers if name.lower() == "x-serverless-authorization"]
    values = values or [value for name, value in headers if name.lower() == "authorization"]
    assert not may(who, path) or path not in MACHINES or (len(values) == 1 and proves(values[0], INVOKERS[path]))


def proves(value: str, email: str) -> bool:
    """Whether a header's token is of this identity, for this service, and not expired."""
    claims = json.loads(base64.urlsafe_b64decode(value.split(".")[1] + "=="))
    return claims["email"] == email and claims["email_verified"] is True and claims["exp"] * 1000 > NOW and claims["aud"].startswith(URL)


@given(changed=st.dictionaries(st.sampled_from(["email", "email_verified", "aud", "exp"]), JSON, min_size=1))
def test_any_claim_replaced_by_something_else_opens_nothing_that_it_should_not(changed: dict[str, Any]) -> None:
    who = caller(bearer(token(**changed)))
    same = {**CLAIMS, **changed}
    sound = same["email_verified"] is True and same["aud"] in (URL, URL + "/") and isinstance(same["exp"], int | float)
    assert may(who, "/events") is (who.kind == "identity" and who.email == EVENTS)
    assert who.kind == "everybody" or sound
