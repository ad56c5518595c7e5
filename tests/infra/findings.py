"""What the real provider's code and the real engine showed of the program, and the tests that hold it (docs/infra-tests.md prints them)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`number` and `what` as in the report of the run from outside. `tests`: names of functions, with their file below tests/."""

    number: int
    what: str
    tests: tuple[str, ...]


DOWN = "infra/test_first_second_down.py"
TABLE = "infra/test_change_table.py"
UPGRADES = "infra/test_upgrades.py"
ENGINE = "pulumi_engine"

FINDINGS = (
    Finding(
        1,
        "a failed build is never tried again, and the next `up` says all is well",
        (
            f"{DOWN}::test_1_a_failed_first_build_never_looks_like_success",
            f"{DOWN}::test_1_a_failed_build_of_new_code_is_seen_by_the_hash_of_the_code",
            f"{ENGINE}/test_failures.py::test_a_failed_first_build_never_ends_in_a_quiet_success",
            "unit/simulator/cli/service/test_doctor.py::test_code_that_was_not_deployed_is_found",
        ),
    ),
    Finding(
        2,
        "removing one of `workerCallers` takes the right from another",
        (
            f"{DOWN}::test_2_a_change_of_the_callers_takes_no_other_callers_right",
            f"{DOWN}::test_2_the_programs_own_accounts_are_refused_as_callers",
            "infra/test_space.py::test_2_a_grant_has_one_name_in_every_configuration",
            f"{UPGRADES}::test_a_change_that_would_lose_something_is_noticed",
        ),
    ),
    Finding(
        3,
        "lifting the protection and moving in one go is not refused",
        (
            f"{DOWN}::test_3_lifting_the_protection_and_moving_at_once_takes_nothing_away",
            f"{DOWN}::test_3_moving_while_protected_is_refused_as_a_whole",
        ),
    ),
    Finding(
        4,
        "`recallRegion` moves everything, silently",
        (
            f"{DOWN}::test_4_recalls_region_moves_nothing",
            f"{TABLE}::test_what_moves_state_or_functions_says_so_and_is_refused_while_protected",
            f"{TABLE}::test_the_upgrade_page_names_exactly_these",
        ),
    ),
    Finding(
        5,
        "`gcp:project` is not stopped by the protection",
        (
            f"{DOWN}::test_5_another_project_is_stopped_by_the_protection",
            f"{DOWN}::test_5_every_resource_that_can_name_its_project_does",
        ),
    ),
    Finding(
        6,
        "`up` after `destroy`, or GitHub off and on, fails for 7, 30 and up to 37 days",
        (
            f"{DOWN}::test_6_switching_github_off_and_on_keeps_the_pool",
            f"{DOWN}::test_6_an_up_after_a_destroy_meets_exactly_the_names_that_google_blocks",
            f"{DOWN}::test_6_the_page_names_each_blocked_name_and_how_long",
            f"{ENGINE}/test_plans.py::test_both_engines_do_the_same_from_the_first_preview_to_an_up_after_a_destroy",
        ),
    ),
    Finding(
        7,
        "new APIs and new counters: nothing is retried",
        (
            f"{DOWN}::test_7_the_project_api_comes_before_every_other_api",
            f"{DOWN}::test_7_no_alert_waits_for_a_counter_to_be_known",
            f"{DOWN}::test_7_each_run_of_a_first_up_gets_beyond_the_api_that_refused_the_last_one",
            f"{ENGINE}/test_failures.py::test_a_first_up_that_fails_once_is_finished_by_the_next_one",
        ),
    ),
    Finding(
        8,
        "old first: gaps that nobody asked for",
        (
            f"{DOWN}::test_8_no_deploy_takes_the_running_archive_or_a_grant_away_first",
            f"{TABLE}::test_no_change_takes_a_grant_away_for_a_moment",
            f"{TABLE}::test_every_replacement_is_new_first_but_for_what_clashes",
            f"{UPGRADES}::test_an_upgrade_from_a_release_replaces_no_state_and_leaves_no_gap",
        ),
    ),
    Finding(
        9, "tear-down works on the records before it deletes them", (f"{DOWN}::test_9_a_tear_down_does_not_work_on_the_records_first",)
    ),
    Finding(10, "`archive: false` cannot be deployed", (f"{DOWN}::test_10_archive_off_stops_archiving_and_keeps_the_bucket",)),
    Finding(
        11,
        "`name`: not everything is replaced",
        (f"{DOWN}::test_11_another_name_renames_the_counters_and_leaves_the_old_ones",),
    ),
    Finding(
        12,
        "smaller: names that buckets refuse, etags, secrets gone at once, the table of what replaces",
        (
            f"{DOWN}::test_12_a_name_that_buckets_refuse_is_refused_before",
            f"{DOWN}::test_12_a_key_that_holds_a_secret_says_what_its_removal_does",
            f"{DOWN}::test_12_the_page_says_how_to_lift_a_protection_whose_etag_has_moved_on",
            f"{DOWN}::test_12_a_move_without_protection_stops_at_an_archive_that_holds_something",
            "infra/test_changes.py::test_12_what_replaces_is_as_the_providers_own_schemas_say",
            "infra/test_changes.py::test_12_a_counter_is_renamed_in_place",
        ),
    ),
)
