"""Hypothesis strategies for tests of a program that receives Zoom's RTMS webhooks: this kit's function, or your own receiver.

    from hypothesis import given
    from rtms_simulator.testing import strategies

    @given(delivery=strategies.deliveries("the app's secret token", now=1_795_338_000))
    def test_what_zoom_may_send_is_taken(delivery): ...

    @given(delivery=strategies.forgeries("the app's secret token", now=1_795_338_000))
    def test_what_zoom_never_sent_is_refused(delivery): ...

`events` are what Zoom documents, in every family, with ids as awkward as real ones; `bodies` are the ways to write one down; `deliveries`
are signed requests; `forgeries` have exactly one flaw; `malformed` are authentic and wrong. `recall_faults` and `recall_switches` vary
the fake Recall. All shrink towards the documentation's own values, and print as one short line. Needs the package `hypothesis`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from hypothesis import strategies as st

from rtms_simulator.recall.records.tables import INVENTED_MDC_CODES
from rtms_simulator.recall.switches import Progression, RecallSwitches
from rtms_simulator.scenario.meeting_events import MEETING_EVENTS
from rtms_simulator.zoom.rtms.enums import StopReason
from rtms_simulator.zoom.webhooks import events as zoom
from rtms_simulator.zoom.webhooks.events import FAMILIES, StreamIds, WebhookEvent
from rtms_simulator.zoom.webhooks.sender import CONTENT_TYPE

SIGNATURE = "x-zm-signature"
TIMESTAMP = "x-zm-request-timestamp"
NOW_MS = 1_795_338_000_000
"""Where event times are drawn around unless a test says when it is."""

DAY_S = 86_401
"""A day and a second: longer than any window for replays that makes sense."""
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_HEX = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """One request to a webhook: `headers` as they go out in UTF-8, repeated ones repeated. `flaw` is "" for what Zoom could have sent."""

    event: WebhookEvent
    headers: tuple[tuple[str, str], ...]
    body: bytes
    flaw: str = ""

    def __repr__(self) -> str:
        return f"<{f'{self.flaw}: ' if self.flaw else ''}{told(self.event)}>"


def told(event: WebhookEvent) -> str:
    """An event in a few words."""
    payload = event.payload
    facts = {"servers": payload.get("server_urls"), "stop_reason": payload.get("stop_reason"), "stream": payload.get("rtms_stream_id")}
    return " ".join([event.name, *(f"{name}={value}" for name, value in facts.items() if value is not None)])


# What is in an event


def products() -> st.SearchStrategy[str]:
    """A key of `rtms_simulator.zoom.webhooks.events.FAMILIES`."""
    return st.sampled_from(list(FAMILIES))


def entity_ids() -> st.SearchStrategy[str]:
    """A meeting's UUID: base64 of 16 bytes, which may hold `+`, begin with `/` or hold `//` (Zoom API docs: encode it twice then)."""
    awkward = st.sampled_from(["4444AAAiAAAAAiAiAiiAii==", "/ajXp112QmuoKj4854875==", "Lhu//ABC+DEFghijklmnop=="])
    return awkward | st.text(_BASE64, min_size=22, max_size=22).map(lambda text: f"{text}==")


def stream_ids() -> st.SearchStrategy[str]:
    """An `rtms_stream_id`: 32 hex digits."""
    return st.just("609340fb2a7946909659956c8aa9250c") | st.text(_HEX, min_size=32, max_size=32)


def ids() -> st.SearchStrategy[StreamIds]:
    return st.builds(StreamIds, entity_ids(), stream_ids(), account_id=st.sampled_from(["Ylp1nCFkRuSyGvUx2eVzKg", "a/b+c=="]))


def server_urls() -> st.SearchStrategy[str]:
    """One URL of Zoom's, or two with a comma (Zoom RTMS docs: use the string as it is)."""
    url = st.builds("wss://rtms-{}.zoom.us:{}".format, st.sampled_from("abc"), st.sampled_from([443, 8443]))
    return url | st.lists(url, min_size=2, max_size=2, unique=True).map(",".join)


