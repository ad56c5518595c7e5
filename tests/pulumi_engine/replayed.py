"""A Pulumi program that registers what a release registered: the lines of registered.jsonl beside it. It needs nothing but the SDK.

Values are those that Google computed then; what each input was made from is kept, because the engine replaces dependents by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi


def value(held: Any, archive: str) -> Any:
    """An input as the SDK takes it. `archive`: the text that stands for the archive of the code."""
    if isinstance(held, dict):
        if "$secret" in held:
            return pulumi.Output.secret(value(held["$secret"], archive))
        return pulumi.StringAsset(archive) if "$asset" in held else {name: value(item, archive) for name, item in held.items()}
    return [value(item, archive) for item in held] if isinstance(held, list) else held


def made_from(held: Any, resources: list[pulumi.Resource]) -> Any:
    """The input, as one that is made from these resources."""

    def itself(every: list[Any]) -> Any:
        return every[0]

    return pulumi.Output.all(held, *(resource.urn for resource in resources)).apply(itself) if resources else held


def options(row: Mapping[str, Any], made: Mapping[str, pulumi.Resource], provider: str) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        parent=made.get(row["parent"]),
        depends_on=[made[urn] for urn in row["dependencies"] if isinstance(made.get(urn), pulumi.CustomResource)],
        protect=row["protect"],
        delete_before_replace=row.get("old_first"),
        retain_on_delete=row.get("retain"),
        deleted_with=made.get(row.get("deleted_with", "")),
        version=provider if row["custom"] else None,
    )


def register(row: Mapping[str, Any], made: dict[str, pulumi.Resource], provider: str) -> None:
    opts = options(row, made, provider)
    if not row["custom"]:
        made[row["urn"]] = pulumi.ComponentResource(row["type"], row["name"], {}, opts)
        return
    by = row.get("depends_by", {})
    inputs = {
        name: made_from(value(held, row["archive"]), [made[urn] for urn in by.get(name, []) if urn in made])
        for name, held in row["inputs"].items()
    }
    made[row["urn"]] = pulumi.CustomResource(row["type"], row["name"], inputs, opts)


def main() -> None:
    head, *rows = [json.loads(line) for line in Path(__file__).with_name("registered.jsonl").read_text().splitlines()]
    made: dict[str, pulumi.Resource] = {}
    for row in rows:
        if row["type"] != "pulumi:pulumi:Stack":
            register(row, made, head["provider"])


if __name__ == "__main__":
    main()
