"""Every guess is labelled: fields, statuses, parameters and limits in the served OpenAPI, keys of every event, switches."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.simulator.recall.documented_schemas import ARTIFACTS
from tests.unit.simulator.recall.recorder.test_writer import T0, picture, record, sound
from tests.unit.simulator.recall.webhooks.test_realtime import EVERY_EVENT, STORY, URL
from tests.unit.simulator.recall.workbench import bench, until
from websockets.asyncio.server import serve

from rtms_simulator.recall import Progression, RateLimits, RecallSwitches
from rtms_simulator.recall.evidence import FIELDS, FILE_FIELDS, LABELS, OTHERS, REALTIME_FIELDS, STATUSES, WEBHOOK_FIELDS, field_label
from rtms_simulator.recall.http import exchange
from rtms_simulator.recall.rtms.actions import Caption, ParticipantNotice
from rtms_simulator.recall.switches import switch_table
from rtms_simulator.zoom import switches as zoom_switches

ROOT = Path(__file__).parents[4]


def flat(value: Any, path: str = "") -> Iterator[str]:
    """The path of every key; `metadata` and `extra_data` belong to somebody else."""
    if isinstance(value, list):
        for item in value:
            yield from flat(item, path)
    elif isinstance(value, dict) and path.rpartition(".")[2] not in ("metadata", "extra_data"):
        for key, inner in value.items():
            name = f"{path}.{key}" if path else key
            yield name
            yield from flat(inner, name)


def unlabelled(document: dict[str, Any]) -> list[str]:
    """Where the OpenAPI document says something without a label of ours."""

    def fields(schema: Any, where: str) -> Iterator[str]:
        if isinstance(schema, dict):
            for name, inner in schema.get("properties", {}).items() if schema.get("type") == "object" else ():
                if inner.get("x-evidence") not in LABELS:
                    yield f"{where}.{name}"
            for key, inner in schema.items():
                yield from fields(inner, f"{where}.{key}")
        elif isinstance(schema, list):
            for inner in schema:
                yield from fields(inner, where)

    missing = list(fields(document["components"]["schemas"], "schemas"))
    for path in document["paths"].values():
        for operation in path.values():
            where = operation["operationId"]
            labelled = [(f"{where} {parameter['name']}", parameter) for parameter in operation["parameters"]]
            labelled += [(f"{where} {status}", response) for status, response in operation["responses"].items()]
            labelled += [
                (f"{where} {status} {kind}", media)
                for status, response in operation["responses"].items()
                for kind, media in response.get("content", {}).items()
            ]
            labelled.append((f"{where} limit", operation["x-rate-limit"]))
            missing += [name for name, thing in labelled if thing.get("x-evidence") not in LABELS]
            body = operation.get("requestBody", {}).get("content", {})
            missing += fields({kind: media["schema"] for kind, media in body.items()}, f"{where} body")
    return missing


async def served(recall) -> dict[str, Any]:
    async with httpx.AsyncClient(transport=recall.transport(), base_url="http://127.0.0.1") as stranger:
        return (await stranger.get("/openapi.json")).json()


async def test_every_field_status_parameter_and_limit_that_is_served_has_its_label(tmp_path):
    async with bench(tmp_path) as b:
        document = await served(b.recall)
        assert unlabelled(document) == []
        mdc = document["components"]["schemas"]["MeetingDirectConnect"]["properties"]
        assert (mdc["id"]["x-evidence"], mdc["created_at"]["x-evidence"], mdc["zoom_rtms"]["x-evidence"]) == (
            *("documented", "inferred", "unknown"),
        )
        create = document["paths"]["/api/v1/meeting_direct_connect/"]["post"]
        assert create["x-rate-limit"] == {"requests": 60, "seconds": 60.0, "of": "workspace", "x-evidence": "documented"}
        zoom_rtms = create["requestBody"]["content"]["application/json"]["schema"]["properties"]["zoom_rtms"]
        assert zoom_rtms["anyOf"][0]["properties"]["signature"]["x-evidence"] == "documented"
        b.recall.switches = RecallSwitches(limits=RateLimits.off(), mdc_list="bare_array")
        assert unlabelled(await served(b.recall)) == []


async def test_the_test_finds_what_has_no_label(tmp_path):
    async with bench(tmp_path) as b:
        document = await served(b.recall)
        del document["components"]["schemas"]["Recording"]["properties"]["status"]["properties"]["code"]["x-evidence"]
        del document["paths"]["/api/v1/recording/"]["get"]["responses"]["429"]["x-evidence"]
        document["paths"]["/api/v1/recording/"]["get"]["x-rate-limit"]["x-evidence"] = "live"
        assert len(unlabelled(document)) == 3


def test_a_field_without_a_label_cannot_be_added():
    with pytest.raises(KeyError):
        field_label("MeetingDirectConnect", "bot_id")


def test_no_label_is_left_over():
    """Of the schemas that have a table of their own."""
    from rtms_simulator.recall.http.operations import operations
    from rtms_simulator.recall.http.schemas.openapi import document
    from rtms_simulator.recall.http.schemas.request_schemas import create_body

    described = document(operations(create_body()), region="us-east-1", version="1", limits=RateLimits())

    def paths(schema: Any, at: str = "") -> Iterator[str]:
        for option in [schema, *schema.get("anyOf", ()), schema.get("items", {})]:
            for name, inner in option.get("properties", {}).items() if isinstance(option, dict) else ():
                yield f"{at}{name}"
                yield from paths(inner, f"{at}{name}.")

    for name, table in FIELDS.items():
        schema = described["components"]["schemas"].get(name)
        if schema is not None and not name.startswith("Audio"):
            assert set(table) == set(paths(schema)), name


def test_every_status_the_fake_can_answer_has_a_label_for_itself_and_its_body():
    faults = {str(status) for status in exchange._GATEWAY_TEXTS} - {"500"}  # a defect of a server has no form
    assert faults <= set(STATUSES)
    assert {label for labels in STATUSES.values() for label in labels} <= set(LABELS)
    assert set(OTHERS.values()) <= set(LABELS)


def test_every_switch_has_a_label():
    assert {row["evidence"] for row in switch_table()} <= set(LABELS)


def test_the_labels_are_explained_on_one_page():
    page = (ROOT / "docs" / "evidence" / "README.md").read_text().split("## Labels")[1]
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("|")][2:]
    assert rows == ["documented", "schema", "sample", "seen", "inferred", "unknown"]
    assert {*LABELS, *(row["evidence"] for row in zoom_switches.switch_table())} <= set(rows)


@pytest.mark.parametrize("bot_key", ["absent", "null", "object", "meeting_direct_connect"])
async def test_every_key_of_every_event_has_a_label(tmp_path, bot_key):
    sockets: list[dict[str, Any]] = []

    async def take(connection):
        sockets.extend([json.loads(message) async for message in connection])

    async with serve(take, "127.0.0.1", 0) as server:
        switches = RecallSwitches(bot_key=bot_key, allow_local_urls="all", progression=Progression())
        async with bench(tmp_path, STORY, switches=switches) as b:
            urls = {"webhook": URL, "websocket": f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
            endpoints: list[dict[str, Any]] = [{"type": kind, "url": urls[kind], "events": EVERY_EVENT[kind]} for kind in urls]
            endpoints.append({"type": "rtmp", "url": "rtmp://x.test/y", "events": ["video_mixed_flv.data"]})
            await b.create(recording_config={"realtime_endpoints": endpoints, "audio_mixed_mp3": {}, "audio_separate_raw": {}})
            await b.pass_time(5)
            await until(lambda: len(sockets) == 3)
            status = [received.json for received in b.receiver.got if received.url != URL]
            realtime = [received.json for received in b.receiver.got if received.url == URL] + sockets
    assert any(event["event"] == "realtime_endpoint.failed" for event in status)
    for events, table in ((status, WEBHOOK_FIELDS), (realtime, REALTIME_FIELDS)):
        keys = {as_labelled(path) for event in events for path in flat(event)}
        assert sorted(keys - set(table)) == []
        assert keys


def as_labelled(path: str) -> str:
    parts = path.split(".")
    if len(parts) > 1 and parts[1] in ARTIFACTS:
        parts[1] = "ARTIFACT"
    return ".".join(parts)


def test_every_key_of_every_downloaded_file_has_a_label(tmp_path):
    items = [
        ParticipantNotice("join", 7, "Ada", T0),
        ParticipantNotice("active_speaker", 7, "Ada", T0),
        *(sound(index) for index in range(50)),
        picture(100),
        Caption(7, "Ada", "hello there", T0 + 100, T0 + 700, 9, 0),
        ParticipantNotice("leave", 7, "Ada", T0 + 900),
    ]
    _, artifacts, _ = record(tmp_path, items)
    keys = set()
    for kind in ("transcript", "participant_events", "participants", "speaker_timeline"):
        path = artifacts[kind].path
        keys |= set(flat(json.loads(path.read_bytes())))
    assert len(keys) > 15
    assert sorted(keys - set(FILE_FIELDS)) == []
