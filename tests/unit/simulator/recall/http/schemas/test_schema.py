"""Body types: the JSON Schema of each and its own judgement agree, and problems nest as the body nests."""

import json

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtms_simulator.recall.http.schemas.request_schemas import CREATE_TRANSCRIPT_BODY, PATCH_BODY, RECORDING_CONFIG, create_body
from rtms_simulator.recall.http.schemas.schema import (
    Choice,
    Flag,
    ListOf,
    MapOf,
    Need,
    Number,
    OneKey,
    Record,
    RequestContext,
    Text,
    Variant,
    is_uuid,
    problems,
)

WHERE = RequestContext("thing_create", "us-west-2")
UNKNOWN = ["This field is not allowed. (more details: https://docs.recall.ai/reference/thing_create?region=us-west-2)"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 200)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.sampled_from(["a", "b", "timed", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a", "b", "c", "hours"]), inner, max_size=3),
    max_leaves=8,
)
EXAMPLE = Record(
    {
        "a": Text(max_length=2, nullable=True),
        "b": ListOf(Number(1), least=1),
        "c": Variant(
            "type",
            {
                "timed": Record({"type": Choice(("timed",)), "hours": Number(1)}, required=frozenset({"type"})),
                "b": Record({"type": Choice(("b",)), "a": Flag()}, required=frozenset({"type"})),
            },
            nullable=True,
        ),
        "hours": OneKey({"a": MapOf(Text(blank=True)), "b": Flag()}),
        "type": Choice(("a", "b")),
    },
    required=frozenset({"a"}),
    needs=(Need("type", "a", "a", when="b"),),
)


@settings(max_examples=400)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(EXAMPLE.fields, VALUES)) | VALUES)
def test_a_value_fits_exactly_when_it_fits_the_json_schema(value):
    assert (problems(EXAMPLE, value, WHERE) is None) == (value is not None and jsonschema_rs.is_valid(EXAMPLE.schema(), value))


@pytest.mark.parametrize("kind", [create_body(), create_body(signature_shape=False), PATCH_BODY, CREATE_TRANSCRIPT_BODY, RECORDING_CONFIG])
def test_every_table_gives_a_valid_schema(kind):
    schema = kind.schema()
    assert "additionalProperties" in json.dumps(schema)
    assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Record({"a": Record({"b": Text()})}), {"a": {"c": 1}}, {"a": {"c": UNKNOWN}}),
        (Record({"a": Text()}), {"a": None}, {"a": ["This field may not be null."]}),
        (Record({"a": Flag()}), {"a": 1}, {"a": ["Must be a valid boolean."]}),
        (Record({"a": Number(1)}), {"a": 10**400}, None),
        (Record({"a": Number(1)}), {"a": 1.0}, None),
        (Record({"a": Number(1)}), {"a": 1.5}, {"a": ["A valid integer is required."]}),
        (Record({"a": Number(1)}), {"a": True}, {"a": ["A valid integer is required."]}),
        (Record({"a": Number(1)}), {"a": 0}, {"a": ["Ensure this value is greater than or equal to 1."]}),
        (Record({"a": ListOf(Text())}), {"a": ["x", ""]}, {"a": {"1": ["This field may not be blank."]}}),
        (Record({"a": ListOf(Text())}), {"a": {}}, {"a": {"non_field_errors": ['Expected a list of items but got type "dict".']}}),
        (Record({"a": ListOf(Text(), least=1)}), {"a": []}, {"a": {"non_field_errors": ["This list may not be empty."]}}),
        (OneKey({"a": Flag()}), {"b": True}, {"b": UNKNOWN}),
        (OneKey({"a": Flag(), "b": Flag()}), {}, {"non_field_errors": ["Exactly one provider must be given."]}),
        (EXAMPLE, {"a": "b", "type": "b"}, {"type": ["This requires `a` to be 'a'."]}),
        (EXAMPLE, {"a": "a", "c": {"hours": 1}}, {"c": {"type": ["This field is required."]}}),
        (EXAMPLE, {"a": "a", "c": {"type": "weekly"}}, {"c": {"type": ['"weekly" is not a valid choice.']}}),
    ],
)
def test_problems_are_said_in_the_vendors_words_where_they_are(kind, value, expected):
    assert problems(kind, value, WHERE) == expected


@pytest.mark.parametrize(
    ("config", "good"),
    [
        ({}, True),
        (None, True),
        ({"video_mixed_mp4": None, "audio_mixed_raw": {}}, True),
        ({"video_separate_mp4": {}}, False),
        ({"video_separate_mp4": {}, "video_mixed_layout": "gallery_view_v2"}, True),
        ({"transcript": {"provider": {"recallai_streaming": {"mode": "prioritize_low_latency"}}}}, False),
        ({"transcript": {"provider": {"recallai_streaming": {"mode": "prioritize_low_latency", "language_code": "en"}}}}, True),
        ({"transcript": {"provider": {"deepgram_streaming": {"anything": [1]}}}}, True),
        ({"transcript": {"provider": {"recallai_async": {}}}}, False),
        ({"retention": {"type": "timed", "hours": 0}}, False),
        ({"retention": None}, True),
        ({"realtime_endpoints": [{"type": "webhook", "url": "https://a.test/x?y=z", "events": ["audio_mixed_raw.data"]}]}, False),
        ({"realtime_endpoints": [{"type": "websocket", "url": "wss://a.test", "events": ["audio_mixed_raw.data"]}]}, True),
        ({"realtime_endpoints": [{"type": "websocket", "url": "https://a.test", "events": ["transcript.data"]}]}, False),
        ({"bot_name": "x"}, False),
    ],
)
def test_a_recording_config_is_judged_as_documented(config, good):
    assert (RECORDING_CONFIG.nullable if config is None else problems(RECORDING_CONFIG, config, WHERE) is None) == good


def test_uuids():
    assert is_uuid("7a9f6a1c-6c2c-4b5e-9f36-6f7d9f0f0a11")
    assert not is_uuid("7a9f6a1c6c2c4b5e9f366f7d9f0f0a11")
    assert not is_uuid("x")
