"""First up, second up, down, and what failures and changes do: the program in a local cloud that answers as Google and the provider do.

Each test that begins with a number is one finding of the program run through the real provider's code.
"""

from __future__ import annotations

import pytest

from rtms_infra.keys import BY_NAME
from rtms_infra.rehearsal.facts import FACTS
from tests.infra.conftest import Plant
from tests.infra.deployment import EMPTY, EXAMPLES, ROOT, Runner, World, configured, example

# An engine of its own, beside the others; some tests act on every example.
pytestmark = [pytest.mark.xdist_group("infra-worlds"), pytest.mark.timeout(300)]

STATE = {"database", "queue-handoffs", "queue-handoffs-second", "queue-facts", "queue-retrievals", "archive"}
WEEK_S = 7 * 86400
MONTH_S = 38 * 86400


def up(runner: Runner, world: World, config: dict[str, str], **wish: object) -> World:
    """`pulumi up` that must succeed."""
    after = runner.act(world, config, **wish)  # ty: ignore[invalid-argument-type]
    assert after.errors == ()
    return after


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_second_up_and_a_refresh_find_nothing_to_do(runner: Runner, name: str) -> None:
    first = up(runner, EMPTY, example(name))
    assert up(runner, first, example(name)).changed == set()
    assert runner.act(first, example(name), "refresh").errors == ()


@pytest.mark.parametrize("name", EXAMPLES)
def test_down_and_up_twice_once_google_has_forgotten_the_names(runner: Runner, name: str) -> None:
    config = example(name)
    if "rtmskit:githubRepository" in config:
        config["rtmskit:githubDeploys"] = "true"
    world = up(runner, EMPTY, config)
    for generation in ("github-2", "github-3"):
        unprotected = {**config, "rtmskit:protect": "false"}
        world = up(runner, world, unprotected)
        world = runner.act(world, unprotected, "destroy")
        assert world.errors == ()
        assert {kept.rsplit("/", 1)[-1] for kept in world.resources if "googleapis" not in kept and "/fields/" not in kept} <= {
            "github-actions",
            "rtmskit-prod-github",
            "rtmskit-prod-github-2",
        }
        config = {**config, "rtmskit:githubPool": generation}  # what tear-down.md names as the way back
        world = up(runner, world, config, pass_time=MONTH_S)


def test_destroy_is_refused_while_protected_and_touches_nothing(runner: Runner) -> None:
    world = up(runner, EMPTY, configured())
    after = runner.act(world, configured(), "destroy")
    assert after.of("refuse") == STATE - {"archive"}, "what the others depend on is not come to"
    assert after.of("delete") == set()


def test_1_a_failed_first_build_never_looks_like_success(runner: Runner) -> None:
    config = configured()
    world = runner.act(EMPTY, config, failures=[{"verb": "build", "what": "*/functions/*-worker", "sentence": "no right"}])
    assert "the build failed" in " ".join(world.errors)
    assert world.deployment is not None
    assert world.deployment.outputs == {}, "a failed up claims no address"
    for _ in range(3):
        world = runner.act(world, config)
        assert "rtmskit:redeploy" in " ".join(world.errors), "an up after it must not say that all is well"
    again = {**config, "rtmskit:redeploy": "1"}
    # At a terminal `pulumi up` previews first, and what that refuses never begins.
    assert runner.act(world, again, "preview").errors == ()
    world = runner.act(world, again)
    assert world.errors == ()
    assert up(runner, world, again).changed == set()


def test_1_a_failed_build_of_new_code_is_seen_by_the_hash_of_the_code(runner: Runner, plant: Plant) -> None:
    """Pulumi's next run says that all is well, and Google runs the old code: only the hash in the environment tells them apart."""
    program = plant("source.py", "", "")
    world = runner.act(EMPTY, configured(), program=program)
    main = program.parent / "function" / "main.py"
    main.write_text(main.read_text() + "\n# changed\n")
    world = runner.act(world, configured(), program=program, failures=[{"verb": "build", "what": "*", "times": 2}])
    assert world.of("fail") & {"webhook", "worker"}
    again = runner.act(world, {**configured(), "rtmskit:redeploy": "1"}, program=program)
    assert again.errors == ()
    assert {"webhook", "worker"} <= again.of("update")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["group:a@x.org", "user:b@x.org"], ["user:b@x.org"]),
        (["user:b@x.org"], ["group:a@x.org", "user:b@x.org"]),
        (["group:a@x.org", "user:b@x.org"], ["user:b@x.org", "group:a@x.org"]),
        (["user:b@x.org", "user:b@x.org"], ["user:b@x.org"]),
        (["user:b@x.org", "user:B@X.org"], ["user:b@x.org"]),
    ],
)
def test_2_a_change_of_the_callers_takes_no_other_callers_right(runner: Runner, before: list[str], after: list[str]) -> None:
    world = up(runner, EMPTY, configured(workerCallers=before))
    world = up(runner, world, configured(workerCallers=after))
    callers = {member for _, role, member in world.grants if role == "roles/run.invoker"}
    assert set(after) <= callers
    assert (set(before) - set(after)).isdisjoint(callers)
    assert world.gaps == ()


