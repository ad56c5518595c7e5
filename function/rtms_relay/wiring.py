"""Which adapter serves which setting: the one place where they are chosen, each imported only when it is used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rtms_relay.adapters.system import SystemClock, SystemRandomness
from rtms_relay.logs import Log
from rtms_relay.ports import Archive, Queue, Store
from rtms_relay.relay import Intake, Worker
from rtms_relay.settings import Settings


def preload(settings: Settings) -> None:
    """Import the libraries of the chosen adapters, connecting nothing, so that no request has to wait for it.

    Adapters import theirs on first use; on a small or busy machine that takes longer than Zoom waits for its first ack.
    """
    names = ["google.cloud.tasks_v2", "google.cloud.firestore" if settings.state_url.kind == "firestore" else "sqlite3"]
    if settings.role == "worker":
        names.append("httpx")
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


def queue(settings: Settings) -> Queue:
    from rtms_relay.adapters.cloud_tasks import CloudTasksQueue

    return CloudTasksQueue(settings.tasks_queue, settings.worker_url, endpoint=settings.tasks_endpoint, invoker=settings.tasks_invoker)


def archive(settings: Settings) -> Archive | None:
    place = settings.archive_url
    if place is None:
        return None
    if place.kind == "gs":
        from rtms_relay.adapters.archive_gcs import GcsArchive

        return GcsArchive(place.bucket)
    from rtms_relay.adapters.archive_files import FileArchive

    return FileArchive(Path(place.path))


def intake(settings: Settings, log: Log) -> Intake:
    return Intake(settings, store(settings), queue(settings), SystemClock(), SystemRandomness(), log)


def worker(settings: Settings, log: Log) -> Worker:
    from rtms_relay.adapters.recall_http import HttpRecall

    clock = SystemClock()
    api = HttpRecall(settings.recall_base_url, settings.recall_api_key, clock, timeout_s=settings.recall_timeout_s)
    return Worker(settings, store(settings), queue(settings), clock, SystemRandomness(), log, api, archive(settings))
