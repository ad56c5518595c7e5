"""An empty store of either kind for a chaos run: where the processes find it, and how it is read in the end."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

from rtms_relay.ports import Store
from tests import firestore_emulator

Kind = Literal["sqlite", "firestore"]


@contextlib.contextmanager
def empty_store(kind: Kind, directory: Path) -> Generator[tuple[str, Callable[[], Store], str | None]]:
    """STATE_URL, a maker of a store on it for this process, and the emulator's `host:port` if there is one."""
    if kind == "sqlite":
        path = directory / "state.sqlite"

        def open_sqlite() -> Store:
            from rtms_relay.adapters.sqlite import SqliteStore

            return SqliteStore(str(path))

        yield f"sqlite://{path.resolve()}", open_sqlite, None
        return
    project = f"rtmskit-chaos-{uuid.uuid4().hex[:8]}"
    with firestore_emulator.emulator() as address:

        def open_firestore() -> Store:
            from rtms_relay.adapters.firestore import FirestoreStore

            os.environ["FIRESTORE_EMULATOR_HOST"] = address
            return FirestoreStore(project, "(default)", timeout_s=60.0)  # thousands of records, on a machine that is busy

        before = os.environ.get("FIRESTORE_EMULATOR_HOST")
        try:
            yield f"firestore://{project}/(default)", open_firestore, address
        finally:
            os.environ.pop("FIRESTORE_EMULATOR_HOST", None)
            if before is not None:
                os.environ["FIRESTORE_EMULATOR_HOST"] = before
