"""Firestore's time-to-live policies, carried out on the emulator's records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.unit.simulator.cli.rehearse.registrations import PROJECT, registered, resource

from rtms_simulator.cli.rehearse.firestore.records import EmulatedRecords

NOW = 1_800_000_000.0
DATABASE = f"projects/{PROJECT}/databases/expiry-test"


def entries(**policy: Any):
    return registered(
        resource("database", "gcp:firestore/database:Database", name="expiry-test", project=PROJECT),
        resource("field", "gcp:firestore/field:Field", database="expiry-test", collection="handoffs", **policy),
    )


@pytest.fixture
async def emulator(firestore_emulator: str) -> str:
    await EmulatedRecords(entries(field="expires_at"), firestore_emulator).clear()
    return firestore_emulator


async def put(emulator: str, collection: str, name: str, value: dict[str, Any]) -> None:
    url = f"http://{emulator}/v1/{DATABASE}/documents:commit"
    document = {"name": f"{DATABASE}/documents/{collection}/{name}", "fields": {"expires_at": value}}
    async with httpx.AsyncClient(trust_env=False, timeout=60.0, headers={"Authorization": "Bearer owner"}) as client:
        (await client.post(url, json={"writes": [{"update": document}]})).raise_for_status()


def at(seconds: float) -> dict[str, str]:
    return {"timestampValue": (datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")}


async def test_what_has_expired_goes_and_nothing_else(emulator: str) -> None:
    for name, value in {"past": at(-1.0), "future": at(60.0), "never": {"nullValue": None}, "text": {"stringValue": "2000-01-01"}}.items():
        await put(emulator, "handoffs", name, value)
    await put(emulator, "streams", "past", at(-1.0))
    records = EmulatedRecords(entries(field="expires_at", ttlConfig={}), emulator)
    await records.look(NOW - 3600.0)
    assert await records.count("handoffs") == 4
    await records.look(NOW)
    assert (await records.count("handoffs"), records.removed) == (3, 1)
    assert await records.count("streams") == 1, "there is no policy for these"


async def test_without_a_policy_nothing_goes(emulator: str) -> None:
    await put(emulator, "handoffs", "past", at(-1.0))
    records = EmulatedRecords(entries(field="expires_at", indexConfig={}), emulator)
    for hour in range(3):
        await records.look(NOW + hour * 3600.0)
    assert await records.count("handoffs") == 1


async def test_it_looks_once_an_hour(emulator: str) -> None:
    await put(emulator, "handoffs", "past", at(-1.0))
    records = EmulatedRecords(entries(field="expires_at", ttlConfig={}), emulator)
    await records.look(NOW)
    await records.look(NOW + 3599.0)
    assert records.removed == 0
    await records.look(NOW + 3600.0)
    assert records.removed == 1


async def test_the_policies_are_those_of_the_last_up_and_the_records_of_a_deleted_database_go(emulator: str) -> None:
    records = EmulatedRecords(entries(field="expires_at"), emulator)
    await put(emulator, "handoffs", "old", at(-60))
    await records.look(NOW)
    await records.update(entries(field="expires_at", ttlConfig={}))
    await records.look(NOW + 3601)
    assert await records.count("handoffs") == 0
    await put(emulator, "handoffs", "young", at(7200))
    await records.update(registered())
    assert await EmulatedRecords(entries(field="expires_at"), emulator).count("handoffs") == 0
