"""What Google's APIs ask the registered grants before they do anything: Cloud Tasks and Firestore. Pure but for the list of refusals.

Sources: Cloud Tasks docs, "Create HTTP target tasks" (the caller needs `cloudtasks.tasks.create` on the queue and `iam.serviceAccounts.
actAs` on the task's account); Firestore docs, "Server client libraries and IAM" (the permission of each RPC).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
from google.cloud import tasks_v2
from google.cloud.firestore_v1.types import firestore, query, write

from rtms_infra.rehearsal.rights import Rights
from rtms_simulator.cli.rehearse.api_guard import Refusal
from rtms_simulator.cli.rehearse.firestore.indexes import Indexes, Needs


@dataclass
class Decisions:
    """Asks the grants on behalf of every API here, and remembers what was refused, each once."""

    rights: Rights
    refused: dict[str, int] = field(default_factory=dict)

    def allowed(self, account: str, permission: str, resource: str) -> bool:
        """`account`: an e-mail address."""
        if self.rights.allows(f"serviceAccount:{account}", permission, resource):
            return True
        self.note(f"{account} lacks {permission} on {resource}")
        return False

    def note(self, what: str) -> None:
        self.refused[what] = self.refused.get(what, 0) + 1


def _denied(permission: str, resource: str) -> Refusal:
    return Refusal(
        grpc.StatusCode.PERMISSION_DENIED,
        f'The principal (user or service account) lacks IAM permission "{permission}" for the resource "{resource}" '
        "(or the resource may not exist).",
    )


class TasksJudge:
    """Of the calls of one account to Cloud Tasks. The functions only create tasks: nothing else is granted here."""

    def __init__(self, account: str, decisions: Decisions) -> None:
        self._account, self._decisions = account, decisions

    def __call__(self, method: str, message: bytes) -> Refusal | None:
        if not method.endswith("/CreateTask"):
            self._decisions.note(f"{self._account} calls {method}, which no registered role allows")
            return Refusal(grpc.StatusCode.PERMISSION_DENIED, f"{method} is allowed by no registered role")
        request = tasks_v2.CreateTaskRequest.deserialize(message)
        permissions = [("cloudtasks.tasks.create", request.parent)]
        if email := request.task.http_request.oidc_token.service_account_email:
            project = email.partition("@")[2].partition(".")[0]
            permissions.append(("iam.serviceAccounts.actAs", f"projects/{project}/serviceAccounts/{email}"))
        for permission, resource in permissions:
            if not self._decisions.allowed(self._account, permission, resource):
                return _denied(permission, resource)
        return None


class FirestoreJudge:
    """Of the calls of one account to Firestore: the permission of each RPC, and whether a query has a registered index."""

    def __init__(self, account: str, decisions: Decisions, indexes: Indexes) -> None:
        self._account, self._decisions, self._indexes = account, decisions, indexes

    def __call__(self, method: str, message: bytes) -> Refusal | None:
        name = method.rpartition("/")[2]
        database, permissions, queried = _read(name, message)
        if not permissions:
            self._decisions.note(f"{self._account} calls {name}, which is not rehearsed")
            return Refusal(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not rehearsed")
        for permission in sorted(permissions):
            if not self._decisions.allowed(self._account, permission, database):
                return Refusal(grpc.StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.")
        return self._unindexed(queried) if queried is not None else None

    def _unindexed(self, queried: query.StructuredQuery) -> Refusal | None:
        needs = Needs.of(queried)
        if self._indexes.answers(needs):
            return None
        self._decisions.note(f"{needs} has no index")
        return Refusal(grpc.StatusCode.FAILED_PRECONDITION, f"The query requires an index: {needs} has none")


def _read(name: str, message: bytes) -> tuple[str, set[str], query.StructuredQuery | None]:
    """(database, permissions, query) of one RPC; no permission for an RPC that is not known here."""
    entities = "datastore.entities"
    if name == "BatchGetDocuments":
        return firestore.BatchGetDocumentsRequest.deserialize(message).database, {f"{entities}.get"}, None
    if name == "GetDocument":
        return _database(firestore.GetDocumentRequest.deserialize(message).name), {f"{entities}.get"}, None
    if name == "RunQuery":
        run = firestore.RunQueryRequest.deserialize(message)
        return _database(run.parent), {f"{entities}.get", f"{entities}.list"}, run.structured_query
    if name == "Commit":
        commit = firestore.CommitRequest.deserialize(message)
        return commit.database, {f"{entities}.{_verb(one)}" for one in commit.writes} or {f"{entities}.update"}, None
    return "", set(), None


def _verb(one: write.Write) -> str:
    if one.delete:
        return "delete"
    exists = one.current_document.exists if "exists" in one.current_document else None
    return "create" if exists is False else "update"


def _database(path: str) -> str:
    return path.partition("/documents")[0]