def test_2_the_programs_own_accounts_are_refused_as_callers(runner: Runner) -> None:
    own = "serviceAccount:rtmskit-prod-sweep@acme-rtms.iam.gserviceaccount.com"
    assert "own accounts" in runner.run(configured(workerCallers=[own])).error
    assert "own accounts" in runner.run(configured(workerCallers=[own.replace("rtmskit", "RTMSKIT")])).error


MOVES = [{"databaseLocation": "nam5"}, {"region": "us-central1"}, {"secondRegion": "us-west1"}, {"name": "another-name"}]


@pytest.mark.parametrize("move", MOVES, ids=lambda move: next(iter(move)))
def test_3_lifting_the_protection_and_moving_at_once_takes_nothing_away(runner: Runner, move: dict[str, str]) -> None:
    world = up(runner, EMPTY, configured(archive=True))
    after = runner.act(world, configured(archive=True, protect=False, **move))
    assert "deletion_policy is PREVENT" in " ".join(after.errors)
    stateful = {name for name in world.resources if "/databases/" in name or "/queues/" in name or name.endswith("-archive")}
    assert stateful <= after.resources
    if "name" not in move:  # another name is another set of accounts: their rights go with them
        kept = {grant for grant in world.grants if "/queues/" in grant[0] or grant[0].endswith("-archive")}
        assert kept <= after.grants


@pytest.mark.parametrize("move", MOVES, ids=lambda move: next(iter(move)))
def test_3_moving_while_protected_is_refused_as_a_whole(runner: Runner, move: dict[str, str]) -> None:
    world = up(runner, EMPTY, configured())
    after = runner.act(world, configured(**move))
    assert after.of("refuse")
    assert after.resources == world.resources
    assert after.grants == world.grants


def test_4_recalls_region_moves_nothing(runner: Runner) -> None:
    for name in EXAMPLES:
        world = up(runner, EMPTY, example(name))
        other = "us-east-1" if example(name)["rtmskit:recallRegion"] != "us-east-1" else "us-west-2"
        after = up(runner, world, {**example(name), "rtmskit:recallRegion": other})
        assert after.changed == {"worker"}
        assert after.of("update") == {"worker"}


def test_5_another_project_with_the_protection_lifted_at_once_takes_nothing_away(runner: Runner) -> None:
    world = up(runner, EMPTY, configured(archive=True))
    after = runner.act(world, {**configured(archive=True, protect=False), "gcp:project": "another-project"})
    assert "deletion_policy is PREVENT" in " ".join(after.errors)
    stateful = {name for name in world.resources if "/databases/" in name or "/queues/" in name or name.endswith("-archive")}
    assert stateful <= after.resources


@pytest.mark.parametrize("name", EXAMPLES)
def test_5_another_project_is_stopped_by_the_protection(runner: Runner, name: str) -> None:
    config = {**example(name), "rtmskit:protect": "true"}
    world = up(runner, EMPTY, config)
    after = runner.act(world, {**config, "gcp:project": "other-project"})
    assert after.of("refuse") & STATE
    assert after.resources == world.resources


def test_5_every_resource_that_can_name_its_project_does(runner: Runner) -> None:
    from rtms_infra.rehearsal.schema import resource_type

    for name in EXAMPLES:
        for resource in runner.run(example(name)).custom:
            # A version's project is part of its secret's name.
            if "project" in resource_type(resource.type).properties and resource.kind not in ("Budget", "SecretVersion"):
                assert resource.inputs.get("project") == example(name)["gcp:project"], str(resource)


