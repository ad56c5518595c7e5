"""Which adapter serves which setting: the one place where they are chosen, each imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rtms_relay import budgets
from rtms_relay.adapters.system import AsyncioJobs, SystemClock, SystemRandomness
from rtms_relay.logs import JsonLog
from rtms_relay.ports import Archive, Queue, QueueName, Queues, Store
from rtms_relay.setting_values import local_path
from rtms_relay.settings import Settings

if TYPE_CHECKING:
    from rtms_relay.callers import Gate
    from rtms_relay.intake import Intake
    from rtms_relay.worker import Worker


def preload(settings: Settings) -> None:
    """Import the libraries of the chosen adapters, connecting nothing, so that no request has to wait for it.

    Adapters import theirs on first use; on a small or busy machine that takes longer than Zoom waits for its first ack.
    """
    places = (*settings.handoff_queues, settings.facts_queue, settings.retrieval_queue)
    names = sorted({"sqlite3" if local_path(place) else "google.cloud.tasks_v2" for place in places})
    if settings.role == "worker":
        names += ["google.cloud.firestore" if settings.state_url.kind == "firestore" else "sqlite3", "httpx"]
    if settings.archive_url is not None and settings.archive_url.kind == "gs":
        names.append("google.cloud.storage")
    for name in names:
        import_module(name)


def store(settings: Settings) -> Store:
    state = settings.state_url
    if state.kind == "firestore":
        from rtms_relay.adapters.firestore import FirestoreStore

        return FirestoreStore(state.project, state.database)
    from rtms_relay.adapters.sqlite import SqliteStore

    return SqliteStore(state.path)


def queues(settings: Settings) -> Queues:
    """Each with its own channel, so that one that hangs holds up no other."""
    home, *second = settings.handoff_queues
    names: dict[QueueName, str] = {"handoffs": home}
    if second:
        names["handoffs-second"] = second[0]
    names |= {"facts": settings.facts_queue, "retrievals": settings.retrieval_queue}
    return {name: _queue(settings, name, place) for name, place in names.items()}


def _queue(settings: Settings, name: QueueName, place: str) -> Queue:
    if path := local_path(place):
        from rtms_relay.adapters.local_queue import LocalQueue

        return LocalQueue(path, name, SystemClock())
    from rtms_relay.adapters.cloud_tasks import CloudTasksQueue, Target

    # A window may be as long as Cloud Tasks waits for an answer; the shortest, with its margin, is longer than the least deadline, 15 s.
    window_ms = min(int(settings.zoom_connect_window_s * 1000) + budgets.DISPATCH_MARGIN_MS, budgets.MAX_WINDOW_MS)
    deadline_ms = budgets.ARCHIVE_LEASE_MS if name == "retrievals" else window_ms
    target = Target(settings.worker_url.rstrip("/"), settings.tasks_invokers, deadline_ms / 1000)
    return CloudTasksQueue(place, target, endpoint=settings.tasks_endpoint)


def archive(settings: Settings) -> Archive | None:
    place = settings.archive_url
    if place is None:
        return None
    if place.kind == "gs":
        from rtms_relay.adapters.archive_gcs import GcsArchive

        return GcsArchive(place.bucket)
    from rtms_relay.adapters.archive_files import FileArchive

    return FileArchive(Path(place.path))


def gate(settings: Settings, environ: Mapping[str, str]) -> Gate:
    """Who calls the worker: as the platform says on Cloud Run; on loopback by the secret of the run, if there is one; else by tokens
    verified in full."""
    from rtms_relay.adapters import identity

    return identity.gate(environ=environ, worker_url=settings.worker_url, clock=SystemClock(), run_secret=settings.run_secret)


def intake(settings: Settings, log: JsonLog) -> Intake:
    from rtms_relay.intake import Intake

    return Intake(settings, queues(settings), SystemClock(), AsyncioJobs(), log)


def worker(settings: Settings, log: JsonLog, stopping: Callable[[], bool] = lambda: False) -> Worker:
    """`stopping`: whether the process was asked to stop."""
    from rtms_relay.adapters.recall_http import HttpRecall
    from rtms_relay.worker import Worker

    clock = SystemClock()
    api = HttpRecall(settings.recall_base_url, settings.recall_api_key, clock, timeout_s=settings.recall_timeout_s)
    return Worker(
        settings,
        store(settings),
        queues=queues(settings),
        clock=clock,
        jobs=AsyncioJobs(),
        randomness=SystemRandomness(),
        log=log,
        api=api,
        archive=archive(settings),
        stopping=stopping,
    )
