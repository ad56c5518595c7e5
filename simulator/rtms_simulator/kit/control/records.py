"""The requests to Recall with their answers, and the tasks of Cloud Tasks."""

from __future__ import annotations

import dataclasses

from rtms_simulator.control.answers import (
    MdcList,
    MdcRow,
    RequestDetail,
    RequestList,
    RequestQuery,
    RequestRow,
    TaskAttemptRow,
    TaskDetail,
    TaskList,
    TaskQuery,
    TaskRow,
)
from rtms_simulator.control.operations import NOT_FOUND, Call, ControlOperation, missing
from rtms_simulator.kit.control.fakes import Fakes
from rtms_simulator.kit.control.links import Links
from rtms_simulator.recall.http.exchange import RequestRecord


def request_row(record: RequestRecord, links: Links) -> RequestRow:
    """A request that Recall got. What it is about stands in its path, its body or its answer."""
    link = links.in_text(record.path, record.answer, record.body)
    return RequestRow(
        id=record.id,
        at=record.at,
        method=record.method,
        path=record.path,
        operation=record.operation,
        status=record.status,
        fault=record.fault,
        authorized=record.authorized,
        replayed=record.replayed,
        idempotency_key=record.idempotency_key,
        meeting=link.meeting,
        stream=link.stream,
        mdc=link.mdc,
        recording=link.recording,
    )


def request_rows(fakes: Fakes) -> list[RequestRow]:
    links = fakes.links()
    return [request_row(record, links) for record in fakes.recall.api.history]


def _asked_for(row: RequestRow, query: RequestQuery) -> bool:
    refused = row.status is None or row.status >= 300
    return (
        (query.operation is None or query.operation in (row.operation, (row.operation or "").removeprefix("meeting_direct_connect_")))
        and (query.status is None or query.status == str(row.status) or (query.status == "refused" and refused))
        and (query.meeting is None or query.meeting in (str(row.meeting), row.stream))
        and (query.since is None or row.at >= query.since)
    )


def mdc_rows(fakes: Fakes) -> list[MdcRow]:
    links, space = fakes.links(), fakes.recall.workspace
    requests = [row for row in request_rows(fakes) if row.method == "POST" and row.mdc is not None]
    rows: list[MdcRow] = []
    for mdc in space.mdcs.values():
        link = links.of_mdc(mdc)
        recordings = [recording.id for recording in space.recordings.values() if recording.mdc_id == mdc.id]
        urls = (mdc.body.get("zoom_rtms") or {}).get("server_urls")
        rows.append(
            MdcRow(
                id=mdc.id,
                created_at=mdc.created_at,
                status=mdc.status.code,
                sub_code=mdc.status.sub_code,
                meeting=link.meeting,
                stream=link.stream,
                server_urls=urls,
                recordings=recordings,
                requests=[row.id for row in requests if row.mdc == mdc.id],
            )
        )
    return rows


def task_rows(fakes: Fakes) -> list[tuple[TaskRow, str]]:
    """Every task with its body, finished ones first."""
    links = fakes.links()
    rows: list[tuple[TaskRow, str]] = []
    for task in fakes.tasks.tasks():
        queue, _, identity = task.name.rpartition("/tasks/")
        parts = queue.split("/")
        link = links.in_text(task.body)
        row = TaskRow(
            id=identity,
            name=task.name,
            queue=parts[-1],
            location=parts[3],
            url=task.url,
            state=task.state,
            created_at=task.created_at,
            due_at=task.due_at,
            attempts=[TaskAttemptRow(**dataclasses.asdict(attempt)) for attempt in task.attempts],
            meeting=link.meeting,
            stream=link.stream,
        )
        rows.append((row, task.body))
    return rows


def record_operations(fakes: Fakes) -> list[ControlOperation]:
    async def requests(call: Call) -> RequestList:
        return RequestList(requests=[row for row in request_rows(fakes) if _asked_for(row, call.query)][-call.query.limit :])

    async def request(call: Call) -> RequestDetail:
        for record in fakes.recall.api.history:
            if str(record.id) == call.path["id"]:
                row = request_row(record, fakes.links())
                return RequestDetail(request=row, query=record.query, body=record.body, answer=record.answer)
        raise missing("request", repr(call.path["id"]), "GET /requests lists them")

    async def mdcs(call: Call) -> MdcList:
        return MdcList(meeting_direct_connects=mdc_rows(fakes))

    async def tasks(call: Call) -> TaskList:
        query = call.query
        rows = [
            row
            for row, _ in task_rows(fakes)
            if query.queue in (None, row.queue, f"{row.queue}@{row.location}")
            and query.state in (None, row.state)
            and query.meeting in (None, str(row.meeting), row.stream)
        ]
        return TaskList(tasks=rows[-query.limit :])

    async def task(call: Call) -> TaskDetail:
        for row, body in task_rows(fakes):
            if row.id == call.path["id"]:
                return TaskDetail(task=row, body=body)
        raise missing("task", repr(call.path["id"]), "GET /tasks lists them")

    return [
        ControlOperation(
            "GET", "/requests", "what was asked of Recall and what it answered, oldest first", requests, RequestList, query=RequestQuery
        ),
        ControlOperation("GET", "/requests/{id}", "one request with bodies", request, RequestDetail, refuses=NOT_FOUND),
        ControlOperation("GET", "/meeting-direct-connects", "every MDC with its stream and recordings", mdcs, MdcList),
        ControlOperation("GET", "/tasks", "every task with its attempts", tasks, TaskList, query=TaskQuery),
        ControlOperation("GET", "/tasks/{id}", "one task with its body", task, TaskDetail, refuses=NOT_FOUND),
    ]
