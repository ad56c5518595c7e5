"""docs/faq.md: its numbers are those of the code, and what it advises is there (test_readme.py, test_complete.py)."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.test_limits_page import DEFAULTS

from rtms_relay.setting_values import api_key, hosts, recording_config
from rtms_simulator.recall.http.limits import WINDOW_S
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.zoom.switches import ZoomSwitches

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faq.md").read_text()


def refused(check, value: str) -> bool:
    try:
        check(value)
    except ValueError:
        return True
    return False


def test_its_numbers_are_those_of_the_code() -> None:
    assert "valid for 95 minutes" in PAGE
    assert DEFAULTS["ZOOM_SIGNATURE_WINDOW_S"] == str(95 * 60)
    assert "older than 6 hours" in PAGE
    assert RecallSwitches().link_s == 6 * 3600
    assert "Recall takes 60 creates a minute" in PAGE
    assert (RateLimits().create, WINDOW_S) == (60, 60)
    assert "After six failures in a row" in PAGE
    assert ZoomSwitches().disable_after_failures == 6


def test_the_bill_that_it_names_is_that_of_the_cost_page() -> None:
    sums = re.search(r"^\| \*\*sum\*\* \|(.*)\|$", (ROOT / "docs/costs.md").read_text(), re.MULTILINE)
    assert sums is not None
    few_meetings = float(sums[1].rpartition("|")[2].strip(" *"))
    assert "About 25 dollars a month with few meetings" in PAGE
    assert abs(few_meetings - 25) < 2.5


def test_what_it_says_is_refused_at_the_start_is_refused() -> None:
    assert refused(api_key, "Token 0123456789abcdef")
    assert refused(recording_config, '{"recording_config": {"video_mixed_mp4": {}}}')
    assert refused(recording_config, '{"zoom_rtms": {}, "metadata": {}}')
    assert refused(recording_config, "'{}'")
    assert hosts("*.zoom.us,*.zoomgov.com") == ("*.zoom.us", "*.zoomgov.com")