# Events


Who = st.SearchStrategy[StreamIds] | None
When = st.SearchStrategy[int] | None


def starts(*, who: Who = None, times: When = None) -> st.SearchStrategy[WebhookEvent]:
    """`*.rtms_started` of every product, in the payload's form of 2025 and of May 2026. `times` in ms since the epoch."""
    return st.builds(
        zoom.started,
        products(),
        ids() if who is None else who,
        server_urls(),
        _times() if times is None else times,
        form=st.sampled_from(["2026-05", "2025"]),
    )


def stops(*, who: Who = None, times: When = None) -> st.SearchStrategy[WebhookEvent]:
    """`*.rtms_stopped` with every documented reason; 8 asks for deletion."""
    return st.builds(zoom.stopped, products(), ids() if who is None else who, _reasons(), _times() if times is None else times)


def interruptions(*, who: Who = None, times: When = None) -> st.SearchStrategy[WebhookEvent]:
    """`*.rtms_interrupted`. [?] With server_urls too: Zoom documents none there, its samples read them."""
    return st.builds(
        zoom.interrupted,
        products(),
        ids() if who is None else who,
        _times() if times is None else times,
        server_urls=st.none() | server_urls(),
    )


def challenges() -> st.SearchStrategy[WebhookEvent]:
    """`endpoint.url_validation` with a token such as Zoom's: 22 characters of URL-safe base64."""
    tokens = st.just("qgg8vlvZRS6UYooatFL8Aw") | st.text(f"{_BASE64[:62]}-_", min_size=22, max_size=22)
    return st.builds(zoom.url_validation, tokens, _times())


def notices() -> st.SearchStrategy[WebhookEvent]:
    """What is about the account rather than a stream: concurrency and deauthorization."""
    return st.one_of(
        st.builds(zoom.concurrency_near_limit, st.just(2000), st.integers(1600, 2000), _times()),
        st.builds(zoom.concurrency_limited, products(), ids(), st.just(2000), _times()),
        st.builds(zoom.app_deauthorized, st.just("clientid"), ids(), st.just("2019-06-17T13:52:28.632Z"), _times()),
    )


def unknown_events() -> st.SearchStrategy[WebhookEvent]:
    """Events that an app may be subscribed to for other reasons: to be acknowledged, whatever they hold."""
    names = st.sampled_from(["meeting.started", "recording.completed", "meeting.rtms_paused", "user.signed_in"])
    payloads = st.dictionaries(st.text(max_size=8), st.none() | st.integers(0, 9) | st.text(max_size=8), max_size=3)
    return st.builds(WebhookEvent, names, payloads, _times())


def plain_events() -> st.SearchStrategy[WebhookEvent]:
    """What comes beside RTMS: a meeting, webinar or session begins, ends, somebody comes or goes."""
    names = st.sampled_from([name for events in MEETING_EVENTS.values() for name in events])
    return st.builds(lambda name, at: WebhookEvent(name, zoom.EVENTS[name].payload, at), names, _times())


def events() -> st.SearchStrategy[WebhookEvent]:
    """Any event that Zoom may send."""
    return st.one_of(starts(), stops(), interruptions(), challenges(), notices(), plain_events(), unknown_events())


@st.composite
def lives(draw: st.DrawFn) -> list[WebhookEvent]:
    """Zoom's events of one stream, in order: it starts, may be interrupted and move to other servers, and stops. Times grow."""
    product, who = draw(products()), draw(ids())
    at = draw(_times())
    story = [zoom.started(product, who, draw(server_urls()), at)]
    for _ in range(draw(st.integers(0, 2))):
        at += draw(st.integers(1, 600)) * 1000
        story.append(zoom.interrupted(product, who, at))
        if draw(st.booleans()):
            at += draw(st.integers(1, 60)) * 1000
            story.append(zoom.started(product, who, draw(server_urls()), at))
    if draw(st.booleans()):
        at += draw(st.integers(1, 7200)) * 1000
        story.append(zoom.stopped(product, who, draw(_reasons()), at))
    return story


