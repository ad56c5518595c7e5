"""docs/limits.md: the runs of a full minute, and every number, are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.simulation.full_minute import CELLS, CREATES_A_MINUTE, minute

from rtms_infra import numbers
from rtms_relay import budgets, listing
from rtms_relay.adapters.recall_http import MAX_DOWNLOAD
from rtms_relay.routes.http import MAX_BODY
from rtms_relay.setting_values import MAX_CONFIG_BYTES, MAX_METADATA
from rtms_relay.settings import VARIABLES
from rtms_simulator.cloud_tasks.rules import DAY_S, RETENTION_S
from rtms_simulator.recall.switches import RateLimits, RecallSwitches
from rtms_simulator.zoom.media.recording import LONGEST_S
from rtms_simulator.zoom.media.transcripts.reader import LARGEST
from rtms_simulator.zoom.switches import ZoomSwitches

PAGE = (Path(__file__).parents[2] / "docs/limits.md").read_text()
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE))
DEFAULTS = {variable.name: variable.default for variable in VARIABLES}

NUMBERS = {
    "time for the answer to a webhook": ("3 s", budgets.ACK_MS == 3_000 and ZoomSwitches().deadline_s == 3),
    "time to join a stream after its start": ("60 s", budgets.Rules().connect_window_ms == 60_000),
    "retries of a webhook": ("after 5, 25 and 85 minutes", ZoomSwitches().retry_after_s == (300, 1200, 3600)),
    "sound from before the join": ("60 s", ZoomSwitches().audio_buffer_s == 60),
    "failed URL validations in a row": ("6", ZoomSwitches().disable_after_failures == 6),
    "creates a minute": ("60", RateLimits().create == CREATES_A_MINUTE == 60),
    "reads a minute": ("300", RateLimits().single == 300 and numbers.RETRIEVALS_PER_SECOND == 4),
    "life of a download link": ("6 hours", RecallSwitches().link_s == 6 * 3600),
    "how long Recall remembers an Idempotency-Key": ("1 hour", budgets.KEY_LIFE_MS == 50 * 60_000),
    "length of a value of metadata": ("500 characters", MAX_METADATA == 500),
    "connect window that can be set": ("1,800 s", budgets.MAX_WINDOW_MS == 1_800_000),
    "delay after which the worker sees a start": ("5 minutes", budgets.LATE_MS == 300_000),
    "body of a webhook": ("1 MiB", MAX_BODY == 2**20),
    "`RECALL_RECORDING_CONFIG`": ("30,000 bytes", MAX_CONFIG_BYTES == 30_000),
    "starts a second through a queue": ("100", numbers.QUEUES["handoffs"].per_second == 100),
    "starts that wait in the webhook while both regions of Cloud Tasks refuse": (
        "20 instances of 80 requests",
        (numbers.WEBHOOK_MAX_INSTANCES, numbers.WEBHOOK_CONCURRENCY) == (20, 80),
    ),
    "requests that the worker handles at once": (
        "10 instances of 40 requests",
        (numbers.WORKER_MAX_INSTANCES, numbers.WORKER_CONCURRENCY) == (10, 40),
    ),
    "starts a minute while Firestore is away": ("about 30", CREATES_A_MINUTE / numbers.QUEUES["handoffs"].regions == 30),
    "hand-offs that one sweep reads": ("1,000", budgets.SWEEP_LIMIT == 1_000),
    "looks that a sweep does itself when the queue is away": ("60", budgets.SWEEP_LOOKS == 60),
    "time after the end of a stream in which its recording is looked for": (
        "24 hours (`retrievalGiveUpSeconds`)",
        DEFAULTS["RETRIEVAL_GIVE_UP_S"] == "86400",
    ),
    "one artifact's copy to the archive": ("25 minutes, 5 times", (budgets.COPY_MS, budgets.COPY_TRIES) == (1_500_000, 5)),
    "one download into the archive": ("50 GB", MAX_DOWNLOAD == 50_000_000_000),
    "a stream without a stop": ("1 day", budgets.LONGEST_STREAM_MS == budgets.DAY_MS),
    "an event that could not be used is kept": ("30 days, 16 KB of it", (budgets.UNUSABLE_DAYS, budgets.UNUSABLE_BYTES) == (30, 16_384)),
    "life of a task": ("31 days", RETENTION_S == 31 * DAY_S),
    "hand-offs on one page of a list": ("200", listing.MAX_PAGE == 200),
    "length of your own recording that is played": ("18 hours", LONGEST_S == 18 * 3600),
    "size of a transcript": ("8 MiB", LARGEST == 8 * 2**20),
}
"""Row -> the number on the page, and whether the code still has it."""

NO_NUMBER = {"limit", "---", "concurrent streams", "the sandbox, `up` and `demo`"}


def test_every_row_with_a_number_is_compared() -> None:
    assert set(ROWS) - NO_NUMBER == set(NUMBERS)


@pytest.mark.parametrize("row", NUMBERS)
def test_a_number_is_that_of_the_code(row: str) -> None:
    shown, still = NUMBERS[row]
    assert ROWS[row] == shown
    assert still


@pytest.mark.parametrize(("starts", "within_s"), CELLS)
def test_a_full_minute_ends_as_the_page_says(starts: int, within_s: int) -> None:
    played = minute(starts, within_s)
    assert played.row() in PAGE.splitlines()
    assert played.broken == []
    assert len(played.waits_ms) + played.lost == starts
    assert played.alerts == played.lost


def test_the_61st_at_the_same_moment_is_lost_and_a_few_seconds_later_is_not() -> None:
    assert minute(61, 1).lost == 1
    assert minute(61, 10).lost == 0
