"""Reading bodies: three content types, anything else refused, nothing that escapes."""

import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rtms_simulator.errors import UnreadableBodyError, UnsupportedMediaTypeError
from rtms_simulator.recall.http.request_body import read

CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


@given(st.binary(), st.sampled_from([*CONTENT_TYPES, "multipart/form-data; boundary=x", "application/json; charset=utf-8"]))
def test_whatever_the_bytes_there_is_a_value_or_a_refusal(body, kind):
    with contextlib.suppress(UnreadableBodyError):
        read(kind, body)


@given(st.text(st.characters(max_codepoint=255), max_size=20), st.binary(min_size=1))
def test_another_content_type_is_refused(kind, body):
    assume(kind.split(";")[0].strip().lower() not in CONTENT_TYPES)
    with pytest.raises(UnsupportedMediaTypeError):
        read(kind, body)


def test_no_body_is_an_empty_object_whatever_it_calls_itself():
    assert read(None, b"") == read("text/plain", b"") == read("application/json", b"") == {}


def test_dots_nest_form_fields():
    body = b"zoom_rtms.meeting_uuid=a%2Fb&zoom_rtms.signature=x&metadata=1&metadata.k=2"
    assert read("application/x-www-form-urlencoded", body) == {
        "zoom_rtms": {"meeting_uuid": "a/b", "signature": "x"},
        "metadata": {"k": "2"},
    }


def test_a_file_in_a_multipart_form_is_a_blank_field():
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\ndata\r\n--b--\r\n'
    assert read("multipart/form-data; boundary=b", body) == {"f": ""}
