"""The two forms of a moment, and the forms in which callers may write one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.recall.records.times import api_time, parse_time, webhook_time


def test_the_two_documented_forms():
    assert api_time(1735258067.409813) == "2024-12-27T00:07:47.409813Z"
    assert webhook_time(1745717797.056337) == "2025-04-27T01:36:37.056337+00:00"
    assert api_time(1735258067.0) == "2024-12-27T00:07:47.000000Z"
    assert api_time(None) is None


@given(st.integers(0, 4_000_000_000))
def test_what_is_written_is_read(seconds):
    assert parse_time(api_time(seconds) or "") == parse_time(webhook_time(seconds)) == seconds


def test_without_a_zone_utc_is_meant_and_other_zones_are_read():
    assert parse_time("2024-12-27T00:00:00") == parse_time("2024-12-27T01:00:00+01:00") == parse_time("2024-12-27")
    with pytest.raises(ValueError, match="yesterday"):
        parse_time("yesterday")
