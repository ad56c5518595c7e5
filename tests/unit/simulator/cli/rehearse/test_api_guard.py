"""Google's APIs ask the registered grants first: Cloud Tasks through the unmodified client, Firestore's requests one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from google.api_core.exceptions import GoogleAPICallError, NotFound, PermissionDenied, ServiceUnavailable
from google.cloud import tasks_v2
from google.cloud.firestore_v1.types import common, firestore, query, write
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport
from tests.unit.simulator.cli.rehearse.registrations import (
    ACTING,
    ENQUEUER,
    PROJECT,
    QUEUE,
    RECORDS,
    ROLE,
    email,
    registered,
)

from rtms_infra.rehearsal.registered import Entry, Field, Index, IndexField
from rtms_infra.rehearsal.rights import Rights
from rtms_simulator.cli.rehearse.api_guard import ApiGuard, Refusal
from rtms_simulator.cli.rehearse.firestore.indexes import Indexes
from rtms_simulator.cli.rehearse.judges import Decisions, FirestoreJudge, TasksJudge
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import CloudTasks

DATABASE = f"projects/{PROJECT}/databases/rtms"


@asynccontextmanager
async def cloud_tasks(*entries: Entry) -> AsyncGenerator[tuple[tasks_v2.CloudTasksAsyncClient, ApiGuard, CloudTasks, Decisions]]:
    clock = Clock()
    decisions = Decisions(Rights(registered(*entries), clock.now))
    async with CloudTasks(clock, queues=(QUEUE,)) as tasks:
        tasks.faults.add("tasks.queue.rtms-handoffs: stall 0s")
        guard = ApiGuard(tasks.endpoint, TasksJudge(email("webhook"), decisions))
        await guard.start()
        channel = grpc.aio.insecure_channel(guard.endpoint)
        try:
            yield tasks_v2.CloudTasksAsyncClient(transport=CloudTasksGrpcAsyncIOTransport(channel=channel)), guard, tasks, decisions
        finally:
            await channel.close()
            await guard.aclose()


def task(who: str = "events") -> tasks_v2.Task:
    token = tasks_v2.OidcToken(service_account_email=email(who), audience="https://worker.test")
    return tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="https://worker.test/events", body=b"x", oidc_token=token))


async def test_with_both_grants_the_task_is_made() -> None:
    async with cloud_tasks(ENQUEUER, ACTING) as (client, _, tasks, decisions):
        made = await client.create_task(parent=QUEUE, task=task())
        assert made.name.startswith(QUEUE)
        assert [one.body for one in tasks.tasks()] == ["x"]
        assert decisions.refused == {}


@pytest.mark.parametrize(
    ("entries", "lacks"), [((ACTING,), "cloudtasks.tasks.create"), ((ENQUEUER,), "iam.serviceAccounts.actAs")], ids=["enqueuer", "actAs"]
)
async def test_without_one_of_them_it_is_refused_and_none_is_made(entries: tuple[Entry, ...], lacks: str) -> None:
    async with cloud_tasks(*entries) as (client, _, tasks, decisions):
        with pytest.raises(PermissionDenied, match=lacks):
            await client.create_task(parent=QUEUE, task=task())
        assert tasks.tasks() == []
        assert any(lacks in what and email("webhook") in what for what in decisions.refused)


async def test_an_identity_that_it_may_not_act_as_is_refused() -> None:
    async with cloud_tasks(ENQUEUER, ACTING) as (client, *_):
        with pytest.raises(PermissionDenied):
            await client.create_task(parent=QUEUE, task=task("sweep"))


async def test_other_calls_are_refused_and_errors_of_the_api_pass_through() -> None:
    async with cloud_tasks(ENQUEUER, ACTING) as (client, _, tasks, _decisions):
        with pytest.raises(PermissionDenied):
            await client.purge_queue(name=QUEUE)
        tasks.faults.add("tasks.create.rtms-handoffs: refuse not-found")
        with pytest.raises(NotFound):
            await client.create_task(parent=QUEUE, task=task(), retry=None)


async def test_an_outage_fails_every_call_and_ends() -> None:
    async with cloud_tasks(ENQUEUER, ACTING) as (client, guard, *_):
        guard.outage = Refusal(grpc.StatusCode.UNAVAILABLE, "away")
        with pytest.raises(ServiceUnavailable, match="away"):
            await client.create_task(parent=QUEUE, task=task(), retry=None)
        guard.outage, guard.hanging = None, True
        with pytest.raises(GoogleAPICallError):
            await client.create_task(parent=QUEUE, task=task(), retry=None, timeout=0.2)
        guard.hanging = False
        assert await client.create_task(parent=QUEUE, task=task())


# Firestore

BARE = Field(database="rtms", collection="handoffs", field="body", index_config={})


def composite(*fields: str, collection: str = "handoffs") -> Index:
    """`"-created_at"`: descending."""
    parts = [IndexField(field_path=one.lstrip("-"), order="DESCENDING" if one.startswith("-") else "ASCENDING") for one in fields]
    return Index(database="rtms", collection=collection, fields=parts)


INDEXES = Indexes((BARE,), (composite("state", "-created_at"), composite("meeting", "-created_at"), composite("mdc", "created_at")))


def firestore_judge(*entries: Entry) -> tuple[FirestoreJudge, Decisions]:
    decisions = Decisions(Rights(registered(*entries), lambda: 0.0))
    return FirestoreJudge(email("worker"), decisions, INDEXES), decisions


def method(name: str) -> str:
    return f"/google.firestore.v1.Firestore/{name}"


def commit(*writes: write.Write, database: str = DATABASE) -> bytes:
    return firestore.CommitRequest.serialize(firestore.CommitRequest(database=database, writes=writes))


def written(*, exists: bool | None = None, delete: bool = False) -> write.Write:
    name = f"{DATABASE}/documents/handoffs/a"
    made = write.Write(delete=name) if delete else write.Write(update={"name": name})
    if exists is not None:
        made.current_document = common.Precondition(exists=exists)
    return made


def run_query(*fields: str, order: str = "", equal: tuple[str, ...] = ()) -> bytes:
    """A query for less than 1 in `fields` and for 1 in `equal`; `order` may begin with a minus."""
    operators = [*((field, "LESS_THAN") for field in fields), *((field, "EQUAL") for field in equal)]
    filters = [
        query.StructuredQuery.Filter(field_filter={"field": {"field_path": field}, "op": operator, "value": {"integer_value": 1}})
        for field, operator in operators
    ]
    where = {"composite_filter": {"op": "AND", "filters": filters}} if len(filters) > 1 else filters[0] if filters else None
    direction = "DESCENDING" if order.startswith("-") else "ASCENDING"
    orders = [{"field": {"field_path": path}, "direction": direction} for path in (order.lstrip("-"), "__name__")] if order else []
    structured = query.StructuredQuery(from_=[{"collection_id": "handoffs"}], where=where, order_by=orders)
    return firestore.RunQueryRequest.serialize(firestore.RunQueryRequest(parent=f"{DATABASE}/documents", structured_query=structured))


@pytest.mark.parametrize(
    ("name", "message", "lacks"),
    [
        ("Commit", commit(written(exists=False)), ""),
        ("Commit", commit(written()), ""),
        ("Commit", commit(written(delete=True)), "datastore.entities.delete"),
        ("Commit", commit(written(), database=f"projects/{PROJECT}/databases/another"), "datastore.entities.update"),
        ("BatchGetDocuments", firestore.BatchGetDocumentsRequest.serialize(firestore.BatchGetDocumentsRequest(database=DATABASE)), ""),
        ("RunQuery", run_query("due_at", order="due_at"), ""),
        ("RunQuery", run_query("body"), "no index"),
        ("RunQuery", run_query("due_at", order="created_at"), "no index"),
        ("RunQuery", run_query("due_at", "state"), "no index"),
        ("RunQuery", run_query("created_at", order="-created_at", equal=("state",)), ""),
        ("RunQuery", run_query(order="created_at", equal=("state",)), "no index"),  # there is one for the other direction
        ("RunQuery", run_query(order="-created_at", equal=("state", "meeting")), ""),  # two indexes, merged
        ("RunQuery", run_query(order="-created_at", equal=("state", "mdc")), "no index"),  # theirs run in two directions
        ("RunQuery", run_query(order="-created_at", equal=("state", "stream")), "no index"),
        ("RunQuery", run_query(order="-due_at", equal=("state",)), "no index"),
        ("RunQuery", run_query(equal=("state", "stream")), ""),  # single-field indexes, merged
        ("RunQuery", run_query(equal=("state", "body")), "no index"),
        ("Listen", b"", "not rehearsed"),
    ],
)
def test_each_firestore_call_needs_its_permission_and_its_index(name: str, message: bytes, lacks: str) -> None:
    judge, decisions = firestore_judge(ROLE, RECORDS)
    refusal = judge(method(name), message)
    assert (refusal is None) == (lacks == "")
    assert not lacks or any(lacks in what for what in decisions.refused)


def test_without_the_grant_nothing_is_read() -> None:
    judge, _ = firestore_judge(ROLE)
    refusal = judge(method("RunQuery"), run_query("due_at"))
    assert refusal is not None
    assert refusal.status is grpc.StatusCode.PERMISSION_DENIED
