"""Log lines: Google Cloud's fields, one line each, no secret."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtms_relay
from rtms_relay import logs


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_clouds_fields_and_the_events_own() -> None:
    stream = io.StringIO()
    logs.Log(stream=stream)("NOTICE", "delivery", name="meeting.started", outcome="created", ms=3)
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
    log = logs.Log(["topsecret", "topsecret-longer"], stream)
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


@pytest.mark.parametrize("pattern", [logs._SIGNATURE, logs._AUTHORIZATION, logs._QUERY], ids=["signature", "credentials", "link"])
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
    logs.Log(stream=stream)("INFO", "delivery", name='a\n{"severity":"ALERT"}\r\u2028\x00\ud800', event="forged", severity="ALERT")
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
    logs.Log(stream=stream)("INFO", "sweep")
    logs.begin({}, "p")
    [line] = lines(stream)
    assert line.get("logging.googleapis.com/trace") == trace
    assert line.get("logging.googleapis.com/spanId") == span
    assert line.get("logging.googleapis.com/trace_sampled") == sampled


def test_libraries_log_through_the_same_door() -> None:
    stream = io.StringIO()
    handler = logs.LibraryHandler(logs.Log(["topsecret"], stream))
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
