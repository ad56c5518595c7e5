"""What both functions' HTTP surfaces share, to the letter: every answer, every line of the log, every limit of a body."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from tests.ports.bench import Bench
from tests.ports.plain import Lines
from tests.ports.time import Time, settled
from tests.unit.relay.routes import serving

from rtms_relay import __version__, logs
from rtms_relay.errors import BadRequest, RecallUnavailable, TooLarge, TooSlow, UnsupportedContentType
from rtms_relay.routes.http import Done, Handler, Surface, as_json, header_pairs, one, read_json_body, within
from rtms_relay.routes.webhook import WebhookRoutes
from rtms_relay.routes.worker import WorkerRoutes

MIB = 1_048_576
KEPT_BY_NOBODY = ("cache-control", "no-store")


class Sent:
    """A request, and how much of its body was read. `chunks`: None never comes."""

    def __init__(self, path: str = "/", method: str = "GET", headers: Iterable[tuple[str, str]] = (), *chunks: bytes | None) -> None:
        self.read, self._chunks = 0, list(chunks)
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "scheme": "http", "server": ("function", 80)}
        self.request = serving.RequestWithoutUrl(
            {**scope, "headers": [(name.encode(), value.encode()) for name, value in headers]}, self._receive
        )

    async def _receive(self) -> dict[str, Any]:
        chunk = self._chunks.pop(0) if self._chunks else b""
        if chunk is None:
            await Time(0).sleep(1)
        self.read += len(chunk or b"")
        return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}


class Served:
    """A surface whose handlers take a quarter of a second and do what `does` says."""

    def __init__(self, log: Any = None) -> None:
        self.clock, self.log, self.parts = Time(0), log or Lines(), list[dict[str, str]]()
        self.does: BaseException | Done | None = None
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/things/(?P<key>[a-z]+)", self.handle),
            ("POST", "/things/new", self.handle),
            ("GET", "/l{300}", self.handle),
        ]
        self.surface = Surface(
            routes, clock=self.clock, log=self.log, project="p", refused_event="refused", refused_notes=lambda _: {"noted": True}
        )

    async def handle(self, _: Request, parts: dict[str, str]) -> Done:
        self.parts.append(parts)
        await self.clock.sleep(0.25)
        if isinstance(self.does, BaseException):
            raise self.does
        return self.does or Done(as_json({"a": "é"}), notes={"n": 1})

    async def answer(self, path: str = "/things/one", method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> Response:
        await self.clock.run(5_000)  # the process has been up for a while
        return await self.clock.until_done(self.surface(Sent(path, method, headers).request))


def told(answer: Response) -> tuple[int, Any, list[tuple[str, str]]]:
    """Status, JSON and headers of an answer, but for its length."""
    assert answer.headers["content-type"] == "application/json"
    headers = [pair for pair in answer.headers.items() if pair[0] not in ("content-length", "content-type")]
    return answer.status_code, json.loads(bytes(answer.body)), headers


LINE = {"method": "GET", "path": "/things/one"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_has_its_answer_and_one_line(method: str) -> None:
    served = Served()
    assert told(await served.answer(method=method)) == (200, {"a": "é"}, [KEPT_BY_NOBODY])
    assert served.parts == [{"key": "one"}]
    line = {"severity": "INFO", "event": "request", "status": 200, "ms": 250, **LINE, "method": method, "n": 1}
    assert served.log.lines == [line]


async def test_an_answer_may_have_a_line_of_another_name_or_none_and_a_long_path_is_cut_in_it() -> None:
    served = Served()
    served.does = Done(as_json({}, 202, {"X-A": "b"}), "delivery")
    assert told(await served.answer("/" + "l" * 300)) == (202, {}, [KEPT_BY_NOBODY, ("x-a", "b")])
    line = {"severity": "INFO", "event": "delivery", "status": 202, "ms": 250, "method": "GET", "path": "/" + "l" * 199}
    assert served.log.lines == [line]
    served.does = Done(as_json({}), event=None)
    await served.answer()
    assert served.log.lines == [line]


REFUSED = {"severity": "WARNING", "event": "refused", "status": 400, "code": "bad_request", "reason": "a \n b", "ms": 250, **LINE}


@pytest.mark.parametrize("hint", ["", "is A set?"])
async def test_a_refused_request_has_its_reason_in_one_line_and_the_hint_is_for_the_log(hint: str) -> None:
    served = Served()
    served.does = BadRequest("a \n b", hint=hint)
    assert told(await served.answer()) == (400, {"error": "bad_request", "reason": "a b"}, [KEPT_BY_NOBODY])
    assert served.log.lines == [{**REFUSED, "noted": True, **({"hint": hint} if hint else {})}]


@pytest.mark.parametrize(("path", "allowed"), [("/things/new", "GET, POST"), ("/things/one", "GET")])
async def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_does(path: str, allowed: str) -> None:
    served = Served()
    answer = await served.answer(path, "PUT")
    refusal = {"error": "method_not_allowed", "reason": f"this path takes {allowed}"}
    assert told(answer) == (405, refusal, [KEPT_BY_NOBODY, ("allow", allowed)])
    line = {"status": 405, "code": "method_not_allowed", "reason": refusal["reason"], "ms": 0, "method": "PUT", "path": path}
    assert served.log.lines == [{"severity": "WARNING", "event": "refused", **line, "noted": True}]
    assert served.parts == []


@pytest.mark.parametrize(
    "path", ["/", "/things", "/things/", "/things/one/two", "/things/ONE", "x/things/one", "/things/one?x", "/things/one#x"]
)
async def test_a_path_that_there_is_not_is_refused(path: str) -> None:
    served = Served()
    assert told(await served.answer(path)) == (404, {"error": "not_found", "reason": "no such path"}, [KEPT_BY_NOBODY])
    assert served.parts == []


async def test_the_host_header_is_no_part_of_the_path() -> None:
    assert told(await Served().answer("/secret", headers=[("host", "x/things/one?")]))[0] == 404


async def test_both_methods_of_a_path_have_their_handler() -> None:
    served = Served()
    assert (await served.answer("/things/new")).status_code == (await served.answer("/things/new", "POST")).status_code == 200
    assert served.parts == [{"key": "new"}, {}]


async def test_an_error_of_ours_is_answered_by_its_code_and_told_of() -> None:
    served = Served()
    served.does = RecallUnavailable("no\nanswer")
    reason = {"error": "recall_unavailable", "reason": "no answer"}
    assert told(await served.answer("/" + "l" * 300)) == (502, reason, [KEPT_BY_NOBODY])
    where = "/" + "l" * 199
    line = {"where": where, "what": "recall_unavailable: no\nanswer", "status": 502, "ms": 250}
    assert served.log.lines == [{"severity": "ERROR", "event": "error", **line}]


async def test_a_bug_is_a_500_whose_line_names_the_innermost_frames() -> None:
    served = Served()

    async def broken(_: Request, parts: dict[str, str]) -> Done:
        def deeper(levels: int) -> Done:
            if not levels:
                raise ZeroDivisionError("inside")
            return deeper(levels - 1)

        await served.clock.sleep(0.25)
        return deeper(8)

    served.surface = Surface([("GET", "/l{300}", broken)], clock=served.clock, log=served.log, project="", refused_event="refused")
    body = {"error": "internal", "reason": "an unexpected error; see the log"}
    assert told(await served.answer("/" + "l" * 300)) == (500, body, [KEPT_BY_NOBODY])
    [line] = served.log.lines
    what = line.pop("what")
    assert line == {"severity": "ERROR", "event": "error", "where": "/" + "l" * 199, "status": 500, "ms": 250}
    frame = r"test_http\.py:(\d+) deeper"
    found = re.fullmatch(rf"ZeroDivisionError: inside at {' < '.join([frame] * 6)}", what)
    assert found is not None, what
    innermost, *others = found.groups()
    assert len(set(others)) == 1
    assert int(innermost) < int(others[0])


async def test_a_caller_that_has_gone_is_no_error() -> None:
    served = Served()
    served.does = ClientDisconnect()
    answer = await served.answer()
    assert (answer.status_code, bytes(answer.body), served.log.lines) == (499, b"", [])


async def test_the_lines_of_a_request_belong_to_its_trace() -> None:
    stream = io.StringIO()
    served = Served(logs.JsonLog(stream=stream))
    await served.answer(headers=[("traceparent", f"00-{'ab' * 16}-{'12' * 8}-01")])
    assert json.loads(stream.getvalue())["logging.googleapis.com/trace"] == f"projects/p/traces/{'ab' * 16}"


async def test_without_notes_of_its_own_a_refused_request_is_told_by_its_line_alone() -> None:
    log = Lines()
    surface = Surface([], clock=Time(0), log=log, project="", refused_event="request")
    assert (await surface(Sent("/things/one").request)).status_code == 404
    line = {"status": 404, "code": "not_found", "reason": "no such path", "ms": 0, **LINE}
    assert log.lines == [{"severity": "WARNING", "event": "request", **line}]


# Bodies

JSON = ("content-type", "application/json")


async def read(sent: Sent, clock: Time | None = None) -> bytes:
    clock = clock or Time(0)
    return await clock.until_done(read_json_body(sent.request, clock))


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON", " application/json ; charset=utf-8", "application/json;x"])
async def test_a_body_is_read_as_it_came(media_type: str) -> None:
    assert await read(Sent("/", "POST", [("content-type", media_type)], b'{"a"', b":1}")) == b'{"a":1}'


@pytest.mark.parametrize("headers", [[], [("content-type", "text/plain")], [("content-type", "application/jsonx")], [("content-type", "")]])
async def test_a_body_of_another_type_is_not_read(headers: list[tuple[str, str]]) -> None:
    sent = Sent("/", "POST", headers, b"{}")
    with pytest.raises(UnsupportedContentType, match=r"^content-type must be application/json$"):
        await read(sent)
    assert sent.read == 0


@pytest.mark.parametrize("declared", [str(MIB + 1), "9" * 30])
async def test_a_body_that_says_that_it_is_too_large_is_not_read(declared: str) -> None:
    sent = Sent("/", "POST", [JSON, ("content-length", declared)], b"{}")
    with pytest.raises(TooLarge, match=r"^the body is over 1048576 bytes$"):
        await read(sent)
    assert sent.read == 0


@pytest.mark.parametrize("declared", [None, str(MIB), "x", "-1", "²", "", "0" * 40])
async def test_a_body_of_a_mebibyte_is_read_whatever_it_says_of_its_length(declared: str | None) -> None:
    headers = [JSON] if declared is None else [JSON, ("content-length", declared)]
    assert len(await read(Sent("/", "POST", headers, b"x" * (MIB - 1), b"x"))) == MIB


async def test_a_body_that_is_larger_than_it_said_is_read_to_the_limit_and_no_further() -> None:
    sent = Sent("/", "POST", [JSON, ("content-length", "2")], b"x" * MIB, b"x", b"y" * 1000)
    with pytest.raises(TooLarge, match=r"^the body is over 1048576 bytes$"):
        await read(sent)
    assert sent.read == MIB + 1


async def test_a_body_that_does_not_come_is_waited_for_ten_seconds() -> None:
    clock = Time(0)
    with pytest.raises(TooSlow, match=r"^the body did not arrive within 10 s$"):
        await read(Sent("/", "POST", [JSON], b"{", None), clock)
    assert clock.monotonic_ms() == 10_000


@pytest.mark.parametrize(("lasts", "in_time"), [(1.999, True), (2.001, False)])
async def test_work_is_ended_with_its_time_and_nothing_goes_on_behind_it(lasts: float, in_time: bool) -> None:
    clock, ended = Time(0), list[str]()

    async def work() -> str:
        try:
            await clock.sleep(lasts)
        finally:
            ended.append("ended")
        return "result"

    if in_time:
        assert await clock.until_done(within(clock, 2.0, work())) == "result"
    else:
        with pytest.raises(TimeoutError):
            await clock.until_done(within(clock, 2.0, work()))
    assert clock.monotonic_ms() == min(lasts, 2.0) * 1000
    await settled()
    assert ended == ["ended"]
    assert all(waiting.done() for _, _, waiting in clock._sleepers)


# The rest


def test_headers_come_as_they_were_and_a_parameter_comes_once() -> None:
    pairs = [("a", "1"), ("b", "2"), ("a", "3")]
    assert header_pairs(Sent("/", "GET", pairs).request) == pairs
    assert (one([], "limit"), one(["1"], "limit")) == (None, "1")
    with pytest.raises(BadRequest, match=r"^limit may come only once$"):
        one(["1", "1"], "limit")


def test_an_answer_may_be_a_struct_and_what_is_noted_of_it_is_a_copy() -> None:
    class Shown(msgspec.Struct):
        a: int

    assert told(as_json(Shown(a=1))) == (200, {"a": 1}, [KEPT_BY_NOBODY])
    notes = {"n": 1}
    done = Done(as_json({}), notes=notes)
    notes["n"] = 2
    assert (done.event, done.notes, Done(as_json({})).notes) == ("request", {"n": 1}, {})


# Health, which both have


@pytest.mark.parametrize("role", ["webhook", "worker"])
async def test_health_says_what_runs_and_leaves_no_line(role: str) -> None:
    bench = Bench()
    status, headers, text = await serving.told(bench, role, "GET", "/health")
    assert (status, headers) == (200, serving.NO_STORE)
    assert json.loads(text) == {"status": "ok", "role": role, "version": __version__, "code": serving.CODE}
    assert bench.log.lines == []


async def test_without_a_hash_of_the_code_health_says_none() -> None:
    bench = Bench()
    for routes in (WebhookRoutes(bench.intake, bench.clock, bench.log), WorkerRoutes(bench.worker, bench.clock, bench.log)):
        assert routes._code == ""
        assert routes.surface._project == ""
