"""What can be made to go wrong at Zoom: webhook requests, RTMS handshakes, running streams."""

from __future__ import annotations

from rtms_simulator.faults.common import HTTP_STATUS, delivery_words, duration
from rtms_simulator.faults.grammar import STATUS, Family, Occasion, Setting, Type, Word

MEDIA = ("audio", "video", "deskshare", "transcript", "chat", "all")
STYLES = ("spaced", "payload-first", "payload-between", "escaped-unicode", "escaped-slashes", "float-numbers")

_SIGNED = {
    "wrong-signature": Word("one digit of the signature is wrong"),
    "unsigned": Word("the signature headers are missing"),
    "stale": Word("correctly signed, long ago", {"seconds": duration(7200, "how old the timestamp is")}, value="seconds"),
    "style": Word(
        "another way to write the body, correctly signed: shows receivers that re-serialise",
        {"style": Setting(Type.TEXT, "spaced", "which", STYLES)},
        value="style",
    ),
}


def _at(**settings: Setting) -> dict[str, Setting]:
    return settings | {"at": duration(0, "when, after the meeting's start")}


_RTMS_STATUS = Setting(Type.WHOLE, 3, "0 to 47", most=47)
_CODE = Setting(Type.WHOLE, 1000, "the close code", least=1000, most=4999)

WEBHOOK = Family("zoom", "zoom.webhook", "event", "a webhook request", delivery_words() | _SIGNED)
HANDSHAKE = Family(
    "zoom",
    "zoom.rtms",
    "socket",
    "an RTMS handshake",
    {
        "refuse": Word("it is answered with this RTMS status", {"status": _RTMS_STATUS}, value="status"),
        STATUS: Word("the WebSocket upgrade is answered with this HTTP status", {"status": HTTP_STATUS}, value="status"),
        "cut": Word("the socket is closed instead of an answer", {"code": _CODE}),
        "hang": Word("it is never answered"),
    },
    known=("signaling", "media"),
)
STREAM = Family(
    "zoom",
    "zoom.stream",
    "",
    "a running stream, at a moment of one meeting",
    {
        "keep-alive-silence": Word("no keep-alive is sent any more", _at()),
        "slow-close": Word("at the end the sockets stay open", _at(seconds=duration(5, "how long")), value="seconds"),
        "drop-signaling": Word("the signaling socket breaks: rtms_interrupted, 60 s to come back", _at()),
        "drop-media": Word(
            "one media socket breaks: event 7, 65 s to come back", _at(media=Setting(Type.TEXT, "audio", "which", MEDIA)), value="media"
        ),
        "fail-over": Word("the RTMS server dies: a second rtms_started with new server_urls", _at()),
        "concurrency-limited": Word(
            "the account's limit is reached: no stream starts, the event says so",
            _at(limit=Setting(Type.WHOLE, 2000, "the limit")),
            value="limit",
        ),
    },
    Occasion.MOMENT,
)
FAMILIES = (WEBHOOK, HANDSHAKE, STREAM)
