"""The configuration: one error lists every problem with its fix, no secret is ever shown, nothing is registered before."""

from __future__ import annotations

import re
import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_infra.config import ConfigError, Secret, parse
from rtms_infra.keys import BY_NAME, KEYS, NAME, REQUIRED, Key
from rtms_infra.regions import PAIRED, REGIONS
from tests.infra.deployment import ROOT, SECRET_NAMES, SECRETS, Runner, configured

pytestmark = pytest.mark.xdist_group("infra")  # one engine, whose answers are remembered, serves them all


def problems(config: dict[str, str], secrets: tuple[str, ...] = SECRET_NAMES, stack: str = "prod") -> dict[str, str]:
    """Key -> its paragraph."""
    with pytest.raises(ConfigError) as caught:
        parse(config, secrets, stack)
    return {paragraph.splitlines()[0]: paragraph for paragraph in caught.value.problems}


def test_the_least_configuration_is_enough_and_no_other_key_moves_it() -> None:
    for recall, google in PAIRED.items():
        config = parse(configured(recallRegion=recall, region=google), SECRET_NAMES, "prod")
        assert config.place.region == config.place.database_location == google
        assert config.place.name == "rtmskit-prod"
        assert parse(configured(recallRegion=recall), SECRET_NAMES, "prod").place.region == "us-east4"


def test_the_second_region_is_a_neighbour_of_the_same_jurisdiction() -> None:
    for name, region in REGIONS.items():
        if region.second:
            assert region.second != name
            assert REGIONS[region.second].jurisdiction == region.jurisdiction
            assert parse(configured(region=name), SECRET_NAMES, "prod").place.second_region == region.second
        else:
            assert [r for r in REGIONS.values() if r.jurisdiction == region.jurisdiction] == [region]
            assert set(problems(configured(region=name))) == {"rtmskit:secondRegion with rtmskit:region"}
    assert all(REGIONS[google].second for google in PAIRED.values())


def test_a_key_of_an_earlier_version_is_refused_with_its_new_name() -> None:
    found = problems({**configured(), "rtmskit:queueDispatchesPerSecond": "6"})
    assert "`retrievalsPerSecond` instead" in found["rtmskit:queueDispatchesPerSecond"]


def test_nothing_at_all_lists_every_required_key_with_the_command_that_sets_it() -> None:
    found = problems({})
    required = {key.full_name for key in KEYS if key.default is REQUIRED}
    assert set(found) == required | {"gcp:project"}
    for name, paragraph in found.items():
        assert re.search(rf"fix:     pulumi config set (--secret )?{name}", paragraph)


BAD: dict[str, str] = {
    "name": "x", "region": "mars-1", "secondRegion": "moon-1", "databaseLocation": "nam99", "protect": "yes", "zoomClientId": "a b",
    "zoomSecretToken": "tiny-qq", "zoomSecretTokenPrevious": "é" * 20, "zoomClientSecret": "new\nline-inside", "zoomServerHosts": "zoom",
    "zoomSignatureWindowSeconds": "0", "zoomConnectWindowSeconds": "soon", "zoomOnDeauthorized": "ignore", "recallRegion": "us-east-9",
    "recallApiKey": "a key", "recallWebhookSecrets": "whsec_!", "recallRecordingConfig": "[]", "recallEntityField": "theirs",
    "runtime": "python27", "cpu": "0.5", "memory": "256Mi", "webhookMinInstances": "-1", "webhookMaxInstances": "0",
    "webhookConcurrency": "1001", "workerMinInstances": "1.5", "workerMaxInstances": "many", "workerConcurrency": "0",
    "logIds": "yes", "retrievalsPerSecond": "501", "backupDays": "99", "recordsKeepDays": "6",
    "archive": "1", "archiveColdAfterDays": "-1", "archiveDeleteAfterDays": "x",
    "publicWebhook": "True", "webhookIngress": "ALL", "webhookUrl": "https://x.example.com/path", "workerCallers": '["allUsers"]',
    "alertEmails": '"a@example.com"',
    "alertPubsubTopics": '["alerts"]', "alertSlackChannel": "oncall", "alertSlackToken": "xox!",
    "alertPagerdutyKey": "short", "alertWebhookUrl": "http://x", "alertChannels": '["mine"]',
    "ackLatencyAlertMs": "3000", "uptimeCheck": "on", "monthlyBudget": "-5", "billingAccount": "1",
    "budgetCurrency": "dollars", "githubRepository": "acme", "githubOwnerId": "acme", "githubRef": "main",
    "recallBaseUrl": "http://recall.example.com", "recallTimeoutSeconds": "51", "retrievalPollSeconds": "0",
    "retrievalGiveUpSeconds": "1e3", "redeploy": "no blanks", "githubDeploys": "yes", "githubPool": "x",
}  # fmt: skip


