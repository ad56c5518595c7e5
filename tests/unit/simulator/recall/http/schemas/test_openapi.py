"""The OpenAPI document: all operations of the table, nothing dangling, following the switches."""

import json

import jsonschema_rs
import pytest
from tests.unit.simulator.recall.workbench import bench

from rtms_simulator.recall.http.operations import Router, operations
from rtms_simulator.recall.http.schemas.openapi import document
from rtms_simulator.recall.http.schemas.request_schemas import create_body
from rtms_simulator.recall.records.workspace import ARTIFACT_KINDS
from rtms_simulator.recall.switches import RateLimits

TABLE = operations(create_body())


def test_every_operation_is_described_once_and_every_reference_leads_somewhere():
    described = document(TABLE, region="us-east-1", version="1", limits=RateLimits())
    ids = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert sorted(ids) == sorted(operation.id for operation in TABLE)
    text = json.dumps(described)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.partition('"')[0] in described["components"]["schemas"]


def test_the_table_has_every_resource_of_the_reference():
    assert {operation.resource for operation in TABLE} == {"meeting_direct_connect", "recording", "realtime_endpoint", *ARTIFACT_KINDS}
    assert len(TABLE) == 39
    assert not [
        operation for operation in TABLE if operation.resource == "meeting_direct_connect" and operation.method in ("PATCH", "DELETE")
    ]


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.id)
def test_both_slash_forms_are_routed(operation):
    router = Router(TABLE)
    path = operation.path.replace("{id}", "a%20b")
    for form in (path, path.rstrip("/")):
        found = router.find(form)
        assert found is not None
        methods, identity = found
        assert methods[operation.method] is operation
        assert identity == ("a%20b" if "{id}" in operation.path else None)


def test_other_paths_are_not_routed():
    router = Router(TABLE)
    for path in ("/", "/bot/", "/recording/a/b/", "/meeting_direct_connect//", "/recording/a/create_transcript/x", ""):
        assert router.find(path) is None


async def test_what_is_served_fits_its_schema_also_under_other_switches(tmp_path):
    async with bench(tmp_path) as b:
        b.recall.switches = type(b.recall.switches)(mdc_list="bare_array", status_changes=True, signature_shape_check=False)
        made = await b.create()
        await b.settle()
        described = b.recall.api.openapi()
        schema = {"$ref": "#/components/schemas/MeetingDirectConnect", "components": described["components"]}
        jsonschema_rs.validate(schema, await b.mdc(made))
        listed = described["paths"]["/api/v1/meeting_direct_connect/"]["get"]
        assert listed["parameters"] == []
        assert listed["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("Array")


def test_links_lead_from_what_is_made_to_what_can_be_done_with_it():
    described = document(TABLE, region="us-east-1", version="1", limits=RateLimits())
    operations_by_id = {operation["operationId"]: operation for path in described["paths"].values() for operation in path.values()}

    def led(operation, status):
        return {name: link["parameters"]["id"] for name, link in operations_by_id[operation]["responses"][status]["links"].items()}

    assert led("meeting_direct_connect_create", "201") == {
        "meeting_direct_connect_retrieve": "$response.body#/id",
        "recording_retrieve": "$response.body#/recordings/0/id",
        "recording_destroy": "$response.body#/recordings/0/id",
    }
    assert led("recording_list", "200") == {"recording_retrieve": "$response.body#/results/0/id"}
    assert led("recording_destroy", "204")["recording_retrieve"] == "$request.path.id"
    assert led("recording_retrieve", "200")["video_mixed_retrieve"] == "$response.body#/media_shortcuts/video_mixed/id"
    assert led("recording_create_transcript_create", "200")["transcript_retrieve"] == "$response.body#/id"
    for operation in operations_by_id.values():
        for response in operation["responses"].values():
            for name, link in response.get("links", {}).items():
                assert (name, list(link["parameters"])) == (link["operationId"], ["id"])
                assert operations_by_id[name]["parameters"][0]["name"] == "id"


def test_a_bare_array_is_linked_by_its_first_element():
    described = document(operations(create_body(), mdc_cursor=False), region="us-east-1", version="1", limits=RateLimits())
    links = described["paths"]["/api/v1/meeting_direct_connect/"]["get"]["responses"]["200"]["links"]
    assert links["meeting_direct_connect_retrieve"]["parameters"] == {"id": "$response.body#/0/id"}
