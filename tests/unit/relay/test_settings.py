"""The configuration: one object, all problems at once, no secret shown."""

from __future__ import annotations

import dataclasses

import pytest
from tests.ports.events import ENVIRON, TOKEN, WHSEC

from rtms_relay import settings
from rtms_relay.errors import SettingsError
from rtms_relay.settings import VARIABLES, ArchivePlace, Role, Settings, State

ROLES: tuple[Role, ...] = ("webhook", "worker")
BAD = {
    "ZOOM_SECRET_TOKEN": " padded-secret ",
    "ZOOM_SECRET_TOKEN_PREVIOUS": "bad\x00secret",
    "ZOOM_CLIENT_ID": "id",
    "ZOOM_CLIENT_SECRET": "sécret-value",
    "ZOOM_SIGNATURE_WINDOW_S": "-1",
    "ZOOM_CONNECT_WINDOW_S": "3001",
    "ZOOM_SERVER_HOSTS": "*.zoom.us,https://x",
    "ZOOM_ON_DEAUTHORIZED": "panic",
    "LOG_IDS": "sha256",
    "RECALL_API_KEY": "key with\ttab",
    "RECALL_REGION": "mars-1",
    "RECALL_BASE_URL": "http://recall.example/api/v1",
    "RECALL_RECORDING_CONFIG": "[]",
    "RECALL_WEBHOOK_SECRETS": "whsec_hidden-but-short,plain-hidden",
    "RECALL_ENTITY_FIELD": "theirs",
    "RECALL_TIMEOUT_S": "51",
    "RETRIEVAL_POLL_S": "0",
    "RETRIEVAL_GIVE_UP_S": "1e9",
    "RECORDS_KEEP_DAYS": "6",
    "STATE_URL": "mysql://x",
    "HANDOFF_QUEUES": "queue",
    "FACTS_QUEUE": "queue",
    "RETRIEVAL_QUEUE": "queue",
    "TASKS_ENDPOINT": "http://127.0.0.1:1",
    "WORKER_URL": "ftp://x",
    "TASKS_INVOKERS": "nobody",
    "RUN_SECRET": "hidden\t",
    "DEPLOYMENT": "a b",
    "ARCHIVE_URL": "s3://bucket",
    "CODE_HASH": "0" * 63,
}


def test_every_variable_has_a_field_a_meaning_and_a_bad_value_here() -> None:
    names = {field.name for field in dataclasses.fields(Settings)}
    assert {variable.attribute for variable in VARIABLES} == names - {"role"}
    assert {variable.name for variable in VARIABLES} == set(BAD)
    assert all(variable.meaning.endswith(".") and variable.allowed for variable in VARIABLES)
    assert all(not field.repr for field in dataclasses.fields(Settings) for v in VARIABLES if v.secret and v.attribute == field.name)


BOTH = ("webhook", "worker")
TABLE: dict[str, tuple[tuple[str, ...], str | None]] = {
    "ZOOM_SECRET_TOKEN": (("webhook",), None),
    "ZOOM_SECRET_TOKEN_PREVIOUS": (("webhook",), ""),
    "ZOOM_CLIENT_ID": (("worker",), None),
    "ZOOM_CLIENT_SECRET": (("worker",), None),
    "ZOOM_SIGNATURE_WINDOW_S": (("webhook",), "5700"),
    "ZOOM_CONNECT_WINDOW_S": (BOTH, "60"),
    "ZOOM_SERVER_HOSTS": (("worker",), "*.zoom.us"),
    "ZOOM_ON_DEAUTHORIZED": (("webhook",), "audit"),
    "RECALL_API_KEY": (("worker",), None),
    "RECALL_REGION": (("worker",), "us-east-1"),
    "RECALL_BASE_URL": (("worker",), ""),
    "RECALL_RECORDING_CONFIG": (("worker",), '{"video_mixed_mp4":{}}'),
    "RECALL_WEBHOOK_SECRETS": (("webhook",), ""),
    "RECALL_ENTITY_FIELD": (("worker",), "meeting_uuid"),
    "RECALL_TIMEOUT_S": (("worker",), "15"),
    "RETRIEVAL_POLL_S": (("worker",), "1800"),
    "RETRIEVAL_GIVE_UP_S": (("worker",), "86400"),
    "RECORDS_KEEP_DAYS": (("worker",), "400"),
    "STATE_URL": (("worker",), None),
    "HANDOFF_QUEUES": (BOTH, None),
    "FACTS_QUEUE": (BOTH, None),
    "RETRIEVAL_QUEUE": (BOTH, None),
    "TASKS_ENDPOINT": (BOTH, ""),
    "WORKER_URL": (BOTH, None),
    "TASKS_INVOKERS": (BOTH, ""),
    "RUN_SECRET": (("worker",), ""),
    "DEPLOYMENT": (("worker",), "rtmskit"),
    "ARCHIVE_URL": (("worker",), ""),
    "LOG_IDS": (BOTH, "plain"),
    "CODE_HASH": (BOTH, ""),
}
"""Variable -> the functions that read it, and its default; None: it must be set."""