def test_every_key_refuses_a_bad_value_and_all_are_reported_at_once() -> None:
    assert set(BAD) == set(BY_NAME)
    found = problems({"gcp:project": "UPPER", **{f"rtmskit:{name}": value for name, value in BAD.items()}})
    assert set(found) == {"gcp:project", *(key.full_name for key in KEYS)}
    for key in KEYS:
        paragraph = found[key.full_name]
        assert key.allowed in paragraph
        assert key.fix() in paragraph
        assert (BAD[key.name] in paragraph) != key.secret


@pytest.mark.parametrize("key", [key for key in KEYS if not key.secret], ids=lambda key: key.name)
def test_the_example_of_a_key_is_a_value_that_it_takes(key: Key) -> None:
    example = shlex.split(key.example)[0]
    value = {"integer": int, "boolean": lambda text: text == "true", "array": lambda text: (text,), "string": str}[key.kind](example)
    assert key.refusal(value) is None


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"webhookMinInstances": 9, "webhookMaxInstances": 3}, "rtmskit:webhookMinInstances with rtmskit:webhookMaxInstances"),
        ({"workerMinInstances": 9, "workerMaxInstances": 3}, "rtmskit:workerMinInstances with rtmskit:workerMaxInstances"),
        ({"workerMaxInstances": 1, "workerConcurrency": 9}, "rtmskit:workerMaxInstances with rtmskit:workerConcurrency"),
        ({"secondRegion": "us-east4"}, "rtmskit:secondRegion with rtmskit:region"),
        ({"cpu": "4", "memory": "1Gi"}, "rtmskit:memory with rtmskit:cpu"),
        ({"archive": True, "archiveDeleteAfterDays": 30}, "rtmskit:archiveColdAfterDays with rtmskit:archiveDeleteAfterDays"),
        ({"monthlyBudget": 50}, "rtmskit:monthlyBudget with rtmskit:billingAccount"),
        ({"billingAccount": "012345-6789AB-CDEF01"}, "rtmskit:monthlyBudget with rtmskit:billingAccount"),
        ({"alertSlackChannel": "#oncall"}, "rtmskit:alertSlackToken with rtmskit:alertSlackChannel"),
        ({"alertEmails": [f"a{n}@example.com" for n in range(14)]}, "rtmskit:alertEmails with rtmskit:alertPubsubTopics"),
        ({"githubRepository": "acme/rtms"}, "rtmskit:githubOwnerId with rtmskit:githubRepository"),
        ({"publicWebhook": False}, "rtmskit:uptimeCheck with rtmskit:publicWebhook"),
        ({"webhookIngress": "ALLOW_INTERNAL_AND_GCLB"}, "rtmskit:webhookUrl with rtmskit:webhookIngress"),
        ({"zoomSecretTokenPrevious": "zoom-secret-token-0"}, "rtmskit:zoomSecretTokenPrevious with rtmskit:zoomSecretToken"),
        ({"zoomClientSecret": "zoom-secret-token-0"}, "rtmskit:zoomClientSecret with rtmskit:zoomSecretToken"),
    ],
)
def test_options_that_exclude_each_other_are_refused_together(changes: dict[str, object], names: str) -> None:
    found = problems(configured(**changes))
    assert set(found) == {names}
    for command in found[names].split("fix:     ")[1].split("; "):
        words = shlex.split(command)
        assert words[:2] == ["pulumi", "config"]
        assert any(word.removeprefix("rtmskit:") in BY_NAME for word in words)


