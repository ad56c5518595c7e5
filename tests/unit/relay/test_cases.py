"""Bodies and settings from people's bug reports, byte by byte, each with what has to come of it. (Their media: tests of the simulator.)"""

from __future__ import annotations

from pathlib import Path

from rtms_relay import recall, settings, zoom

CASES = Path(__file__).parent / "cases"
SIGNED_AT_MS = 1_795_904_600_000
MEETING, STREAM = "4444AAAiAAAAAiAiAiiAii==", "609340fb2a7946909659956c8aa9250c"
EVENT_TS = 1_795_904_543_123


def read(name: str) -> zoom.Event:
    return zoom.parse((CASES / name).read_bytes(), signed_at_ms=SIGNED_AT_MS)


def problem(variable: str, name: str) -> str | None:
    """What is said of a setting with the value in a file."""
    rule = next(one for one in settings.VARIABLES if one.name == variable)
    return settings.problem(rule, (CASES / name).read_text().strip())


def test_every_case_is_held() -> None:
    assert {path.name for path in CASES.iterdir()} == {
        "k1_recall_half_emoji.json",
        "k1_start_half_emoji.json",
        "k2_stop_reason_text.json",
        "k3_urls_comma_space.json",
        "k4_recording_config_metadata_number.txt",
        "k4_webhook_secret_13_chars.txt",
    }


def test_half_an_emoji_elsewhere_leaves_a_start_a_start() -> None:
    event = read("k1_start_half_emoji.json")
    assert isinstance(event, zoom.Started)
    assert (event.entity_id, event.stream_id, event.server_urls) == (MEETING, STREAM, "wss://127.0.0.1:443")
    assert event.event_ts == EVENT_TS


def test_half_an_emoji_elsewhere_leaves_recalls_event_whole() -> None:
    event = recall.parse_webhook((CASES / "k1_recall_half_emoji.json").read_bytes())
    assert isinstance(event, recall.RecallEvent)
    assert (event.name, event.recording_id) == ("recording.done", "6c1b0c2e-0000-4000-8000-000000000001")


def test_a_stop_reason_as_text_is_the_number() -> None:
    event = read("k2_stop_reason_text.json")
    assert isinstance(event, zoom.Stopped)
    assert (event.stream_id, event.stop_reason) == (STREAM, 8)


def test_a_blank_behind_a_comma_is_no_part_of_a_url() -> None:
    event = read("k3_urls_comma_space.json")
    assert isinstance(event, zoom.Started)
    assert event.server_urls == "wss://127.0.0.1:443,wss://127.0.0.1:444"


def test_what_the_service_cannot_use_is_refused_by_name_before_it_starts() -> None:
    for variable, name in (
        ("RECALL_RECORDING_CONFIG", "k4_recording_config_metadata_number.txt"),
        ("RECALL_WEBHOOK_SECRETS", "k4_webhook_secret_13_chars.txt"),
    ):
        line = problem(variable, name)
        assert line is not None
        assert line.startswith(f"{variable} is ")
