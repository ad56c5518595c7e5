"""The errors' codes and statuses: callers and alerts read them, so they never change. docs/http.md says the same."""

from __future__ import annotations

import inspect

import pytest

from rtms_relay import errors
from rtms_relay.errors import RelayError, RequestRefused, SettingsError, StoreUnavailable

TREE = [
    ("RelayError", "Exception", "internal", 500),
    ("SettingsError", "RelayError", "settings_invalid", 500),
    ("RequestRefused", "RelayError", "refused", 400),
    ("NotAuthentic", "RequestRefused", "not_authentic", 401),
    ("NotAllowed", "RequestRefused", "not_allowed", 403),
    ("BadRequest", "RequestRefused", "bad_request", 400),
    ("TooSlow", "RequestRefused", "too_slow", 408),
    ("TooLarge", "RequestRefused", "too_large", 413),
    ("UnsupportedContentType", "RequestRefused", "unsupported_content_type", 415),
    ("MethodNotAllowed", "RequestRefused", "method_not_allowed", 405),
    ("NotFound", "RequestRefused", "not_found", 404),
    ("StoreError", "RelayError", "store_error", 500),
    ("AlreadyExists", "StoreError", "already_exists", 500),
    ("Stale", "StoreError", "stale", 500),
    ("InvalidKey", "StoreError", "invalid_key", 500),
    ("DocumentTooLarge", "StoreError", "document_too_large", 500),
    ("StoreUnavailable", "StoreError", "store_unavailable", 500),
    ("QueueUnavailable", "RelayError", "queue_unavailable", 500),
    ("TaskUnusable", "RelayError", "task_unusable", 500),
    ("Stopping", "RelayError", "stopping", 500),
    ("RecallUnavailable", "RelayError", "recall_unavailable", 502),
    ("ArchiveError", "RelayError", "archive_error", 500),
    ("AlreadyArchived", "ArchiveError", "already_archived", 500),
    ("ChecksumMismatch", "ArchiveError", "checksum_mismatch", 500),
]


def test_every_error_has_its_code_status_and_place_and_says_what_it_was_given() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RelayError)]
    assert sorted((kind.__name__, kind.__base__.__name__, kind.code, kind.status) for kind in kinds if kind.__base__) == sorted(TREE)
    for kind in kinds:
        assert str(kind(["what is wrong"] if kind is SettingsError else "what is wrong")) == "what is wrong"


def test_all_problems_of_the_settings_are_in_one_line_and_each_by_itself() -> None:
    error = SettingsError(["A is missing", "B is no number"])
    assert (error.problems, str(error)) == (("A is missing", "B is no number"), "A is missing; B is no number")


@pytest.mark.parametrize("kind", [RequestRefused, errors.NotAuthentic])
def test_a_hint_is_for_the_log_alone(kind: type[RequestRefused]) -> None:
    told = kind("the signature is wrong", hint="is ZOOM_SECRET_TOKEN the app's?")
    assert (str(told), told.hint) == ("the signature is wrong", "is ZOOM_SECRET_TOKEN the app's?")
    assert kind("no hint").hint == ""
    assert str(kind(message="by its name")) == "by its name"


def test_a_store_that_is_away_is_waited_for_unless_it_says_that_this_does_not_help() -> None:
    assert StoreUnavailable("away").permanent is False
    assert StoreUnavailable("no right", permanent=True).permanent is True
    assert str(StoreUnavailable(message="by its name")) == "by its name"