def _reasons() -> st.SearchStrategy[int]:
    return st.just(int(StopReason.STOP_BC_MEETING_ENDED)) | st.sampled_from([int(reason) for reason in StopReason])


def _times() -> st.SearchStrategy[int]:
    return st.integers(-90, 0).map(lambda seconds: NOW_MS + seconds * 1000)


# Bodies


def bodies(event: WebhookEvent) -> st.SearchStrategy[bytes]:
    """Every way of writing an event down: Zoom's own, and those that a receiver only survives if it verifies the bytes as they came."""
    return st.sampled_from([style for name, style in zoom.STYLES.items() if name != "float-numbers"]).map(
        lambda style: zoom.body(event, style)
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """An entry of one of the tables below, and where it strikes."""

    name: str
    place: int = 0

    def __repr__(self) -> str:
        return f"<{self.name}{f' at {self.place}' if self.place else ''}>"


@dataclass(frozen=True, slots=True, repr=False)
class Damage(_Choice):
    """One way in which a body is no event any more; `place` chooses where. `apply` never returns the body as it was."""

    def apply(self, event: WebhookEvent) -> bytes:
        return DAMAGES[self.name](event, self.place)


def _whole(event: WebhookEvent) -> dict[str, Any]:
    return msgspec.json.decode(zoom.body(event))


def _written(document: Any) -> bytes:
    return msgspec.json.encode(document)


def _cut(event: WebhookEvent, place: int) -> bytes:
    body = zoom.body(event)
    return body[: place % len(body)]


def _without(event: WebhookEvent, place: int) -> bytes:
    """Without one of the fields that say what happened and to whom."""
    document = _whole(event)
    payload = document["payload"]
    names = [name for name in ("rtms_stream_id", "server_urls", "meeting_uuid", "plainToken") if name in payload]
    if names and place % 4:
        del payload[names[place % len(names)]]
    else:
        del document[("event", "payload", "event")[place % 3]]
    return _written(document)


def _mistyped(event: WebhookEvent, place: int) -> bytes:
    """One field of another type than it has."""
    document = _whole(event)
    where = document["payload"] if document["payload"] and place % 3 else document
    names = sorted(where)
    name = names[place % len(names)]
    others: list[Any] = [None, True, -1, 1e300, "", [], {}, "\u0000", [[]], 2**70]
    other = others[place % len(others)]
    where[name] = {"was": where[name]} if other == where[name] else other
    return _written(document)


DAMAGES: Mapping[str, Callable[[WebhookEvent, int], bytes]] = {
    "cut off": _cut,
    "without a field": _without,
    "a field of another type": _mistyped,
    "no JSON": lambda event, place: b"event=" + zoom.body(event),
    "no object": lambda event, place: b"[" + zoom.body(event) + b"]",
    "text behind it": lambda event, place: zoom.body(event) + b"}",
    "not UTF-8": lambda event, place: zoom.body(event).replace(b'"event"', b'"event\xff"', 1),
    "a byte order mark": lambda event, place: b"\xef\xbb\xbf" + zoom.body(event),
    "UTF-16": lambda event, place: zoom.body(event).decode().encode("utf-16"),
    "nested deeply": lambda event, place: zoom.body(event)[:-1] + b',"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "NaN": lambda event, place: zoom.body(event).replace(str(event.event_ts).encode(), b"NaN", 1),
    "a control character in an id": lambda event, place: _written(
        {**_whole(event), "payload": {**_whole(event)["payload"], "rtms_stream_id": "60934\n0fb2a"}}
    ),
    "an endless id": lambda event, place: _written(
        {**_whole(event), "payload": {**_whole(event)["payload"], "rtms_stream_id": "6" * 100_000}}
    ),
    "another time": lambda event, place: _written({**_whole(event), "event_ts": (-1, 0, 2**63, 0.5, "now")[place % 5]}),
    "nothing": lambda event, place: b"",
}
"""Name -> what it does to an event. A receiver answers 4xx, or 2xx where it has no use for what is damaged: never 5xx."""


def damages() -> st.SearchStrategy[Damage]:
    return st.builds(Damage, st.sampled_from(list(DAMAGES)), st.integers(0, 300))


# Requests


def sign(secret_token: str, seconds: int, body: bytes) -> tuple[tuple[str, str], ...]:
    """Zoom's headers for a body."""
    return (
        ("content-type", CONTENT_TYPE),
        (TIMESTAMP, str(seconds)),
        (SIGNATURE, zoom.sign(secret_token, str(seconds), body)),
    )


@st.composite
def deliveries(draw: st.DrawFn, secret_token: str, *, now: float, of: st.SearchStrategy[WebhookEvent] | None = None) -> SignedRequest:
    """An authentic request at `now` (seconds since the epoch), signed up to a minute ago. `of`: which events; any by default."""
    event = draw(events() if of is None else of)
    body = draw(bodies(event))
    return SignedRequest(event, sign(secret_token, int(now) - draw(st.integers(0, 60)), body), body)


@st.composite
def malformed(draw: st.DrawFn, secret_token: str, *, now: float, of: st.SearchStrategy[WebhookEvent] | None = None) -> SignedRequest:
    """An authentic request whose body is damaged: signed as it is."""
    event, damage = draw(events() if of is None else of), draw(damages())
    body = damage.apply(event)
    return SignedRequest(event, sign(secret_token, int(now), body), body, damage.name)


@st.composite
def forgeries(draw: st.DrawFn, secret_token: str, *, now: float, of: st.SearchStrategy[WebhookEvent] | None = None) -> SignedRequest:
    """A request that somebody made who does not have the secret, or kept for a day: to be refused, with nothing done. `of`: starts by
    default; not challenges, which may come unsigned."""
    return draw(flaws()).apply(draw(starts() if of is None else of), secret_token, now)


@dataclass(frozen=True, slots=True, repr=False)
class Flaw(_Choice):
    """One thing that makes a request not authentic; `place` chooses which bit, byte or digit."""

    def apply(self, event: WebhookEvent, secret_token: str, now: float) -> SignedRequest:
        """The flawed request at `now` (seconds since the epoch)."""
        body = zoom.body(event)
        genuine = SignedRequest(event, sign(secret_token, int(now), body), body)
        return replace(FLAWS[self.name](genuine, secret_token, int(now), self.place), flaw=self.name)


_Spoil = Callable[[SignedRequest, str, int, int], SignedRequest]


def _header(delivery: SignedRequest, name: str, change: Callable[[str], str]) -> SignedRequest:
    return replace(delivery, headers=tuple((n, change(value) if n == name else value) for n, value in delivery.headers))


def _without_header(*names: str) -> _Spoil:
    return lambda d, secret, now, place: replace(d, headers=tuple(pair for pair in d.headers if pair[0] not in names))


def _signed(delivery: SignedRequest, secret_token: str, seconds: int) -> SignedRequest:
    return replace(delivery, headers=sign(secret_token, seconds, delivery.body))


def _other_digit(text: str, place: int) -> str:
    at = place % 64 + 3
    return text[:at] + _HEX[(_HEX.index(text[at]) + 1 + place // 64 % 14) % 16] + text[at + 1 :]


def _bit(body: bytes, place: int) -> bytes:
    at = place * 7 % (len(body) * 8)
    return body[: at // 8] + bytes([body[at // 8] ^ 1 << at % 8]) + body[at // 8 + 1 :]


def _arabic(text: str) -> str:
    return text.translate({ord(str(digit)): 0x0660 + digit for digit in range(10)})


def _freshened(delivery: SignedRequest, secret_token: str, now: int, place: int) -> SignedRequest:
    """Kept for a day, and given a second timestamp of today, before or behind the one that was signed."""
    old, fresh = sign(secret_token, now - DAY_S, delivery.body), (TIMESTAMP, str(now))
    return replace(delivery, headers=(fresh, *old) if place % 2 else (*old, fresh))


FLAWS: Mapping[str, _Spoil] = {
    "unsigned": _without_header(SIGNATURE, TIMESTAMP),
    "no signature": _without_header(SIGNATURE),
    "no timestamp": _without_header(TIMESTAMP),
    "an empty signature": lambda d, secret, now, place: _header(d, SIGNATURE, lambda _: ""),
    "the signature cut short": lambda d, secret, now, place: _header(d, SIGNATURE, lambda text: text[: 3 + place % 64]),
    "one digit of the signature": lambda d, secret, now, place: _header(d, SIGNATURE, lambda text: _other_digit(text, place)),
    "the signature of another body": lambda d, secret, now, place: replace(d, headers=sign(secret, now, b"{}")),
    "a challenge's answer as signature": lambda d, secret, now, place: _header(
        d, SIGNATURE, lambda _: "v0=" + zoom.encrypt_token(secret, d.body.decode())
    ),
    "another app's secret": lambda d, secret, now, place: _signed(d, "another" + secret[7:], now),
    "an empty secret": lambda d, secret, now, place: _signed(d, "", now),
    "one bit of the body": lambda d, secret, now, place: replace(d, body=_bit(d.body, place)),
    "something appended": lambda d, secret, now, place: replace(d, body=d.body + b" " * (place + 1)),
    "written anew": lambda d, secret, now, place: replace(d, body=msgspec.json.format(d.body, indent=1)),
    "another timestamp": lambda d, secret, now, place: _header(d, TIMESTAMP, lambda text: str(int(text) - 1 - place)),
    "the timestamp in Arabic digits": lambda d, secret, now, place: _header(d, TIMESTAMP, _arabic),
    "a day old": lambda d, secret, now, place: _signed(d, secret, now - DAY_S),
    "from tomorrow": lambda d, secret, now, place: _signed(d, secret, now + DAY_S),
    "a day old, with a fresh timestamp added": _freshened,
}
"""Name -> what it does to a genuine delivery. Taking any of them is a defect, whatever window a receiver keeps, up to a day."""


def flaws() -> st.SearchStrategy[Flaw]:
    return st.builds(Flaw, st.sampled_from(list(FLAWS)), st.integers(0, 2000))


# Recall


def recall_faults() -> st.SearchStrategy[str]:
    """A script for the fake Recall (`faults.add`) under which a patient client still makes one MDC: it ends, and after it all is well."""
    passing = [
        *("503", "502 html", "429 retry-after=7", "409", "507", "500", "503 done", "cut", "reset", "slow 5s", "hang"),
    ]
    step = st.tuples(st.sampled_from(passing), st.integers(1, 3)).map(lambda each: each[0] if each[1] == 1 else f"{each[0]} x{each[1]}")
    operations = st.sampled_from(["create", "retrieve", "*"])
    return st.builds(lambda name, steps: f"recall.{name}: {' then '.join(steps)}", operations, st.lists(step, min_size=1, max_size=2))


def recall_switches() -> st.SearchStrategy[RecallSwitches]:
    """Every way in which Recall may turn out to differ from the fake's defaults, as far as an MDC's client sees it."""
    return st.builds(
        RecallSwitches,
        recordings=st.sampled_from(["later", "at_once", "never"]),
        mdc_codes=st.sampled_from([{}, dict(INVENTED_MDC_CODES)]),
        status_changes=st.booleans(),
        progression=st.sampled_from([Progression(), Progression.timed(60), Progression.after_polls(2)]),
        echo_zoom_rtms=st.booleans(),
        mdc_list=st.sampled_from(["cursor", "bare_array"]),
        swap_done=st.booleans(),
        bot_key=st.sampled_from(["absent", "null", "meeting_direct_connect"]),
        displaced=st.sampled_from(["done", "failed"]),
    )
