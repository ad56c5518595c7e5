"""Log lines: Google Cloud's fields, one line each, no secret."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import subprocess
import sys
import threading
import time
import traceback
import types
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtms_relay
from rtms_relay import logs

QUERY = re.compile(r"(?i)((?:https?|wss?)://[^\s?\"'<>]+)\?[^\s\"'<>]+")


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_clouds_fields_and_the_events_own() -> None:
    stream = io.StringIO()
    logs.JsonLog(stream=stream)("NOTICE", "delivery", name="meeting.started", outcome="created", ms=3)
    assert lines(stream) == [
        {
            "severity": "NOTICE",
            "message": "delivery: meeting.started: created",
            "name": "meeting.started",
            "outcome": "created",
            "ms": 3,
            "event": "delivery",
        }
    ]


def test_no_secret_comes_through_in_any_place() -> None:
    stream = io.StringIO()
    log = logs.JsonLog(["topsecret", "topsecret-longer"], stream)
    log(
        "INFO",
        "error",
        what="x topsecret-longer y",
        nested={"topsecret": ["a topsecret"]},
        signature="v0=" + "a" * 64,
        webhook="v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        header="Authorization: Token 0123456789abcdef",
        link="https://b.example/v.mp4?Signature=abc&Expires=1",
        odd=ValueError("topsecret"),
    )
    text = stream.getvalue()
    for word in ("topsecret", "longer", "aaaa", "K5oZ", "0123456789", "Signature=", "Expires"):
        assert word not in text
    assert "https://b.example/v.mp4?[redacted]" in text


@pytest.mark.parametrize("pattern", [logs._SIGNATURE, logs._AUTHORIZATION, QUERY], ids=["signature", "credentials", "link"])
@given(data=st.data())
def test_whatever_looks_like_a_secret_is_taken_out_wherever_it_stands(pattern: re.Pattern[str], data: st.DataObject) -> None:
    """The look that spares most texts the patterns spares none that has something to hide."""
    found = pattern.search(data.draw(st.from_regex(pattern, fullmatch=True)))
    assert found is not None
    for text in (found[0], f"id {found[0]}", f"{found[0]}\n"):
        assert "[redacted]" in logs.redact(text, ())
        # Without the mark, for a link's query may be a piece of it: `?[` becomes `?[redacted]`.
        assert text not in logs.redact(text, ()).replace("[redacted]", "")


def test_nobodys_input_begins_a_line_or_sets_a_field() -> None:
    stream = io.StringIO()
    logs.JsonLog(stream=stream)("INFO", "delivery", name='a\n{"severity":"ALERT"}\r\u2028\x00\ud800', event="forged", severity="ALERT")
    [line] = stream.getvalue().split("\n")[:-1]
    assert json.loads(line)["event"] == "delivery"
    assert json.loads(line)["severity"] == "INFO"


@pytest.mark.parametrize(
    ("header", "value", "trace", "span", "sampled"),
    [
        (
            "x-cloud-trace-context",
            "105445aa7843bc8bf206b12000100000/1;o=1",
            "projects/p/traces/105445aa7843bc8bf206b12000100000",
            "0000000000000001",
            True,
        ),
        ("x-cloud-trace-context", "105445aa7843bc8bf206b12000100000", "projects/p/traces/105445aa7843bc8bf206b12000100000", None, None),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "00f067aa0ba902b7",
            True,
        ),
        ("traceparent", 'x"\n', None, None, None),
        ("x-cloud-trace-context", "1/2", None, None, None),
    ],
)
def test_traces(header: str, value: str, trace: str | None, span: str | None, sampled: bool | None) -> None:
    stream = io.StringIO()
    logs.begin({header: value}, "p")
    logs.JsonLog(stream=stream)("INFO", "sweep")
    logs.begin({}, "p")
    [line] = lines(stream)
    assert line.get("logging.googleapis.com/trace") == trace
    assert line.get("logging.googleapis.com/spanId") == span
    assert line.get("logging.googleapis.com/trace_sampled") == sampled


def test_libraries_log_through_the_same_door() -> None:
    stream = io.StringIO()
    handler = logs.LibraryHandler(logs.JsonLog(["topsecret"], stream))
    logger = logging.getLogger("some.library")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("topsecret")
    except ValueError:
        logger.exception("broken")
    logger.info("too quiet")
    logger.removeHandler(handler)
    [line] = lines(stream)
    assert line["severity"] == "ERROR"
    assert "ValueError: [redacted]" in str(line["message"])
    assert "Traceback" in str(line["what"])


def test_every_event_that_is_logged_is_listed_and_the_other_way_round() -> None:
    source = "\n".join(path.read_text() for path in Path(rtms_relay.__file__).parent.rglob("*.py"))
    used = set(re.findall(r'(?:_log|log)\(\s*(?:"[A-Z]+"|severity|"[A-Z]+" if [^,]+),\s*"([a-z_]+)"', source))
    used |= set(re.findall(r'(?:event: str \| None = |refused_event=|Done\(as_json\(reply\.body\), )"([a-z_]+)"', source))
    used |= set(re.findall(r'name = "(stream_[a-z]+)" if revokes else "(stream_[a-z]+)"', source)[0])
    assert used == set(logs.EVENTS)


SECRET = "Zk3vQ8_pL0sW2x+Yt/9="


@pytest.mark.parametrize(
    "text",
    [
        f"/a/{SECRET}/b",
        "/a/Zk3vQ8_pL0sW2x%2BYt%2F9%3D/b",
        "/a/Zk3vQ8_pL0sW2x%2bYt%2f9%3d/b",
        "/a/Zk3vQ8_pL0sW2x%2BYt/9%3D/b",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_a_secret_is_taken_out_in_each_form_in_which_it_comes(text: str) -> None:
    shown = logs.redact(text, logs.forms([SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]))
    assert "Zk3v" not in shown
    assert "MfKQ" not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize("size", range(6, len(SECRET)))
def test_a_text_that_was_cut_within_a_secret_does_not_show_its_beginning(size: int) -> None:
    stream = io.StringIO()
    logs.JsonLog([SECRET], stream)(
        "INFO", "delivery", name="n" * (100 - size) + SECRET[:size], path="/" + "p" * 100 + SECRET[:size], outcome="ok"
    )
    [line] = lines(stream)
    assert SECRET[:6] not in stream.getvalue()
    assert str(line["name"]).endswith("n[redacted]")
    assert str(line["message"]).endswith("n[redacted]: ok")


HOSTILE = {
    "links": "http://" * 9000,
    "links and a mark": "?" + "http://" * 9000,
    "tokens": "token " * 10_000,
    "a token and blanks": "token" + " " * 60_000,
    "letters": "bearer " + "a" * 60_000,
    "signatures": "v0=" * 20_000,
    "marks": "?" * 60_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_redaction_takes_time_in_proportion_to_the_text(kind: str) -> None:
    began = time.process_time()
    logs.redact(HOSTILE[kind], logs.forms([SECRET]))
    assert time.process_time() - began < 0.3


async def test_ids_are_hashed_wherever_they_stand_in_a_line() -> None:
    raw_stream, raw_meeting = "609340fb2a7946909659956c8aa9250c", "4444AAAiAAAAAiAiAiiAii=="
    stream = io.StringIO()
    log = logs.JsonLog(stream=stream, hash_ids=True)
    logs.begin({}, "p")
    log("NOTICE", "start_seen", entity_id=raw_meeting, rtms_stream_id=raw_stream)
    log(
        "ALERT",
        "event_unusable",
        rtms_stream_id=raw_stream,
        reason=f"no servers for {raw_stream}",
        keys=["rtms_stream_id"],
        ids={"uuid": raw_meeting, "id": "12345"},
    )
    shown_stream, shown_meeting = (hashlib.sha256(raw.encode()).hexdigest()[:32] for raw in (raw_stream, raw_meeting))
    first, second = lines(stream)
    assert (first["rtms_stream_id"], first["entity_id"]) == (shown_stream, shown_meeting)
    assert (second["rtms_stream_id"], second["keys"]) == (shown_stream, ["rtms_stream_id"])
    assert second["reason"] == f"no servers for {shown_stream}"
    assert second["ids"] == {"uuid": shown_meeting, "id": hashlib.sha256(b"12345").hexdigest()[:32]}
    assert raw_stream not in stream.getvalue()
    assert raw_meeting not in stream.getvalue()


async def test_no_way_of_writing_a_value_keeps_a_raw_id() -> None:
    raw = "4444AAAiAAAAAiAiAiiAii=="
    stream = io.StringIO()
    log = logs.JsonLog(stream=stream, hash_ids=True)
    log("ERROR", "library", entity_id=raw, what=LookupError(raw), reason=f"GET /x?uuid={raw}", some={raw}, more=({"of": [raw]}, {raw: 1}))
    [line] = lines(stream)
    assert raw.rstrip("=") not in stream.getvalue()
    assert line["some"] == [hashlib.sha256(raw.encode()).hexdigest()[:32]]


def test_an_execution_id_becomes_a_label_and_nothing_else_does() -> None:
    for given_, shown in (("a1B2c3D4e5F6", {"execution_id": "a1B2c3D4e5F6"}), ("x" * 37, None), ("a b", None), ("", None), ("a\n", None)):
        stream = io.StringIO()
        logs.begin({"function-execution-id": given_}, "p")
        logs.JsonLog(stream=stream)("INFO", "sweep")
        logs.begin({}, "p")
        assert lines(stream)[0].get("logging.googleapis.com/labels") == shown
    assert logs.labels({}) == {}


def test_the_span_id_survives_the_wrapper_of_functions_framework() -> None:
    """LOG_EXECUTION_ID=true is set by the platform: its wrapper writes the span id in decimal, which Cloud Logging does not read."""
    from functions_framework import execution_id

    stream = io.StringIO()
    wrapper = execution_id.LoggingHandlerAddExecutionId(stream)
    context: Any = execution_id.ExecutionContext("secret-of-a-caller", "255")
    token = execution_id.execution_context_var.set(context)
    try:
        logs.begin({"x-cloud-trace-context": "105445aa7843bc8bf206b12000100000/255;o=1", "function-execution-id": "abc"}, "p")
        logs.JsonLog(stream=wrapper)("INFO", "sweep")
    finally:
        execution_id.execution_context_var.reset(token)
        logs.begin({}, "p")
    [line] = lines(stream)
    assert line["logging.googleapis.com/spanId"] == "00000000000000ff"
    assert line["logging.googleapis.com/labels"] == {"execution_id": "abc"}


FAILING = """
import logging, sys, threading, warnings
own = logging.getLogger("own.handler"); own.addHandler(logging.StreamHandler(sys.stderr)); own.propagate = False
from rtms_relay import logs
logs.install(logs.JsonLog(["topsecret-value"])); logs.install(logs.JsonLog(["topsecret-value"]))
own.warning("one topsecret-value")
warnings.warn("two topsecret-value")
thread = threading.Thread(target=lambda: 1 / len("topsecret-value".replace("topsecret-value", ""))); thread.start(); thread.join()
def fail(): raise ValueError("three topsecret-value")
thread = threading.Thread(target=fail); thread.start(); thread.join()
class Odd:
    def __del__(self): raise ValueError("four topsecret-value")
