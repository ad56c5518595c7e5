"""What people paste by mistake is refused at the start, by name and without being shown."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import setting_cases as cases

from rtms_relay import recall, settings
from rtms_relay import setting_values as values

BY_NAME = {variable.name: variable for variable in settings.VARIABLES}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in cases.TAKEN for value in cases.TAKEN[name]])
def test_what_is_sound_is_taken(name: str, value: str) -> None:
    assert settings.problem(BY_NAME[name], value) is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in cases.REFUSED for value in cases.REFUSED[name]], ids=ascii)
def test_what_is_not_sound_is_refused_in_one_line_that_shows_no_secret(name: str, value: str) -> None:
    line = settings.problem(BY_NAME[name], value)
    assert line is not None
    assert line.startswith(f"{name} is ")
    assert line.endswith(f"; expected {BY_NAME[name].allowed}")
    assert line.isprintable()
    assert line.isascii()
    assert len(line) < 800
    if BY_NAME[name].secret:
        assert len(value) <= len("whsec_") or value.strip() not in line
        assert f"{len(value)} characters (not shown)" in line


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("RECALL_REGION", "eu", "RECALL_REGION is 'eu'; expected one of us-east-1, us-west-2, eu-central-1, ap-northeast-1"),
        ("RECALL_TIMEOUT_S", "51", "RECALL_TIMEOUT_S is '51': it is too large; expected seconds, 1 to 50"),
        ("RECALL_TIMEOUT_S", "0.9", "RECALL_TIMEOUT_S is '0.9': it is too small; expected seconds, 1 to 50"),
        ("RECALL_TIMEOUT_S", "x", "RECALL_TIMEOUT_S is 'x': it is not a decimal number; expected seconds, 1 to 50"),
    ],
)
def test_a_message_says_the_variable_what_was_found_and_what_is_expected(name: str, value: str, line: str) -> None:
    assert settings.problem(BY_NAME[name], value) == line


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("RECALL_API_KEY", f"Token {cases.TOKEN}", 'it begins with "Token", which belongs to the header'),
        ("RECALL_API_KEY", f'"{cases.TOKEN}"', "it is in quotes"),
        ("ZOOM_SECRET_TOKEN", f"<{cases.TOKEN}>", "it is a placeholder"),
        ("ZOOM_SECRET_TOKEN", "abcd********", "it is masked"),
        ("ZOOM_SECRET_TOKEN", "•" * 12, "characters that are not ASCII"),
        ("ZOOM_SECRET_TOKEN", "short12", "it is shorter than 8 characters"),
        ("ZOOM_SECRET_TOKEN", "ab" * 257, "it is longer than 512 characters"),
        ("RECALL_WEBHOOK_SECRETS", "whsec_MfKQ9r8GKYqrT", "a character is missing or too many"),
        ("RECALL_WEBHOOK_SECRETS", f"{cases.WHSEC},plain", "secret number 2 does not begin with whsec_"),
        (
            "RECALL_BASE_URL",
            "https://us-east-1.recall.ai/api/v1/meeting_direct_connect/",
            "it includes the endpoint meeting_direct_connect",
        ),
        ("RECALL_BASE_URL", "https://us-east-1.recall.ai/", "the path of Recall's API is /api/v1"),
        ("RECALL_RECORDING_CONFIG", '{"recording_config":{}}', "it holds 'recording_config'"),
        ("RECALL_RECORDING_CONFIG", '{"zoom_rtms":{}}', "it holds 'zoom_rtms'"),
        ("RECALL_RECORDING_CONFIG", '{"metadata":{"n":1}}', "its metadata must map names to strings"),
        ("RECALL_RECORDING_CONFIG", cases.DEEP, "it is nested more than 32 levels deep"),
        ("RECALL_RECORDING_CONFIG", '{"a":"\\ud83e"}', "it is not JSON"),
        ("ZOOM_SERVER_HOSTS", "wss://a.zoom.us", "'wss://a.zoom.us' is a URL"),
    ],
)
def test_the_reason_names_the_mistake(name: str, value: str, reason: str) -> None:
    line = settings.problem(BY_NAME[name], value)
    assert line is not None
    assert reason in line


def test_depth_and_integers_at_their_limits() -> None:
    for depth, taken in ((31, True), (32, False)):
        nested = '{"a":' * depth + "1" + "}" * depth
        assert (settings.problem(BY_NAME["RECALL_RECORDING_CONFIG"], nested) is None) is taken
    for number, taken in ((2**64 - 1, True), (2**64, False), (-(2**63), True), (-(2**63) - 1, False)):
        assert (settings.problem(BY_NAME["RECALL_RECORDING_CONFIG"], f'{{"a":{number}}}') is None) is taken
    key = "whsec_" + "QUFBQUFBQUE="  # eight bytes
    assert values.webhook_secrets(key) == (key,)


@given(value=cases.near("RECALL_RECORDING_CONFIG"))
def test_a_recording_config_that_is_taken_can_be_sent(value: str) -> None:
    if settings.problem(BY_NAME["RECALL_RECORDING_CONFIG"], value) is not None:
        return
    config = values.recording_config(value)
    body = recall.create_body(
        entity_id="m",
        entity_field="meeting_uuid",
        stream_id="s",
        server_urls="wss://a",
        signature="x",
        handoff="h",
        recording_config=config,
    )
    sent = msgspec.json.decode(body)["recording_config"]
    assert sent == {**config, "metadata": {**(config.get("metadata") or {}), "rtmskit_handoff": "h"}}


@given(value=cases.near("RECALL_WEBHOOK_SECRETS"))
def test_a_webhook_secret_that_is_taken_can_verify(value: str) -> None:
    taken = settings.problem(BY_NAME["RECALL_WEBHOOK_SECRETS"], value) is None
    secrets = values.webhook_secrets(value) if taken else ()
    assert bool(secrets) is taken
    assert {len(recall.sign_webhook(secret, "m", "1", b"")) for secret in secrets} <= {32}


@given(data=st.data())
def test_every_check_is_total(data: st.DataObject) -> None:
    """Whatever the text is, there is a verdict."""
    variable = data.draw(st.sampled_from(settings.VARIABLES))
    value = data.draw(st.text(min_size=1) | (cases.near(variable.name) if variable.name in cases.TAKEN else st.nothing()))
    line = settings.problem(variable, value)
    assert line is None or line.startswith(variable.name)
