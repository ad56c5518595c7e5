"""The table of what the adapters need is held to the calls that they make: a new call without a line fails, and so does a spare line."""

from __future__ import annotations

import ast

import pytest

from rtms_relay.adapters.needs import NEEDS, hint
from tests.infra.deployment import ROOT

REMOTE = {
    "cloud_tasks": {"create_task", "get_task", "delete_task", "list_tasks", "get_queue", "run_task", "buffer_task"},
    "firestore": {
        "create", "update", "set", "delete", "get", "where", "commit", "list_documents", "collections", "stream", "run_transaction",
    },
    "archive_gcs": {
        "exists", "reload", "open", "patch", "upload_from_file", "upload_from_string", "list_blobs", "delete_blob", "delete", "rewrite",
        "generate_signed_url", "compose", "download_as_bytes", "get_blob",
    },
}  # fmt: skip
"""Methods of Google's clients that ask Google something. Each that an adapter calls must have its line in the table."""


def called(adapter: str) -> set[str]:
    """Names of the client's remote methods that the adapter calls."""
    tree = ast.parse((ROOT / "function" / "rtms_relay" / "adapters" / f"{adapter}.py").read_text())
    names = {node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    return names & REMOTE[adapter]


@pytest.mark.parametrize("adapter", sorted(REMOTE))
def test_the_table_names_exactly_what_the_adapter_calls(adapter: str) -> None:
    assert {need.call for need in NEEDS if need.adapter == adapter} == called(adapter)


def test_every_adapter_that_asks_google_is_in_the_table() -> None:
    adapters = (ROOT / "function" / "rtms_relay" / "adapters").glob("*.py")
    asking = {path.stem for path in adapters if "google.cloud" in path.read_text()}
    assert asking <= set(REMOTE)
    assert {need.adapter for need in NEEDS} == set(REMOTE)


def test_an_error_names_the_programs_permissions() -> None:
    assert "datastore.entities.list on the database" in hint("firestore")
    assert "iam.serviceAccounts.actAs on the identity" in hint("cloud_tasks")
    assert "datastore.user" not in hint("firestore")