Odd()
logging.getLogger("quiet").info("five")
"""


def test_what_libraries_log_warn_of_or_fail_with_comes_out_redacted_once_and_nowhere_else() -> None:
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["event"] for line in told} == {"library"}
    assert [line["logger"] for line in told] == ["own.handler", "py.warnings", *["threading.excepthook"] * 2, "sys.unraisablehook"]
    for line, words in zip(told, ("one", "two", "division", "three", "four"), strict=True):
        assert words in line["what"]
    assert "topsecret" not in done.stdout


# To the letter


TRACE = "105445aa7843bc8bf206b12000100000"
TRACES: list[tuple[dict[str, str], str, dict[str, object]]] = [
    ({"x-cloud-trace-context": TRACE}, "p", {"trace": f"projects/p/traces/{TRACE}"}),
    ({"x-cloud-trace-context": TRACE}, "", {"trace": TRACE}),
    ({"x-cloud-trace-context": f"{TRACE}/0;o=1"}, "", {"trace": TRACE, "trace_sampled": True}),
    ({"x-cloud-trace-context": f"{TRACE}/10;o=0"}, "", {"trace": TRACE, "spanId": "000000000000000a"}),
    ({"x-cloud-trace-context": f"{TRACE}/{2**64 + 1}"}, "", {"trace": TRACE, "spanId": "0000000000000001"}),
    ({"x-cloud-trace-context": f"{TRACE}/{'1' * 21}"}, "", {}),
    ({"x-cloud-trace-context": TRACE.upper()}, "", {}),
    ({"x-cloud-trace-context": f"{TRACE};o=1", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}, "", {"trace": TRACE, "trace_sampled": True}),
    ({"traceparent": f"00-{TRACE}-{'0' * 16}-00"}, "", {"trace": TRACE}),
    ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-03"}, "", {"trace": TRACE, "spanId": "00f067aa0ba902b7", "trace_sampled": True}),
    ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-02"}, "", {"trace": TRACE, "spanId": "00f067aa0ba902b7"}),
    ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-10"}, "", {"trace": TRACE, "spanId": "00f067aa0ba902b7"}),
    ({"traceparent": f"01-{TRACE}-00f067aa0ba902b7-01"}, "", {}),
    ({}, "p", {}),
]


@pytest.mark.parametrize(("headers", "project", "fields"), TRACES)
def test_a_trace_is_these_fields(headers: dict[str, str], project: str, fields: dict[str, object]) -> None:
    assert logs.trace_fields(headers, project) == {f"logging.googleapis.com/{name}": value for name, value in fields.items()}


@pytest.mark.parametrize(
    ("level", "severity"), [(29, None), (30, "WARNING"), (39, "WARNING"), (40, "ERROR"), (49, "ERROR"), (50, "CRITICAL"), (60, "CRITICAL")]
)
def test_a_librarys_line_has_its_severity_its_logger_and_its_moment(level: int, severity: str | None) -> None:
    stream = io.StringIO()
    handler = logs.LibraryHandler(logs.JsonLog(stream=stream))
    record = logging.LogRecord("some.library", level, "f", 1, "it %s", ("broke",), None)
    record.created = 1_700_000_000.5
    if record.levelno >= handler.level:
        handler.handle(record)
    expected = {
        "severity": severity,
        "event": "library",
        "message": "library: it broke",
        "what": "it broke",
        "logger": "some.library",
        "timestamp": "2023-11-14T22:13:20.500000+00:00",
    }
    assert lines(stream) == ([expected] if severity else [])


def test_what_is_too_short_is_taken_for_no_secret() -> None:
    assert logs.forms(["abc"]) == []
    assert logs.forms(["abcd"]) == ["abcd"]
    assert logs.forms(["whsec_abc"]) == ["whsec_abc"]
    longest, *others, shortest = logs.forms(["ab", "abcd+f", "abcdefghij"])
    assert (longest, sorted(others), shortest) == ("abcdefghij", ["abcd%2Bf", "abcd%2bf"], "abcd+f")


def test_the_beginning_of_a_secret_is_looked_for_at_the_end_of_long_texts_only() -> None:
    secret = "Zk3vQ8pL0s"
    for length, cut in ((89, False), (90, True)):
        text = "n" * (length - 6) + secret[:6]
        assert logs.redact(text, [secret]) == ("n" * (length - 6) + "[redacted]" if cut else text)
    text = "n" * 200 + secret[:5]
    assert logs.redact(text, [secret]) == text
    assert logs.redact("n" * 200 + secret, [secret]) == "n" * 200 + "[redacted]"


def test_of_a_link_the_query_is_taken_out_and_nothing_else() -> None:
    for text, shown in (
        ("https://b.example/v.mp4?X=1 and more", "https://b.example/v.mp4?[redacted] and more"),
        ("see wss://b.example/v?a=b?c", "see wss://b.example/v?[redacted]"),
        ("why? https://b.example/v", "why? https://b.example/v"),
        ("https://b.example/v?", "https://b.example/v?"),
        ("https://?x=1", "https://?x=1"),
        ("https://b?x=1", "https://b?[redacted]"),
        ("a?b=c", "a?b=c"),
    ):
        assert logs.redact(text, ()) == shown


def test_an_id_of_seven_characters_is_hashed_in_its_field_and_left_in_texts() -> None:
    short, long = "1234567", "12345678"
    for raw, text in ((short, f"of {short}"), (long, f"of {logs.hashed(long)}")):
        line = logs.with_hashes({"entity_id": raw, "reason": f"of {raw}", "n": 1, "on": True, "none": None, "f": 1.5})
        assert line == {"entity_id": logs.hashed(raw), "reason": text, "n": 1, "on": True, "none": None, "f": 1.5}
    assert logs.hashed("abc") == hashlib.sha256(b"abc").hexdigest()[:32]


def test_what_is_no_text_or_empty_is_no_id() -> None:
    line = {"entity_id": "", "rtms_stream_id": None, "reason": "", "ids": {"n": 5}, "n": 5}
    assert logs.with_hashes(line) == line


def test_ids_are_shown_as_they_are_unless_they_are_to_be_hashed() -> None:
    stream = io.StringIO()
    logs.JsonLog(stream=stream)("INFO", "request", entity_id="4444AAAiAAAAAiAiAiiAii==")
    assert lines(stream)[0]["entity_id"] == "4444AAAiAAAAAiAiAiiAii=="


def test_the_longer_of_two_ids_is_hashed_first() -> None:
    raw = {"rtms_stream_id": "12345678", "entity_id": "12345678-more"}
    line = logs.with_hashes({**raw, "what": "12345678-more 12345678"})
    assert line["what"] == f"{logs.hashed('12345678-more')} {logs.hashed('12345678')}"


def test_a_lines_message_is_made_of_what_people_read() -> None:
    stream = io.StringIO()
    log = logs.JsonLog(stream=stream)
    log("INFO", "e", what="6", reason="5", why="4", outcome="3", state="2", name="1", other="7")
    log("INFO", "e", name="", state=None, what=0)
    assert [line["message"] for line in lines(stream)] == ["e: 1: 2: 3: 4: 5: 6", "e"]


def test_once_installed_it_is_the_only_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root, own = logging.getLogger(), logging.getLogger("own.of.this.test")
    before, kept = list(root.handlers), [(logger, list(logger.handlers), logger.propagate) for logger in _loggers()]
    stream, elsewhere = io.StringIO(), io.StringIO()
    own.addHandler(logging.StreamHandler(elsewhere))
    own.propagate = False
    try:
        for _ in range(2):
            logs.install(logs.JsonLog(["topsecret"], stream))
        own.error("one topsecret")
        own.info("nothing")
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("two topsecret", UserWarning, stacklevel=1)
        error = ValueError("three topsecret")
        threading.excepthook(threading.ExceptHookArgs((ValueError, error, None, None)))
        sys.unraisablehook(types.SimpleNamespace(exc_value=error, exc_type=ValueError, exc_traceback=None, err_msg=None, object=None))
        sys.unraisablehook(types.SimpleNamespace(exc_value=None, exc_type=ValueError, exc_traceback=None, err_msg=None, object=None))
    finally:
        logging.captureWarnings(False)
        for logger, handlers, propagate in kept:
            logger.handlers[:], logger.propagate = handlers, propagate
        root.handlers[:] = before
    told = [(line["severity"], line["event"], line["logger"]) for line in lines(stream)]
    hooks = [("ERROR", "library", "threading.excepthook"), *[("ERROR", "library", "sys.unraisablehook")] * 2]
    assert told == [("ERROR", "library", "own.of.this.test"), ("WARNING", "library", "py.warnings"), *hooks]
    assert [str(line["what"]).strip() for line in lines(stream)][2:] == ["ValueError: three [redacted]"] * 2 + [""]
    assert elsewhere.getvalue() == ""
    assert "topsecret" not in stream.getvalue()


def test_an_error_is_described_as_python_prints_it() -> None:
    try:
        raise ValueError("one\ntwo")
    except ValueError as error:
        printed, described = traceback.format_exc(), logs._described(error)
    assert described == printed
    assert printed.count("\n") > 3
    assert logs._described(None) == ""


def _loggers() -> list[logging.Logger]:
    return [logging.getLogger(name) for name in logging.getLogger().manager.loggerDict]


class Odd:
    """Neither text nor a number, and its text holds a secret."""

    def __str__(self) -> str:
        return "odd s3cret-of-mine"


def test_what_is_no_json_is_written_as_its_text_without_secrets() -> None:
    stream = io.StringIO()
    logs.JsonLog(["s3cret-of-mine"], stream)("INFO", "sweep", due=Odd(), handoffs={Odd(): [Odd(), None, 1.5, True]})
    [line] = lines(stream)
    shown = "odd [redacted]"
    assert (line["due"], line["handoffs"]) == (shown, {shown: [shown, None, 1.5, True]})


def test_a_line_is_written_out_at_once() -> None:
    """An instance that is ended keeps nothing back."""

    class Buffered(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Buffered()
    logs.JsonLog(stream=stream)("INFO", "sweep")
    assert stream.flushed.endswith("\n")


@pytest.mark.parametrize("value", ["", 5, None, True])
def test_what_is_no_id_is_not_hashed(value: object) -> None:
    assert logs.with_hashes({"stream_id": value, "what": "of 5"}) == {"stream_id": value, "what": "of 5"}


def test_an_id_with_half_a_character_has_a_hash_too() -> None:
    assert logs.hashed("\ud83e") == hashlib.sha256(b"\xed\xa0\xbe").hexdigest()[:32]


def test_what_failed_without_an_error_has_no_description() -> None:
    assert logs._described(None) == ""
    assert logs._described(ValueError("x")) == "ValueError: x\n"
