"""What can be made to go wrong at Zoom: webhook requests, RTMS handshakes, running streams."""

from __future__ import annotations

from rtms_simulator.faults.common import HTTP_STATUS, delivery_words, duration
from rtms_simulator.faults.grammar import STATUS, Family, FaultWord, Occasion, Setting, SettingType

MEDIA = ("audio", "video", "deskshare", "transcript", "chat", "all")
STYLES = ("spaced", "payload-first", "payload-between", "escaped-unicode", "escaped-slashes", "float-numbers")

_SIGNED = {
    "wrong-signature": FaultWord("one digit of the signature is wrong"),
    "unsigned": FaultWord("the signature headers are missing"),
    "stale": FaultWord(
        "it is correctly signed, with an old timestamp", {"seconds": duration(7200, "how old the timestamp is")}, value="seconds"
    ),
    "style": FaultWord(
        "the body is written in another way, correctly signed: finds receivers that re-serialise",
        {"style": Setting(SettingType.TEXT, "spaced", "which", STYLES)},
        value="style",
    ),
}


def _at(**settings: Setting) -> dict[str, Setting]:
    return settings | {"at": duration(0, "when, after the meeting's start; if no such socket is open then, as soon as one is")}


_RTMS_STATUS = Setting(SettingType.WHOLE, 3, "0 to 47", most=47)
_CODE = Setting(SettingType.WHOLE, 1000, "the close code", least=1000, most=4999)

WEBHOOK = Family("zoom", "zoom.webhook", "event", "a webhook request", delivery_words() | _SIGNED)
HANDSHAKE = Family(
    "zoom",
    "zoom.rtms",
    "socket",
    "an RTMS handshake",
    {
        "refuse": FaultWord("it is answered with this RTMS status", {"status": _RTMS_STATUS}, value="status"),
        STATUS: FaultWord("the WebSocket upgrade is answered with this HTTP status", {"status": HTTP_STATUS}, value="status"),
        "cut": FaultWord("the socket is closed instead of an answer", {"code": _CODE}),
        "hang": FaultWord("it is never answered"),
    },
    known=("signaling", "media"),
)
STREAM = Family(
    "zoom",
    "zoom.stream",
    "",
    "a running stream, at a moment of one meeting",
    {
        "keep-alive-silence": FaultWord("no keep-alive is sent any more", _at()),
        "slow-close": FaultWord("at the end the sockets stay open", _at(seconds=duration(5, "how long")), value="seconds"),
        "drop-signaling": FaultWord("the signaling socket breaks: rtms_interrupted, 60 s to come back", _at()),
        "drop-media": FaultWord(
            "one media socket breaks: event 7, 65 s to come back",
            _at(media=Setting(SettingType.TEXT, "audio", "which", MEDIA)),
            value="media",
        ),
        "fail-over": FaultWord("the RTMS server dies: a second rtms_started with new server_urls", _at()),
        "concurrency-limited": FaultWord(
            "the account's limit is reached: no stream starts, the event says so",
            _at(limit=Setting(SettingType.WHOLE, 2000, "the limit")),
            value="limit",
        ),
    },
    Occasion.MOMENT,
)
FAMILIES = (WEBHOOK, HANDSHAKE, STREAM)