def test_6_switching_github_off_and_on_keeps_the_pool(runner: Runner) -> None:
    github = {"githubRepository": "acme/rtms", "githubOwnerId": "7"}
    world = up(runner, EMPTY, configured(**github))
    off = up(runner, world, configured(githubDeploys=False, **github))
    assert not any("deployer" in member and role != "" for _, role, member in off.grants)
    assert not any(role == "roles/iam.workloadIdentityUser" for _, role, _ in off.grants)
    on = up(runner, off, configured(**github))
    assert on.grants == world.grants
    gone = up(runner, world, configured())
    assert any("workloadIdentityPools" in name for name in gone.resources), "a deleted pool would block its id for 30 days"
    assert up(runner, gone, configured(githubPool="github-2", **github)).of("create") >= {"pool", "provider"}


@pytest.mark.parametrize(("after_s", "blocked"), [(86400, {"queue"}), (8 * 86400, {"role"}), (MONTH_S, set())])
def test_6_an_up_after_a_destroy_meets_exactly_the_names_that_google_blocks(runner: Runner, after_s: float, blocked: set[str]) -> None:
    config = configured(protect=False)
    world = runner.act(up(runner, EMPTY, config), config, "destroy")
    after = runner.act(world, config, pass_time=after_s)
    assert {error.partition(":")[0].partition("-")[0] for error in after.errors} == blocked


BLOCKED = {
    "Queue": ("the queues' names", "about a week", 0, 7 * 86400),
    "Database": ("the database's name", "some minutes", 0, 300),
    "IAMCustomRole": ("the custom roles", "day 7 to about day 37", 7 * 86400, 37 * 86400),
    "WorkloadIdentityPool": ("the Workload Identity pool, its provider", "30 days", 0, 30 * 86400),
    "WorkloadIdentityPoolProvider": ("the Workload Identity pool, its provider", "30 days", 0, 30 * 86400),
}
"""Type -> what the tear-down page calls it, how long it says, and from when to when Google refuses the name, in seconds."""


def test_6_the_page_names_each_blocked_name_and_how_long() -> None:
    blocked = {kind.rsplit(":", 1)[-1]: facts.tombstone for kind, facts in FACTS.items() if facts.tombstone is not None}
    assert set(blocked) == set(BLOCKED)
    rows = [line for line in (ROOT / "docs" / "tear-down.md").read_text().splitlines() if line.startswith("| ")]
    for kind, (what, how_long, start_s, end_s) in BLOCKED.items():
        [row] = [row for row in rows if row.startswith(f"| {what} |")]
        assert how_long in row, kind
        assert (blocked[kind].refused_from_s, blocked[kind].refused_until_s) == (start_s, end_s), kind


def test_7_the_project_api_comes_before_every_other_api(runner: Runner) -> None:
    deployment = runner.run(configured())
    first = deployment.named("api-cloudresourcemanager")
    assert first.dependencies == [first.parent] or first.parent not in deployment.needs(first)
    for service in deployment.of("Service"):
        if service.name != first.name:
            assert first.urn in deployment.needs(service), str(service)


def test_7_no_alert_waits_for_a_counter_to_be_known(runner: Runner) -> None:
    world = runner.act(EMPTY, example("production"), metric_delay_s=600)
    assert world.errors == ()


def test_7_an_api_that_is_not_in_force_yet_is_named_and_a_later_up_is_right(runner: Runner) -> None:
    early = runner.act(EMPTY, example("minimal"), api_delay_s=60)
    assert any(".googleapis.com has not been used in this project before or it is disabled" in error for error in early.errors)
    again = runner.act(early, example("minimal"), pass_time=60, api_delay_s=60)
    assert again.errors == ()
    assert [step for step in up(runner, again, example("minimal")).steps if step.verb != "same"] == []


FIRST_THROUGH_EACH_API = (
    "*/repositories/*", "*/functions/*", "*/roles/run.invoker/*", "*/jobs/*", "*/queues/*", "*/databases/*", "*/serviceAccounts/*",
    "*/metrics/*", "*/alertPolicies/*", "*/secrets/*", "acme-rtms-rtmskit-prod-*", "project:*",
)  # fmt: skip
"""A name that is made through each API that the program enables."""


def test_7_each_run_of_a_first_up_gets_beyond_the_api_that_refused_the_last_one(runner: Runner) -> None:
    """Each API refuses once: it is enabled, and not awake yet. Operations take no time here: a run meets fewer than at Google."""
    asleep = [{"verb": "create", "what": what, "status": 403, "sentence": f"not awake: {what};"} for what in FIRST_THROUGH_EACH_API]
    world = EMPTY
    while asleep:
        world = runner.act(world, configured(), failures=asleep)
        still = [one for one in asleep if str(one["sentence"]) not in " ".join(world.errors)]
        assert len(still) < len(asleep), world.errors
        asleep = still
    assert up(runner, up(runner, world, configured()), configured()).changed == set()
    assert "a first deployment may take up to four runs" in " ".join((ROOT / "docs" / "deploy.md").read_text().split())