def test_a_secret_that_is_stored_in_clear_text_is_refused() -> None:
    found = problems(configured(), secrets=("rtmskit:zoomSecretToken",))
    assert set(found) == set(SECRETS) - {"rtmskit:zoomSecretToken"}
    assert all("stored as plain text" in paragraph for paragraph in found.values())


def test_a_misspelt_key_is_refused_with_the_nearest_one() -> None:
    found = problems({**configured(), "rtmskit:webhookMinInstnces": "1"})
    assert "did you mean `webhookMinInstances`?" in found["rtmskit:webhookMinInstnces"]
    assert "pulumi config rm rtmskit:webhookMinInstnces" in found["rtmskit:webhookMinInstnces"]


def test_keys_of_other_namespaces_are_left_alone() -> None:
    other = {"gcp:billingProject": "acme", "aws:region": "x"}
    assert parse({**configured(), **other}, SECRET_NAMES, "prod") == parse(configured(), SECRET_NAMES, "prod")


@pytest.mark.parametrize("stack", ["Prod", "a_b", "x" * 30, "dev.1"])
def test_a_stack_whose_name_cannot_be_a_prefix_needs_a_name(stack: str) -> None:
    assert "the stack's name makes it" in problems(configured(), stack=stack)["rtmskit:name"]
    assert parse(configured(name="rtms"), SECRET_NAMES, stack).place.name == "rtms"


@given(st.from_regex(NAME, fullmatch=True))
def test_every_name_that_is_taken_fits_everything_that_is_named_after_it(name: str) -> None:
    """Limits: service account 6-30, Firestore database 4-63, bucket 63 with a project of 30, Run's address 63, pool 4-32, role 64."""
    assert 4 <= len(name) <= 21
    assert len(f"{name}-build") >= 6
    assert len(f"{name}-deployer") <= 30
    assert len(f"{'p' * 30}-{name}-archive") <= 63
    assert len(f"{name}-webhook-123456789012") <= 63
    assert len(f"{name}-github") <= 32
    assert len(f"{name}_webhook_records") <= 64
    assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)


@given(
    st.dictionaries(
        st.sampled_from([key.full_name for key in KEYS]), st.text(string.printable, min_size=9, max_size=30).filter(str.strip), max_size=12
    )
)
def test_whatever_is_given_the_answer_is_a_config_or_one_error_without_secrets(given_values: dict[str, str]) -> None:
    values = {**configured(), **given_values}
    text = answer(values)
    harmless = [value for name, value in values.items() if name not in SECRET_NAMES] + [key.allowed + key.fix() for key in KEYS]
    secrets = [values[name] for name in SECRET_NAMES if values.get(name)]
    assert [secret for secret in secrets if secret in text and not any(secret in other for other in harmless)] == []


def answer(values: dict[str, str]) -> str:
    """What a user sees: the configuration, or the error."""
    try:
        return repr(parse(values, SECRET_NAMES, "prod"))
    except ConfigError as error:
        return str(error)


def test_a_secret_does_not_show_itself() -> None:
    config = parse(configured(), SECRET_NAMES, "prod")
    assert not any(secret in repr(config) for secret in SECRETS.values())
    assert repr(Secret("x")) == "Secret(***)"


def test_the_program_stops_with_that_error_and_registers_nothing(runner: Runner) -> None:
    deployment = runner.run({"rtmskit:region": "mars", "rtmskit:typo": "1"})
    assert deployment.custom == ()
    assert deployment.error.startswith("The configuration has 8 problems; nothing was changed.")
    assert "Traceback" not in deployment.error
    for name in ("gcp:project", "rtmskit:region", "rtmskit:typo", "rtmskit:recallApiKey"):
        assert f"\n{name}\n  found:" in deployment.error


def test_the_default_runtime_is_the_newest_python_that_ci_runs() -> None:
    ci = (ROOT / ".ci/run").read_text()
    newest = max(re.findall(r'^step "(?:unit )?tests on 3\.(\d+)"', ci, re.MULTILINE), key=int)
    assert BY_NAME["runtime"].default == f"python3{newest}"
