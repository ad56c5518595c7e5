"""G6: no secret, and no piece of 8 characters of one, in a log line, a record, an error or an answer, whatever Recall or Zoom say."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_relay import logs
from rtms_relay.errors import RelayError
from rtms_relay.handoff.keys import stream_key
from rtms_relay.listing import Query
from rtms_relay.ports import Answer
from rtms_relay.recall import excerpt
from rtms_relay.settings import VARIABLES, load
from rtms_relay.zoom import rtms_signature
from tests.ports.bench import Bench
from tests.ports.events import ENVIRON, NOW, URLS_B, WHSEC, signed, started, stopped
from tests.security.leaks import leaks

TOKEN = "Zk3vQ8_pL0sW2xYt"
SECRET = "nB7rT4mC9qX1dK6hF8jU5wE2zA0gV3yS"
KEY = "7b1e09c4d2f85a6630918ecb4d7fa25c8e1d3b90"  # 40 hex digits, as Recall's keys look
OTHER_KEY = "qT7+vLz/Rw_Xk-Yp3nBmGhJsDfQeWtUiOaZxCv0L"
ENVIRONMENT = {"ZOOM_SECRET_TOKEN": TOKEN, "ZOOM_CLIENT_SECRET": SECRET, "RECALL_API_KEY": KEY}
SECRETS = (TOKEN, SECRET, KEY, WHSEC.removeprefix("whsec_"))

TEMPLATES = (
    '{{"detail": "Invalid token {}"}}',
    '{{"code": "authentication_failed", "detail": "Authorization: Token {} is not known"}}',
    "<html><head><style>x</style></head><body>{}</body></html>",
    "{}",
    "a" * 280 + " {}",
    "<b>" * 900 + "{}",
    "<b>" * 1310 + "{}",
    "<b>" * 21_830 + "{}",
)
"""How an error might give back what it was sent: in words, as a page, or where the text is cut."""


class Told:
    """A bench whose log is the real one, and all that it let out."""

    def __init__(self) -> None:
        self.bench = Bench(archive=False, **ENVIRONMENT)
        self.stream = io.StringIO()
        secrets = (*load(ENVIRON | ENVIRONMENT, "webhook").secrets(), *load(ENVIRON | ENVIRONMENT, "worker").secrets())
        log = logs.JsonLog(secrets, self.stream)
        self.bench.log = log  # ty: ignore[invalid-assignment]
        self.bench.intake, self.bench.worker = self.bench.new_intake(), self.bench.new_worker()
        self.said: list[str] = []

    async def play(self, *events: dict[str, Any]) -> None:
        for event in events:
            body = json.dumps(event).encode()
            with contextlib.suppress(RelayError):
                work = self.bench.intake.receive(signed(body, self.bench.clock.now, TOKEN), body)
                self.said.append(json.dumps((await self.bench.clock.until_done(work)).body))
            with contextlib.suppress(RelayError):
                await self.bench.run()

    async def everything(self) -> list[str]:
        """Lines, records, answers and what the recordings' pages show."""
        await self.bench.live(120)
        inquiries = self.bench.worker.inquiries
        pages: list[msgspec.Struct] = [await inquiries.recordings(Query()), await inquiries.handoffs(Query(stream=stream_key("s")))]
        for key in self.bench.handoffs():
            pages += [await inquiries.show(key), await inquiries.story(key), await self.bench.worker.retrying.retry(key)]
        records = [self.bench.store.all(collection) for collection in ("handoffs", "streams", "unusable", "marks")]
        return [*self.stream.getvalue().splitlines(), *self.said, json.dumps(records), msgspec.json.encode(pages).decode()]


def signatures(bench: Bench) -> list[str]:
    return [body["zoom_rtms"]["signature"] for body, _ in bench.recall.creates] or [
        rtms_signature("cid_probe", SECRET, "4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
    ]


@given(
    status=st.sampled_from([0, 200, 400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503, 507]),
    template=st.sampled_from(TEMPLATES),
    which=st.integers(0, 3),
    pad=st.integers(0, 120),
)
async def test_nothing_that_recall_gives_back_shows(status: int, template: str, which: int, pad: int) -> None:
    told = Told()
    signature = rtms_signature("cid_probe", SECRET, "4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c")
    # Also a key of another form than today's: 40 characters of base64.
    echo = (KEY, signature, f"{KEY} {signature}", OTHER_KEY)[which]
    told.bench.recall.script = [Answer(status, (" " * pad + template.format(echo)).encode())] * 20
    await told.play(started(), started(urls=URLS_B, ts=NOW + 1000), stopped(NOW + 60_000))
    assert leaks(await told.everything(), [*SECRETS, OTHER_KEY, *signatures(told.bench)]) == []


@pytest.mark.parametrize("url", ["wss://rtms.zoom.us/s?token={}", "wss://{}.evil.example", "wss://rtms.zoom.us/{}"])
async def test_a_secret_that_comes_in_does_not_go_out_in_the_log(url: str) -> None:
    """Zoom's own words are kept on the record, for Recall must be given them; but no log line repeats a secret that is in them."""
    told = Told()
    await told.play(started(urls=url.format(SECRET)))
    assert leaks(told.stream.getvalue().splitlines(), SECRETS) == []


@given(noise=st.text(max_size=40))
async def test_what_is_not_authentic_is_refused_without_a_word_about_the_secret(noise: str) -> None:
    told = Told()
    for name in ("x-zm-signature", "x-zm-request-timestamp", "webhook-signature"):
        for side in (told.bench.intake.receive, told.bench.intake.observe):
            with pytest.raises(RelayError) as caught:
                await side([(name, noise)], noise.encode(errors="replace"))
            told.said.append(str(caught.value))
    assert leaks([*told.said, *told.stream.getvalue().splitlines()], SECRETS) == []


@given(data=st.data())
def test_settings_that_are_refused_do_not_show_what_was_found(data: st.DataObject) -> None:
    """Neither a secret that is malformed nor one that stands beside something malformed."""
    from rtms_relay.errors import SettingsError

    secret = [variable.name for variable in VARIABLES if variable.secret]
    broken = data.draw(st.sets(st.sampled_from(secret), min_size=1))
    environ = ENVIRON | ENVIRONMENT | dict.fromkeys(broken, f" {SECRET}\n")
    for role in ("webhook", "worker"):
        with contextlib.suppress(SettingsError):
            text = repr(load(environ, role))
            assert leaks([text], SECRETS) == []
            continue
        with pytest.raises(SettingsError) as caught:
            load(environ, role)
        assert leaks([str(caught.value), repr(caught.value)], SECRETS) == []


@pytest.mark.parametrize("secret", [KEY, OTHER_KEY])
@pytest.mark.parametrize("before", ["<b>" * 1310, "<b>" * 21_830, "x " * 140], ids=["4,000 bytes", "65,536 bytes", "300 characters"])
def test_no_cut_of_an_excerpt_goes_through_a_key(before: str, secret: str) -> None:
    for pad in range(130):
        said = excerpt((" " * pad + before + secret + " and so on").encode())
        assert leaks([said], [secret]) == [], f"{pad}: {said}"
