"""Every exception this package raises on purpose.

::

    RelayError                      base: has a stable `code`, a one-line message, and an HTTP `status`
    |-- SettingsError               the environment is unusable: lists every problem at once
    |-- RequestRefused              the caller is at fault: 4xx, nothing was stored, nothing enqueued
    |   |-- NotAuthentic            401: signature missing, wrong, stale or ambiguous
    |   |-- NotAllowed              403: the caller is known, and may not call this path
    |   |-- BadRequest              400: not JSON, wrong type, missing field, refused challenge
    |   |-- TooSlow                 408: the body did not arrive in time
    |   |-- TooLarge                413: the body is over the limit
    |   |-- UnsupportedContentType  415
    |   |-- MethodNotAllowed        405
    |   `-- NotFound                404: no such path or record
    |-- StoreError                  the store could not do what was asked
    |   |-- AlreadyExists           create-if-absent lost: the document is there
    |   |-- Stale                   replace-if-version lost: somebody else wrote first, or it is gone
    |   |-- InvalidKey              a key outside [A-Za-z0-9_-]{1,128} (a bug, never an input)
    |   |-- DocumentTooLarge        the document is over 1,000,000 bytes as JSON
    |   `-- StoreUnavailable        the store did not answer, or refused for a reason of its own
    |-- QueueUnavailable            the task could not be enqueued
    |-- TaskUnusable                a task of an unknown version, or that cannot be read
    |-- Stopping                    the process was asked to stop: the task is to be delivered again
    |-- RecallUnavailable           502: Recall could not be reached, or answered what cannot be read
    `-- ArchiveError                the archive could not keep or delete bytes
        |-- AlreadyArchived         write-once: an object of that name is there
        `-- ChecksumMismatch        the bytes that arrived are not the bytes that were sent

Messages never carry a secret, a signature or a pre-signed link.
"""

from __future__ import annotations

from typing import ClassVar


class RelayError(Exception):
    """Base of all errors here. `code` is stable across releases; `status` is the HTTP answer it maps to."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500


class SettingsError(RelayError):
    """The environment is unusable. `problems` holds one line for each variable at fault."""

    code = "settings_invalid"

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


class RequestRefused(RelayError):
    """The caller is at fault. Nothing was stored and nothing was enqueued. `hint` is for the log: no caller learns our settings."""

    code = "refused"
    status = 400

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotAuthentic(RequestRefused):
    code = "not_authentic"
    status = 401


class NotAllowed(RequestRefused):
    code = "not_allowed"
    status = 403


class BadRequest(RequestRefused):
    code = "bad_request"


class TooSlow(RequestRefused):
    code = "too_slow"
    status = 408


class TooLarge(RequestRefused):
    code = "too_large"
    status = 413


class UnsupportedContentType(RequestRefused):
    code = "unsupported_content_type"
    status = 415


class MethodNotAllowed(RequestRefused):
    code = "method_not_allowed"
    status = 405


class NotFound(RequestRefused):
    code = "not_found"
    status = 404


class StoreError(RelayError):
    code = "store_error"


class AlreadyExists(StoreError):
    code = "already_exists"


class Stale(StoreError):
    code = "stale"


class InvalidKey(StoreError):
    code = "invalid_key"


class DocumentTooLarge(StoreError):
    code = "document_too_large"


class StoreUnavailable(StoreError):
    """`permanent`: waiting does not help, as with a missing right or database."""

    code = "store_unavailable"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class QueueUnavailable(RelayError):
    code = "queue_unavailable"


class TaskUnusable(RelayError):
    code = "task_unusable"


class Stopping(RelayError):
    code = "stopping"


class RecallUnavailable(RelayError):
    code = "recall_unavailable"
    status = 502


class ArchiveError(RelayError):
    code = "archive_error"


class AlreadyArchived(ArchiveError):
    code = "already_archived"


class ChecksumMismatch(ArchiveError):
    code = "checksum_mismatch"
