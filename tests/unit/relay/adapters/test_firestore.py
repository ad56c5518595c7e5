"""What is Firestore's own: time-outs, refusals, when the client is made. What every store does is in tests/contract."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.firestore import AsyncClient

from rtms_relay.adapters.firestore import FirestoreStore, _timestamp
from rtms_relay.errors import AlreadyExists, RelayError, Stale, StoreUnavailable
from rtms_relay.ports import Write

Call = Callable[[FirestoreStore], Coroutine[Any, Any, object]]

CALLS: dict[str, Call] = {
    "create": lambda store: store.create("handoffs", "k1", {"n": 1}),
    "get": lambda store: store.get("handoffs", "k1"),
    "replace": lambda store: store.replace("handoffs", "k1", {"n": 1}, "1@2026-11-22T09:00:00Z"),
    "commit": lambda store: store.commit([Write("handoffs", "k1", {"n": 1})]),
    "due": lambda store: store.due("handoffs", 1, 1),
    "newest": lambda store: store.newest("handoffs", 1),
    "with_prefix": lambda store: store.with_prefix("handoffs", "a", 1),
}


@pytest.fixture
async def silent_port() -> AsyncGenerator[int, None]:
    """Something that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("call", CALLS)
async def test_a_firestore_that_hangs_is_unavailable_in_time(monkeypatch: pytest.MonkeyPatch, silent_port: int, call: str) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{silent_port}")
    store = FirestoreStore("p", "d", timeout_s=0.4)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=rf"Firestore could not {call}: \w+ within 0\.4 s"):
        await CALLS[call](store)
    assert time.monotonic() - began < 2
    await store.close()


async def test_a_firestore_that_cannot_be_reached_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{closed.getsockname()[1]}")
        store = FirestoreStore("p", "d", timeout_s=1)
        with pytest.raises(StoreUnavailable, match="ServiceUnavailable"):
            await store.create("handoffs", "k1", {})
        await store.close()