SECRET = {
    "ZOOM_SECRET_TOKEN",
    "ZOOM_SECRET_TOKEN_PREVIOUS",
    "ZOOM_CLIENT_SECRET",
    "RECALL_API_KEY",
    "RECALL_WEBHOOK_SECRETS",
    "RUN_SECRET",
}


def test_who_reads_what_and_what_holds_without_it() -> None:
    assert {variable.name: (variable.roles, variable.default) for variable in VARIABLES} == TABLE
    assert {variable.name for variable in VARIABLES if variable.secret} == SECRET


def test_what_a_role_does_not_read_is_empty() -> None:
    webhook, worker = settings.load(ENVIRON, "webhook"), settings.load(ENVIRON, "worker")
    assert (webhook.zoom_client_id, webhook.zoom_client_secret, webhook.recall_api_key, webhook.recall_base_url) == ("", "", "", "")
    assert (webhook.run_secret, webhook.archive_url, webhook.state_url) == ("", None, State("sqlite", ":memory:"))
    assert (worker.zoom_secret_token, worker.zoom_secret_token_previous, worker.recall_webhook_secrets) == ("", "", ())
    bare = Settings(role="webhook")
    assert (bare.handoff_queues, bare.facts_queue, bare.retrieval_queue, bare.worker_url) == ((), "", "", "")


def test_a_process_with_unusable_settings_ends_with_the_code_of_a_wrong_command() -> None:
    assert settings.EXIT_CODE == 2


def test_what_is_no_secret_is_shown_up_to_a_limit_and_in_plain_ascii() -> None:
    [variable] = [one for one in VARIABLES if one.name == "DEPLOYMENT"]
    assert settings.problem(variable, "a b") == f"DEPLOYMENT is 'a b'; expected {variable.allowed}"
    shown = "\u00e9" + "x" * 199
    assert settings.problem(variable, shown) == f"DEPLOYMENT is '\\xe9{shown[1:]}'; expected {variable.allowed}"
    assert settings.problem(variable, f"{shown}y") == f"DEPLOYMENT is '\\xe9{shown[1:]}...'; expected {variable.allowed}"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("TASKS_QUEUE", "TASKS_QUEUE is no longer read; set HANDOFF_QUEUES, FACTS_QUEUE and RETRIEVAL_QUEUE"),
        ("TASKS_INVOKER", "TASKS_INVOKER is no longer read; set TASKS_INVOKERS"),
    ],
)
def test_a_variable_of_the_first_edition_is_refused_with_what_took_its_place(name: str, line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings.load(ENVIRON | {name: "x"}, "webhook")
    assert list(refused.value.problems) == [line]
    settings.load(ENVIRON | {name: ""}, "webhook")


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_allowed_values_and_those_of_the_object(role: Role) -> None:
    loaded = settings.load(ENVIRON, role)
    optional = {v.attribute for v in VARIABLES if role in v.roles and not v.required and v.name not in {*ENVIRON, "RECALL_BASE_URL"}}
    fields = {field.name: field for field in dataclasses.fields(Settings) if field.name in optional}
    assert fields.keys() == optional
    defaults = {
        name: field.default if field.default is not dataclasses.MISSING else field.default_factory()  # ty: ignore[not-callable]
        for name, field in fields.items()
    }
    assert {name: getattr(loaded, name) for name in optional} == defaults
    assert len(optional) > 3


@pytest.mark.parametrize("role", ROLES)
def test_all_problems_are_told_at_once_by_name_and_no_secret_is_shown(role: Role) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(BAD, role)
    assert [problem.split()[0] for problem in caught.value.problems] == [v.name for v in VARIABLES if role in v.roles]
    whole = str(caught.value)
    for variable in VARIABLES:
        if variable.secret:
            assert BAD[variable.name].strip() not in whole
            assert "hidden" not in whole
        elif role in variable.roles:
            assert variable.allowed in whole


@pytest.mark.parametrize("role", ROLES)
def test_what_is_missing_is_told_at_once(role: Role) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({}, role)
    assert [problem.split()[0] for problem in caught.value.problems] == [v.name for v in VARIABLES if role in v.roles and v.required]


def test_the_public_function_neither_needs_nor_holds_the_private_ones_secrets() -> None:
    loaded = settings.load(ENVIRON, "webhook")
    assert set(loaded.secrets()) == {TOKEN, WHSEC}
    assert "RECALL_API_KEY" not in {v.name for v in VARIABLES if "webhook" in v.roles}
    worker = settings.load(ENVIRON, "worker")
    assert set(worker.secrets()) == {ENVIRON["ZOOM_CLIENT_SECRET"], ENVIRON["RECALL_API_KEY"]}
    for one in (loaded, worker):
        assert not any(secret in repr(one) for secret in one.secrets())


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("sqlite://", State("sqlite", ":memory:")),
        ("sqlite:///var/lib/x.db", State("sqlite", "/var/lib/x.db")),
        ("sqlite:////var/lib/x.db", State("sqlite", "/var/lib/x.db")),
        ("sqlite:///a%20b.db", State("sqlite", "/a b.db")),
        ("firestore://my-project/(default)", State("firestore", project="my-project", database="(default)")),
        ("firestore://my-project/relay", State("firestore", project="my-project", database="relay")),
    ],
)
def test_state_urls(url: str, state: State) -> None:
    assert settings.load(ENVIRON | {"STATE_URL": url}, "worker").state_url == state