def test_8_no_deploy_takes_the_running_archive_or_a_grant_away_first(runner: Runner, plant: Plant) -> None:
    program = plant("identity.py", '"title": "one database"', '"title": "this database"')
    world = up(runner, EMPTY, example("production"))
    main = program.parent / "function" / "main.py"
    main.write_text(main.read_text() + "\n# changed\n")
    after = runner.act(world, example("production"), program=program)
    assert after.errors == ()
    replaced = {step.name: step.how for step in after.steps if step.verb == "replace"}
    assert "source-object" in replaced
    assert "records-worker" in replaced
    assert set(replaced.values()) == {"new first"}
    for resource in runner.run(example("production")).custom:
        if resource.type in ("gcp:projects/iAMMember:IAMMember", "gcp:storage/bucketObject:BucketObject"):
            assert resource.new_first, str(resource)


def test_9_a_tear_down_does_not_work_on_the_records_first(runner: Runner) -> None:
    config = configured(protect=False)
    world = runner.act(up(runner, EMPTY, config), config, "destroy")
    fields = {resource.name for resource in runner.run(config).of("Field")}
    assert fields
    assert fields <= world.of("forget")
    for field in runner.run(config).of("Field"):
        assert field.inputs["deletionPolicy"] == "ABANDON"
        assert field.deleted_with.endswith("::database")


@pytest.mark.parametrize("protect", [True, False])
def test_10_archive_off_stops_archiving_and_keeps_the_bucket(runner: Runner, protect: bool) -> None:
    on, off = configured(archive=True, protect=protect), configured(archive=False, protect=protect)
    world = up(runner, EMPTY, on)
    bucket = "acme-rtms-rtmskit-prod-archive"
    after = up(runner, world, off, objects={bucket: 3})
    assert bucket in after.resources
    assert after.deployment is not None
    assert "ARCHIVE_URL" not in after.deployment.named("worker").inputs["serviceConfig"]["environmentVariables"]
    assert up(runner, after, on).of("fail") == set()


def test_11_another_name_renames_the_counters_and_leaves_the_old_ones(runner: Runner) -> None:
    world = up(runner, EMPTY, configured(protect=False))
    after = runner.act(world, configured(protect=False, name="another"))
    assert after.errors == ()
    left = {name for name in after.resources if "/metrics/rtmskit-prod-" in name}
    assert left, "the provider renames counters: the old ones stay at Google"
    assert "those with the old name stay" in BY_NAME["name"].meaning


@pytest.mark.parametrize("name", ["google-rtms", "goog-rtms", "my-google1", "g00gle-rtms"])
def test_12_a_name_that_buckets_refuse_is_refused_before(runner: Runner, name: str) -> None:
    assert "buckets refuse it" in runner.run(configured(name=name)).error


def test_12_a_key_that_holds_a_secret_says_what_its_removal_does(runner: Runner) -> None:
    world = up(runner, EMPTY, configured(zoomSecretTokenPrevious="zoom-secret-token-former"))
    after = up(runner, world, configured(zoomSecretTokenPrevious=None, recallWebhookSecrets=None))
    gone = {name.removeprefix("secret-") for name in after.of("delete") if name.startswith("secret-")}
    assert gone == {"zoom-secret-token-previous", "recall-webhook-secrets"}
    for name in ("zoomSecretTokenPrevious", "recallWebhookSecrets"):
        assert "secret and versions are deleted at once" in BY_NAME[name].meaning


def test_12_the_page_says_how_to_lift_a_protection_whose_etag_has_moved_on() -> None:
    page = " ".join((ROOT / "docs" / "tear-down.md").read_text().split())
    assert "If Google refuses to switch the database's protection off because its etag has changed, run `pulumi up --refresh`" in page


def test_12_a_move_without_protection_stops_at_an_archive_that_holds_something(runner: Runner) -> None:
    """Before anything else that holds state is touched: the archive is never emptied for anybody."""
    world = up(runner, EMPTY, configured(archive=True, protect=False))
    after = runner.act(world, configured(archive=True, protect=False, region="us-central1"), objects={"acme-rtms-rtmskit-prod-archive": 3})
    assert "is not empty" in " ".join(after.errors)
    stateful = {name for name in world.resources if "/databases/" in name or "/queues/" in name or "/functions/" in name}
    assert stateful <= after.resources