class Refusing:
    """Stands in for a document that Firestore refuses to serve, the first `times` times."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def create(self, *_: object, **__: object) -> object:
        raise self.error

    async def update(self, *_: object, **__: object) -> object:
        raise self.error

    async def get(self, *_: object, **__: object) -> object:
        raise self.error


REFUSALS = [
    (exceptions.PermissionDenied("projects/p: secret detail"), "PermissionDenied.*grant.*datastore.entities.create on the database"),
    (exceptions.NotFound("The database secret does not exist"), "NotFound.*the database does not exist; check STATE_URL"),
    (exceptions.Unauthenticated("token secret"), "Unauthenticated.*no valid credentials"),
    (DefaultCredentialsError("file secret"), "DefaultCredentialsError.*set FIRESTORE_EMULATOR_HOST"),
    (exceptions.ResourceExhausted("quota of secret"), "ResourceExhausted within"),
    (exceptions.Aborted("contention on secret"), "Aborted within"),
    (exceptions.FailedPrecondition("index secret"), "FailedPrecondition.*an index of the database is missing"),
    (exceptions.InvalidArgument("field secret"), r"InvalidArgument within 2 s$"),
]


@pytest.mark.parametrize(("error", "message"), REFUSALS, ids=[type(error).__name__ for error, _ in REFUSALS])
async def test_a_refusal_says_what_to_do_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    store = FirestoreStore("p", "d")
    monkeypatch.setattr(store, "_reference", lambda *_: Refusing(error))
    for call in ("create", "get"):
        with pytest.raises(StoreUnavailable, match=message) as raised:
            await CALLS[call](store)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("error", [exceptions.Conflict("REST"), exceptions.AlreadyExists("gRPC")], ids=["REST", "gRPC"])
async def test_both_forms_of_conflict_mean_that_the_document_is_there(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    store = FirestoreStore("p", "d")
    monkeypatch.setattr(store, "_reference", lambda *_: Refusing(error))
    with pytest.raises(AlreadyExists):
        await store.create("handoffs", "k1", {})


COMMITS = [
    (exceptions.Aborted("contention on secret"), StoreUnavailable, "Firestore could not commit: Aborted within 2 s"),
    (exceptions.AlreadyExists("gRPC"), AlreadyExists, "one of handoffs/k1, streams/s1 is there already"),
    (exceptions.Conflict("REST"), AlreadyExists, "one of handoffs/k1, streams/s1 is there already"),
    (exceptions.FailedPrecondition("secret"), Stale, "one of handoffs/k1, streams/s1 has changed since it was read, or is gone"),
    (exceptions.NotFound("secret"), Stale, "one of handoffs/k1, streams/s1 has changed since it was read, or is gone"),
]


@pytest.mark.parametrize(("error", "kind", "text"), COMMITS, ids=[type(error).__name__ for error, _, _ in COMMITS])
async def test_a_commit_that_is_refused_says_of_which_documents(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[RelayError], text: str
) -> None:
    class Batch:
        def create(self, *_: object) -> None: ...

        async def commit(self, **_: object) -> None:
            raise error

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    store = FirestoreStore("p", "d")
    monkeypatch.setattr(store._connected(), "batch", Batch)
    with pytest.raises(kind) as raised:
        await store.commit([Write("handoffs", "k1", {}), Write("streams", "s1", {})])
    assert (type(raised.value), str(raised.value)) == (kind, text)
    await store.close()


async def test_contention_is_tried_again_soon_and_within_the_time_of_the_call() -> None:
    retry = FirestoreStore("p", "d", timeout_s=3)._retry_aborted()
    assert (retry._initial, retry._maximum, retry._timeout) == (0.02, 0.2, 3)


async def test_for_a_list_of_none_nothing_is_asked() -> None:
    store = FirestoreStore("p", "d")
    for limit in (0, -1):
        assert await store._found("due", None, limit) == []  # ty: ignore[invalid-argument-type]


async def test_a_close_closes_the_channel_once() -> None:
    closed: list[str] = []

    class Client:
        @property
        def _firestore_api(self) -> Client:
            return self

        transport = _firestore_api

        async def close(self) -> None:
            closed.append("channel")

    store = FirestoreStore("p", "d")
    await store.close()
    assert closed == []
    store._client = Client()  # ty: ignore[invalid-assignment]
    await store.close()
    await store.close()
    assert (closed, store._client) == (["channel"], None)


def test_a_moment_is_one_that_firestore_can_hold() -> None:
    moments = [_timestamp(ms) for ms in (-5, 0, 1, 253_402_300_799_000, 253_402_300_799_001)]
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert moments == [first, first, datetime(1970, 1, 1, 0, 0, 0, 1000, UTC), last, last]


@pytest.mark.emulator
async def test_a_commit_counts_the_writes_of_each_document(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str, new_firestore_project: Callable[[], str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    project = new_firestore_project()
    store, reader = FirestoreStore(project, "d"), AsyncClient(project=project, database="d")

    async def revision() -> int:
        return (await reader.collection("handoffs").document("k1").get()).get("revision")

    [version] = await store.commit([Write("handoffs", "k1", {"n": 1})])
    assert (version.partition("@")[0], await revision()) == ("1", 1)
    for number in (2, 3):
        [version] = await store.commit([Write("handoffs", "k1", {"n": 1}, version)])
        assert (version.partition("@")[0], await revision()) == (str(number), number)
    await reader._firestore_api.transport.close()
    await store.close()


@pytest.mark.emulator
async def test_a_list_without_a_bound_begins_before_1970(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str, new_firestore_project: Callable[[], str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    store = FirestoreStore(new_firestore_project(), "d")
    await store.create("handoffs", "k1", {"created_at": -(10**12)})
    await store.create("handoffs", "k2", {"n": 1})
    assert [found.key for found in await store.newest("handoffs", 10)] == ["k1"]
    await store.close()


@pytest.mark.emulator
async def test_contention_is_tried_again_and_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str, new_firestore_project: Callable[[], str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    store = FirestoreStore(new_firestore_project(), "d", timeout_s=10)
    api = store._connected()._firestore_api
    commits: list[object] = []
    failures: list[Exception] = [exceptions.Aborted("contention"), exceptions.Aborted("contention")]
    commit = api.transport._wrapped_methods[api.transport.commit]

    async def flaky(*args: Any, **kwargs: Any) -> Any:
        async def once() -> Any:
            commits.append(args)
            if failures:
                raise failures.pop()
            return await commit(*args, **{**kwargs, "retry": None})

        return await kwargs["retry"](once)()

    monkeypatch.setitem(api.transport._wrapped_methods, api.transport.commit, flaky)
    await store.create("handoffs", "k1", {})
    assert len(commits) == 3
    failures.append(exceptions.ServiceUnavailable("the write may have happened"))
    with pytest.raises(StoreUnavailable):
        await store.create("handoffs", "k2", {})
    assert len(commits) == 4
    await store.close()


@pytest.mark.emulator
async def test_a_document_has_the_fields_that_the_deployment_indexes_and_expires(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str, new_firestore_project: Callable[[], str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    project = new_firestore_project()
    store = FirestoreStore(project, "named")
    fields = {"due_at": 5, "created_at": 7, "expires_at": 1_700_000_000_500, "state": "accepted", "stream": "s1", "mdc": "m1"}
    version = await store.create("handoffs", "k1", fields)
    reader = AsyncClient(project=project, database="named")
    snapshot = await reader.collection("handoffs").document("k1").get()
    assert snapshot.to_dict() == {
        "body": json.dumps(fields, separators=(",", ":")),
        "due_at": 5,
        "created_at": 7,
        # What narrows a list, each in a composite index of infra/: null where the record has no text of that name.
        "state": "accepted",
        "recording": None,
        "stream": "s1",
        "meeting": None,
        "mdc": "m1",
        "expires_at": datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC),
        "revision": 1,
    }
    await store.replace("handoffs", "k1", {"expires_at": 2**62}, version)
    snapshot = await reader.collection("handoffs").document("k1").get()
    assert (snapshot.get("due_at"), snapshot.get("created_at"), snapshot.get("revision")) == (None, None, 2)
    assert snapshot.get("expires_at") == datetime(9999, 12, 31, 23, 59, 59, 0, UTC)
    await reader._firestore_api.transport.close()
    await store.close()


@pytest.mark.emulator
def test_it_may_be_made_without_a_loop_and_used_in_one_after_another(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str, new_firestore_project: Callable[[], str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    store = FirestoreStore(new_firestore_project(), "d")

    async def once(key: str) -> None:
        await store.create("handoffs", key, {})
        await store.close()

    asyncio.run(once("k1"))
    asyncio.run(once("k2"))


@pytest.mark.emulator
async def test_a_version_of_before_is_stale_even_if_the_document_was_written_back(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str, new_firestore_project: Callable[[], str]
) -> None:
    """Firestore keeps the update time of a document that a write does not change; the revision sees to it that each write does."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    store = FirestoreStore(new_firestore_project(), "d")
    first = await store.create("handoffs", "k1", {"n": 1})
    second = await store.replace("handoffs", "k1", {"n": 2}, first)
    await store.replace("handoffs", "k1", {"n": 1}, second)
    for version in (first, second):
        with pytest.raises(Stale):
            await store.replace("handoffs", "k1", {"n": 1}, version)
    await store.close()