@pytest.mark.parametrize(
    ("url", "place"), [("gs://b-1", ArchivePlace("gs", bucket="b-1")), ("file:///a/b/", ArchivePlace("file", path="/a/b"))]
)
def test_archive_urls(url: str, place: ArchivePlace) -> None:
    assert settings.load(ENVIRON | {"ARCHIVE_URL": url}, "worker").archive_url == place


def test_recalls_address_follows_the_region_unless_given() -> None:
    assert settings.load(ENVIRON | {"RECALL_REGION": "eu-central-1"}, "worker").recall_base_url == "https://eu-central-1.recall.ai/api/v1"
    local = "http://127.0.0.1:9301/api/v1"
    assert settings.load(ENVIRON | {"RECALL_BASE_URL": local + "/"}, "worker").recall_base_url == local


@pytest.mark.parametrize(
    "config",
    ["{", '{"metadata":{"a":1}}', '{"metadata":{"rtmskit_handoff":"x"}}', '{"metadata":[]}', '{"metadata":{"a":"%s"}}' % ("x" * 501)],
)
def test_recording_configs_that_recall_would_refuse(config: str) -> None:
    with pytest.raises(SettingsError, match="RECALL_RECORDING_CONFIG"):
        settings.load(ENVIRON | {"RECALL_RECORDING_CONFIG": config}, "worker")


def test_a_previous_secret_must_be_another() -> None:
    with pytest.raises(SettingsError, match="PREVIOUS"):
        settings.load(ENVIRON | {"ZOOM_SECRET_TOKEN_PREVIOUS": TOKEN}, "webhook")


@pytest.mark.parametrize("name", ["HANDOFF_QUEUES", "FACTS_QUEUE", "RETRIEVAL_QUEUE"])
@pytest.mark.parametrize("queue", ["sqlite:///var/state.db", "sqlite:////var/state.db", "sqlite:///var/st%61te.db"])
def test_the_records_are_in_no_file_of_a_queue(name: str, queue: str) -> None:
    with pytest.raises(SettingsError, match="STATE_URL names the file of a queue"):
        settings.load(ENVIRON | {"STATE_URL": "sqlite:///var/state.db", name: queue}, "worker")


def test_a_local_queue_is_named_by_its_path() -> None:
    loaded = settings.load(ENVIRON | {"HANDOFF_QUEUES": "sqlite:///a%20b,c.db", "FACTS_QUEUE": "sqlite:////q"}, "webhook")
    assert (loaded.handoff_queues, loaded.facts_queue) == (("sqlite:///a b,c.db",), "sqlite:///q")


@pytest.mark.parametrize("url", ["https://worker.example", "https://127.0.0.1.example", "https://localhost.example:1"])
def test_a_secret_of_the_run_is_for_a_worker_on_loopback_only(url: str) -> None:
    with pytest.raises(SettingsError, match="RUN_SECRET is set while WORKER_URL is not on loopback"):
        settings.load(ENVIRON | {"WORKER_URL": url, "RUN_SECRET": "s3cret-of-the-run"}, "worker")
