"""What people paste by mistake is refused at the start, by name and without being shown."""

from __future__ import annotations

import re

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


LOCAL, CLOUD = "sqlite:///q", "projects/p/locations/l/queues/q"
NUMBERS = {
    "ZOOM_SIGNATURE_WINDOW_S": (1, 86_400),
    "ZOOM_CONNECT_WINDOW_S": (1, 1_800),
    "RECALL_TIMEOUT_S": (1, 50),
    "RETRIEVAL_POLL_S": (1, 86_400),
    "RETRIEVAL_GIVE_UP_S": (1, 2_592_000),
    "RECORDS_KEEP_DAYS": (7, 36_500),
}


def visible(length: int) -> str:
    return ("a1B2-c3D4_" * (length // 10 + 1))[:length]


def host(length: int) -> str:
    """A host name of so many characters."""
    labels = ".".join(["a" * 61] * (length // 62 + 1))[: length - 3].rstrip(".")
    return f"{labels}{'b' * (length - 3 - len(labels))}.zz"


LIMITS: list[tuple[str, str, str]] = [
    ("ZOOM_SECRET_TOKEN", visible(8), visible(7)),
    ("ZOOM_SECRET_TOKEN", visible(512), visible(513)),
    ("ZOOM_CLIENT_SECRET", visible(8), visible(7)),
    ("RECALL_API_KEY", visible(8), visible(7)),
    ("RUN_SECRET", visible(8), visible(7)),
    ("ZOOM_CLIENT_ID", visible(4), visible(3)),
    ("ZOOM_CLIENT_ID", visible(64), visible(65)),
    ("RECALL_WEBHOOK_SECRETS", "whsec_QUFBQUFBQUE=", "whsec_QUFBQUFBQQ=="),
    ("ZOOM_SERVER_HOSTS", host(253), host(254)),
    ("ZOOM_SERVER_HOSTS", f"{'a' * 63}.b", f"{'a' * 64}.b"),
    ("ZOOM_SERVER_HOSTS", "*.zoom.us", "*.us"),
    ("RECALL_RECORDING_CONFIG", '{"a":1}'.ljust(30_000), '{"a":1}'.ljust(30_001)),
    ("RECALL_RECORDING_CONFIG", f'{{"metadata":{{"n":"{"x" * 500}"}}}}', f'{{"metadata":{{"n":"{"x" * 501}"}}}}'),
    ("TASKS_ENDPOINT", "h:1", "h:0"),
    ("TASKS_ENDPOINT", "h:65535", "h:65536"),
    ("DEPLOYMENT", "d" * 100, "d" * 101),
    ("CODE_HASH", "0" * 64, "0" * 65),
    ("HANDOFF_QUEUES", f"{CLOUD},{CLOUD}2", f"{CLOUD},{CLOUD}2,{CLOUD}3"),
    ("HANDOFF_QUEUES", CLOUD, f"{CLOUD},{CLOUD}"),
    ("HANDOFF_QUEUES", LOCAL, f"{CLOUD},{LOCAL}"),
    ("FACTS_QUEUE", LOCAL, f"{LOCAL}/"),
    *((name, str(low), f"{low - 0.000001:.6f}") for name, (low, _) in NUMBERS.items()),
    *((name, str(high), f"{high}.000001") for name, (_, high) in NUMBERS.items()),
]


@pytest.mark.parametrize(("name", "taken", "refused"), LIMITS, ids=range(len(LIMITS)))
def test_a_limit_is_where_it_is_said_to_be(name: str, taken: str, refused: str) -> None:
    assert settings.problem(BY_NAME[name], taken) is None
    assert settings.problem(BY_NAME[name], refused) is not None


def test_every_number_has_its_limits_here() -> None:
    assert {variable.name for variable in settings.VARIABLES if "1 to" in variable.allowed or "7 to" in variable.allowed} - {
        "DEPLOYMENT"
    } == set(NUMBERS)
    for name, (low, high) in NUMBERS.items():
        assert BY_NAME[name].allowed == f"{'days' if name.endswith('DAYS') else 'seconds'}, {low} to {high}"


INVOKERS = "events=e@p.test, retrieve=r@p.test,sweep=s@p.test"
MEANINGS: list[tuple[str, str, object]] = [
    ("ZOOM_CONNECT_WINDOW_S", "59.5", 59.5),
    ("ZOOM_SERVER_HOSTS", " *.Zoom.us ,,LOCALHOST", ("*.zoom.us", "localhost")),
    ("RECALL_BASE_URL", "https://us-east-1.recall.ai/api/v1//", "https://us-east-1.recall.ai/api/v1"),
    ("RECALL_BASE_URL", "http://127.0.0.1:1/x", "http://127.0.0.1:1/x"),
    ("WORKER_URL", "https://w.example/", "https://w.example"),
    ("RECALL_WEBHOOK_SECRETS", f"{cases.WHSEC}, whsec_QUFBQUFBQUE= ,", (cases.WHSEC, "whsec_QUFBQUFBQUE=")),
    ("RECALL_WEBHOOK_SECRETS", "", ()),
    ("STATE_URL", "sqlite://", values.State("sqlite", ":memory:")),
    ("STATE_URL", "sqlite:////a%20b", values.State("sqlite", "/a b")),
    ("STATE_URL", "firestore://p-1/(default)", values.State("firestore", project="p-1", database="(default)")),
    ("HANDOFF_QUEUES", f"{CLOUD} , {CLOUD}-2", (CLOUD, f"{CLOUD}-2")),
    ("HANDOFF_QUEUES", "sqlite:////a,b", ("sqlite:///a,b",)),
    ("FACTS_QUEUE", "sqlite:////a%20b", "sqlite:///a b"),
    ("TASKS_INVOKERS", INVOKERS, {"/events": "e@p.test", "/retrieve": "r@p.test", "/sweep": "s@p.test"}),
    ("TASKS_INVOKERS", "", {}),
    ("ARCHIVE_URL", "gs://bucket-1/", values.ArchivePlace("gs", bucket="bucket-1")),
    ("ARCHIVE_URL", "file:///a%20b/", values.ArchivePlace("file", path="/a b")),
    ("ARCHIVE_URL", "", None),
    ("RUN_SECRET", "", ""),
    ("STATE_URL", "sqlite:///X", values.State("sqlite", "/X")),
    ("STATE_URL", "sqlite:////Xa", values.State("sqlite", "/Xa")),
    ("FACTS_QUEUE", "sqlite:///Xq", "sqlite:///Xq"),
    ("ARCHIVE_URL", "file:///X", values.ArchivePlace("file", path="/X")),
    ("WORKER_URL", "https://w.example/X/", "https://w.example/X"),
    ("RECALL_BASE_URL", "https://proxy.example/Xbot", "https://proxy.example/Xbot"),
    ("RECALL_BASE_URL", "https://proxy.example/botX", "https://proxy.example/botX"),
    ("RECALL_WEBHOOK_SECRETS", "whsec_QUFBQUFBQUX", ("whsec_QUFBQUFBQUX",)),
    ("DEPLOYMENT", "team/prod-1", "team/prod-1"),
    ("CODE_HASH", "0" * 64, "0" * 64),
    ("TASKS_ENDPOINT", "127.0.0.1:65535", "127.0.0.1:65535"),
    ("ZOOM_CLIENT_ID", "AbC_d-1", "AbC_d-1"),
    ("ZOOM_SECRET_TOKEN", "abcdefgh1", "abcdefgh1"),
    ("RECALL_API_KEY", "abcdefgh1", "abcdefgh1"),
]


@pytest.mark.parametrize(("name", "text", "meaning"), MEANINGS)
def test_a_text_has_one_meaning(name: str, text: str, meaning: object) -> None:
    assert BY_NAME[name].parse(text) == meaning


def test_a_place_has_only_what_its_kind_has() -> None:
    assert values.State("sqlite") == values.State("sqlite", path="", project="", database="")
    assert values.ArchivePlace("gs") == values.ArchivePlace("gs", path="", bucket="")


def test_a_queue_in_a_file_is_known_by_its_path() -> None:
    assert (values.local_path("sqlite:///q"), values.local_path(CLOUD)) == ("/q", "")


REASONS: list[tuple[str, str, str]] = [
    ("RECALL_API_KEY", "Bearer: abcdefgh", 'it begins with "Bearer", which belongs to the header: give the key alone'),
    ("RECALL_API_KEY", "Tokenabcdefgh1 ", "it begins or ends with white space"),
    ("ZOOM_SECRET_TOKEN", "`abcdefgh1", "it is in quotes: give it without them"),
    ("ZOOM_SECRET_TOKEN", "abcdefgh1'", "it is in quotes: give it without them"),
    ("ZOOM_SECRET_TOKEN", "ab cdefgh1", "it holds blanks, control characters or characters that are not ASCII"),
    ("ZOOM_SECRET_TOKEN", "your-secret-here", "it is a placeholder: put the real value in its place"),
    ("ZOOM_SECRET_TOKEN", "aaaaaaaa", "it is masked: copy the secret itself, not what is shown in its place"),
    ("ZOOM_CLIENT_ID", "a.b.c.d", "it is not 4 to 64 letters, digits, _ and -"),
    ("ZOOM_CLIENT_ID", '"AbCd"', "it is in quotes: give it without them"),
    ("ZOOM_CLIENT_ID", "<client-id>", "it is a placeholder: put the real value in its place"),
    ("RECALL_WEBHOOK_SECRETS", '"whsec_QUFBQUFBQUE="', "it is in quotes: give it without them"),
    ("RECALL_WEBHOOK_SECRETS", ' "whsec_QUFBQUFBQUE=" ', "it is in quotes: give it without them"),
    ("RECALL_WEBHOOK_SECRETS", "   ", "it holds no secret"),
    ("RECALL_WEBHOOK_SECRETS", "< your secret >", "it is a placeholder: put the real value in its place"),
    ("RECALL_WEBHOOK_SECRETS", ",", "it holds no secret"),
    ("RECALL_WEBHOOK_SECRETS", "whsec_a b", "it has other characters than base64 after whsec_"),
    ("RECALL_WEBHOOK_SECRETS", "whsec_QUFBQUFBQQ==", "it holds less than 8 bytes after whsec_"),
    ("ZOOM_SERVER_HOSTS", " , ", "it names no host"),
    ("ZOOM_SERVER_HOSTS", "a.example/path", "'a.example/path' is a URL: give the host name alone"),
    ("ZOOM_SERVER_HOSTS", "a_b.example", "'a_b.example' is not a host name"),
    ("WORKER_URL", "ftp://w.example", "it does not begin with https:// and a host"),
    ("WORKER_URL", "https://", "it does not begin with https:// and a host"),
    ("WORKER_URL", "https://u@w.example", "it has a user, a query or a fragment"),
    ("WORKER_URL", "https://w.example?", "it has a user, a query or a fragment"),
    ("WORKER_URL", "https://w.example/#x", "it has a user, a query or a fragment"),
    ("WORKER_URL", "http://w.example", "it would send credentials in clear text to another machine"),
    ("WORKER_URL", "http://127.0.0.1.example", "it would send credentials in clear text to another machine"),
    ("WORKER_URL", "https://w .example", "it holds blanks or characters that no URL has"),
    ("WORKER_URL", "https://w.example\\x", "it holds blanks or characters that no URL has"),
    ("WORKER_URL", "https://w.example:x", "it is not a URL"),
    ("WORKER_URL", "https://w.example#", "it has a user, a query or a fragment"),
    ("RECALL_RECORDING_CONFIG", '{"a":"\ud83e"}', "it holds a broken character"),
    ("RECALL_RECORDING_CONFIG", "[" * 10_000 + "]" * 10_000, "it is nested more than 32 levels deep"),
    ("RECALL_RECORDING_CONFIG", '{"metadata":{"a":"b","n":1}}', "its metadata must map names to strings of at most 500 characters"),
    ("RECALL_RECORDING_CONFIG", "'{}'", "it is in quotes: give the JSON without them"),
    ("RECALL_RECORDING_CONFIG", "[]", "it is not a JSON object"),
    ("RECALL_RECORDING_CONFIG", '{"transcript":1}', "its transcript is neither an object nor null"),
    ("RECALL_RECORDING_CONFIG", '{"realtime_endpoints":{}}', "its realtime_endpoints is not an array"),
    ("RECALL_RECORDING_CONFIG", '{"metadata":[]}', "its metadata is neither an object nor null"),
    ("RECALL_RECORDING_CONFIG", '{"a":[{"metadata":{"n":1}}]}', "its metadata must map names to strings of at most 500 characters"),
    ("RECALL_RECORDING_CONFIG", '{"metadata":{"rtmskit_handoff":"x"}}', "metadata.rtmskit_handoff is this service's own"),
    ("RECALL_RECORDING_CONFIG", " " * 30_001, "it is over 30000 bytes"),
    ("FACTS_QUEUE", "sqlite:///", "it names no file"),
    ("FACTS_QUEUE", "sqlite:///a%00b", "it holds a character that no path has"),
    ("HANDOFF_QUEUES", f"{CLOUD},{LOCAL}", "a queue on this machine has no second region"),
    ("HANDOFF_QUEUES", f"{CLOUD},{CLOUD}", "not one queue, and not two different ones"),
    ("TASKS_INVOKERS", "events=e@p,events=f@p", "each of events, retrieve, sweep needs one identity"),
    ("TASKS_INVOKERS", "events=e@p", "no identity for retrieve, sweep"),
    ("TASKS_INVOKERS", "events=e@p,retrieve=e@p,sweep=s@p", "one identity for two paths"),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("STATE_URL", value) for value in ("sqlite:///", "sqlite:////", "sqlite:/a", "firestore://p", "firestore://p/d/e")],
        *[("ARCHIVE_URL", value) for value in ("file:///", "file:////", "file://a", "gs://", "gs://b/x")],
        *[("TASKS_ENDPOINT", value) for value in ("h:0", "h:65536", "h", ":1", "h:1:1", "h:")],
        *[("CODE_HASH", value) for value in ("0" * 63, "0" * 65, "A" * 64)],
        *[("DEPLOYMENT", value) for value in ("-a", "a" * 101, "a b")],
    ],
)
def test_what_has_one_form_only_is_refused_without_a_reason(name: str, value: str) -> None:
    """What is allowed says it all (`Variable.allowed`)."""
    with pytest.raises(ValueError, match=r"^$"):
        BY_NAME[name].parse(value)


@pytest.mark.parametrize(("name", "value", "reason"), REASONS)
def test_a_refusal_gives_exactly_this_reason(name: str, value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        BY_NAME[name].parse(value)


OUTSIDE = ("recording_config", "zoom_rtms", "meeting_url", "bot_name", "join_at", "automatic_leave", "output_media", "webhook_url")
OBJECTS = (
    *("transcript", "participant_events", "meeting_metadata", "video_mixed_mp4", "video_mixed_flv", "video_separate_mp4"),
    *("video_separate_png", "video_separate_h264", "audio_mixed_raw", "audio_mixed_mp3", "audio_separate_raw", "audio_separate_mp3"),
    *("retention", "include_bot_in_recording", "metadata"),
)


@pytest.mark.parametrize("key", OUTSIDE)
def test_what_stands_beside_a_recording_config_is_not_in_it(key: str) -> None:
    with pytest.raises(ValueError, match=f"^it holds '{key}': give only what is inside recording_config, not a whole request$"):
        values.recording_config(f'{{"{key}":null}}')


@pytest.mark.parametrize("key", OBJECTS)
def test_an_artifact_is_an_object_or_null(key: str) -> None:
    assert values.recording_config(f'{{"{key}":null}}') == {key: None}
    with pytest.raises(ValueError, match=f"^its {key} is neither an object nor null$"):
        values.recording_config(f'{{"{key}":true}}')


@pytest.mark.parametrize("name", ["meeting_direct_connect", "recording", "bot"])
def test_the_root_of_recalls_api_ends_before_an_endpoint(name: str) -> None:
    with pytest.raises(ValueError, match=f"^it includes the endpoint {name}: end it before that$"):
        values.recall_url(f"https://eu-central-1.recall.ai/api/v1/{name}/")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.9", "[::1]"])
def test_only_this_machine_may_be_asked_in_clear_text(host: str) -> None:
    assert values.service_url(f"http://{host}:8080/") == f"http://{host}:8080"
    assert values.on_loopback(f"http://{host}:8080") is True
    for other in ("localhost.example", "127.0.0.1.example", "[::2]", "1127.0.0.1"):
        assert values.on_loopback(f"http://{other}") is False


@pytest.mark.parametrize("quote", ['"', "'", "`"])
@pytest.mark.parametrize("shape", ["{0}abcdefgh1", "abcdefgh1{0}", "{0}abcdefgh1{0}"])
def test_a_quote_at_either_end_was_pasted_with_it(quote: str, shape: str) -> None:
    with pytest.raises(ValueError, match=r"^it is in quotes: give it without them$"):
        values.secret(shape.format(quote))
    assert values.secret("X-abcdefgh1-X") == "X-abcdefgh1-X"


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


@pytest.mark.parametrize("address", ["nobody", "e@", "@p", "e@p@q", "e @p", "e@p "])
def test_an_identity_is_an_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        values.email(address)
    assert values.email("e@p.test") == "e@p.test"
    assert settings.problem(BY_NAME["TASKS_INVOKERS"], "events=nobody,retrieve=r@p,sweep=s@p") is not None


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
