"""Everything about the infrastructure that is generated: `python -m tests.infra.regenerate` writes it, the tests compare.

Pulumi.yaml and the tables in docs/ come from `rtms_infra.keys.KEYS`, the components' docstrings, the stack's outputs and the
prices; the inventories are what the program registers for each example in infra/stacks.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from rtms_infra.config import parse
from rtms_infra.costs import PRICES, Load, estimate
from rtms_infra.identity import RECORD_PERMISSIONS
from rtms_infra.keys import KEYS, REQUIRED, Key
from rtms_infra.regions import PAIRED, REGIONS
from rtms_infra.stack import OUTPUTS
from tests.infra.change_table import Change, cells, changes
from tests.infra.deployment import EXAMPLES, ROOT, SECRET_NAMES, Deployment, Runner, configured, example, numbers_of
from tests.infra.findings import FINDINGS
from tests.infra.planted import MISTAKES
from tests.infra.purposes import costs, purposes

COMMAND = "python -m tests.infra.regenerate"
INVENTORY = ROOT / "tests" / "infra" / "inventory"
DOCS = ROOT / "docs"
NUMBERS = ROOT / "simulator" / "rtms_simulator" / "kit" / "deployed.json"


def project_file() -> str:
    """Pulumi.yaml.

    A key without a default would make Pulumi's command line stop with its own, barer list; so each has one, and the program
    reports what is missing. A secret must not be typed there: an untouched default would be refused for not being encrypted.
    """
    lines = [
        f"# Generated from infra/rtms_infra/keys.py: {COMMAND}",
        "name: rtmskit",
        "description: Zoom RTMS to Recall.ai on Google Cloud",
        "main: infra",
        "runtime:",
        "  name: python",
        "  options:",
        "    toolchain: pip",
        "    virtualenv: infra/.venv",
        "config:",
    ]
    for key in KEYS:
        lines.append(f"  {key.name}:")
        if key.secret:
            lines.append("    secret: true")
        else:
            lines.append(f"    type: {key.kind}")
        if key.kind == "array":
            lines += ["    items:", "      type: string"]
        default = "" if key.default is REQUIRED else key.default
        lines.append(f"    default: {json.dumps(list(default) if key.kind == 'array' else default)}")
        required = "Required. " if key.default is REQUIRED else ""
        lines.append("    description: >-")
        text = f"{required}{key.meaning} Allowed: {key.allowed}."
        lines += textwrap.wrap(text, 120, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def inventory(deployment: Deployment) -> str:
    """What is registered, readable and stable: the source's hash and the versions of secrets are left out."""
    entries: dict[str, Any] = {}
    for resource in sorted(deployment.custom, key=lambda r: r.name):
        parent = deployment.by_urn[resource.parent].type.rsplit(":", 1)[-1]
        entry: dict[str, Any] = {"type": resource.type, "in": parent}
        if resource.protect:
            entry["protect"] = True
        if after := sorted(deployment.by_urn[urn].name for urn in resource.dependencies if deployment.by_urn[urn].custom):
            entry["after"] = after
        entry["inputs"] = _stable(resource.inputs)
        entries[resource.name] = entry
    counts: dict[str, int] = {}
    for resource in deployment.custom:
        counts[resource.type] = counts.get(resource.type, 0) + 1
    document = {
        "counts": {"total": len(deployment.custom), **dict(sorted(counts.items()))},
        "outputs": _stable(deployment.outputs),
        "resources": entries,
    }
    return f"# Generated: {COMMAND}\n" + yaml.safe_dump(document, sort_keys=True, width=140, allow_unicode=True)


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        if "$secret" in value:
            return "<secret>"
        if "$asset" in value:
            return "<source archive>"
        return {key: "<pinned>" if key == "version" else _stable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stable(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{64}", "<sha256>", value)
    return value


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + " --- |" * lines[0].count(" | ") + " --- |")
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])


def _default(key: Key) -> str:
    if key.default is REQUIRED:
        return "**required**"
    if key.kind == "boolean":
        return "`true`" if key.default else "`false`"
    return f"`{key.default}`" if key.default not in ("", ()) else ""


def configuration_table() -> str:
    rows = [(f"`{key.name}`", key.kind + (", secret" if key.secret else ""), _default(key), key.allowed, key.meaning) for key in KEYS]
    return _table(("key", "type", "default", "allowed", "meaning"), rows)


def region_table() -> str:
    beside = {google: f"`{recall}`" for recall, google in PAIRED.items()}
    rows = [
        (f"`{name}`", beside.get(name, ""), region.jurisdiction, f"`{region.second}`" if region.second else "state one", str(region.tier))
        for name, region in REGIONS.items()
    ]
    return _table(("region", "next to Recall's", "jurisdiction", "second region", "price tier"), rows)


def output_table() -> str:
    return _table(("output", "meaning"), [(f"`{name}`", meaning) for name, meaning in OUTPUTS.items()])


def resource_table() -> str:
    rows = [(component.rsplit(":", 1)[-1], f"`{name}`", purpose[0].upper() + purpose[1:]) for component, name, purpose in purposes()]
    return _table(("component", "resource", "what for"), rows)


def permission_table(deployment: Deployment) -> str:
    """Every grant of the deployment: who, what, on what."""
    rows = []
    for resource in deployment.custom:
        inputs = resource.inputs
        if "member" not in inputs:
            continue
        role = str(inputs["role"])
        if "/roles/" in role:
            which = "webhook" if role.endswith("webhook_records") else "worker"
            role = "own role: " + ", ".join(f"`{permission}`" for permission in RECORD_PERMISSIONS[which])
        else:
            role = f"`{role}`"
        rows.append((_who(str(inputs["member"])), role, _what(resource.kind, inputs), resource.name))
    return _table(("who", "may", "on", "grant"), [(who, role, what, f"`{name}`") for who, role, what, name in sorted(rows)])


def _who(member: str) -> str:
    account = re.fullmatch(r"serviceAccount:rtmskit-prod-([a-z]+)@acme-rtms-prod\..*", member)
    if account:
        return account[1]
    return "GitHub Actions" if member.startswith("principalSet://") else f"`{member}`"


def _what(kind: str, inputs: Any) -> str:
    if condition := inputs.get("condition"):
        return f"{condition['description']} (by condition)"
    for name, noun in (("secretId", "secret"), ("bucket", "bucket"), ("repository", "image repository"), ("serviceAccountId", "account")):
        if name in inputs:
            return f"{noun} `{inputs[name].rsplit('/', 1)[-1].split('@')[0]}`"
    if "name" in inputs:
        return f"{'queue' if kind == 'QueueIamMember' else 'service'} `{inputs['name']}`"
    return "the project"


def cost_table() -> str:
    """A million meetings a month: the worst case, and the usual one."""
    minimal, production = (parse(config, SECRET_NAMES, "prod") for config in (configured(), example("production")))
    columns = [
        ("minimal, nothing overlaps", estimate(minimal, Load(1_000_000))),
        ("minimal, 5 at once", estimate(minimal, Load(1_000_000, overlap=5))),
        ("production example, 5 at once", estimate(production, Load(1_000_000, overlap=5))),
        ("minimal, 1,000 meetings, free tier", estimate(minimal, Load(1_000, overlap=1), free_tier=True)),
    ]
    names = list(dict.fromkeys(line.name for _, lines in columns for line in lines))
    bills = [{line.name: line.dollars for line in lines} for _, lines in columns]
    rows = [(name, *(f"{bill[name]:,.2f}" if name in bill else "" for bill in bills)) for name in names]
    rows.append(("**sum**", *(f"**{sum(bill.values()):,.2f}**" for bill in bills)))
    return _table(("$ a month", *(title for title, _ in columns)), rows)


def price_table() -> str:
    rows = [
        (name, f"{price.dollars:.10f}".rstrip("0").rstrip("."), price.unit, f"{price.free:,.0f}" if price.free else "", price.source)
        for name, price in PRICES.items()
    ]
    return _table(("price", "$", "per", "free a month", "how sure"), rows)


def mistake_table() -> str:
    """Every planted mistake, and the rule that is there for it."""
    rows = [(mistake.kind, mistake.what, f"`{mistake.file}`", mistake.rule.replace("_", " ")) for mistake in MISTAKES]
    return _table(("kind", "mistake", "planted in", "caught by the rule"), rows)


def finding_table() -> str:
    """Every finding of the run with the real provider's code, and the tests that hold it."""
    rows = [(str(one.number), one.what, ", ".join(f"`{test.rpartition('::')[2]}`" for test in one.tests)) for one in FINDINGS]
    return _table(("", "finding", "tests"), rows)


CHANGES = DOCS / "changes.md"


def changes_page(rows: Mapping[str, Change]) -> str:
    """docs/changes.md, with what a change of each key does on the `production` example."""
    table = _table(("key", "updated or created", "replaced", "deleted", "note"), [cells(row) for row in rows.values()])
    return with_blocks(CHANGES.read_text(), {"changes": table})


def component_costs() -> str:
    return _table(("component", "costs"), [(component.rsplit(":", 1)[-1], text) for component, text in costs().items()])


def blocks(runner: Runner) -> dict[str, dict[str, str]]:
    """Page -> name of the block -> its text."""
    return {
        "configuration-infra.md": {"keys": configuration_table(), "regions": region_table(), "outputs": output_table()},
        "permissions.md": {"grants": permission_table(runner.run(example("production"))), "resources": resource_table()},
        "infra-tests.md": {"mistakes": mistake_table(), "findings": finding_table()},
        "costs.md": {"bill": cost_table(), "prices": price_table(), "components": component_costs()},
    }


def with_blocks(text: str, named: dict[str, str]) -> str:
    """The page with each `<!-- generated NAME -->` ... `<!-- end -->` filled. Raises ValueError if a block has no place."""
    for name, block in named.items():
        pattern = re.compile(rf"(<!-- generated {name}[^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"there is no place for the block {name!r}")
        text = pattern.sub(lambda match, block=block: f"{match[1]}{block}\n{match[2]}", text)
    return text


def numbers_file(runner: Runner) -> str:
    """The deployed numbers of the least configuration, for the fakes (`rtms_simulator.kit.deployed`). Names and environment stay out."""
    numbers = asdict(numbers_of(runner.run(configured())))
    for queue in numbers["queues"].values():
        del queue["path"]
    for function in numbers["functions"].values():
        del function["environment"]
    return json.dumps(numbers, indent=2) + "\n"


def generated(runner: Runner) -> dict[Path, str]:
    """Path -> what must be in it."""
    files = {ROOT / "Pulumi.yaml": project_file(), NUMBERS: numbers_file(runner)}
    for name in EXAMPLES:
        deployment = runner.run(example(name))
        if deployment.error:
            raise RuntimeError(f"{name}: {deployment.error}")
        files[INVENTORY / f"{name}.yaml"] = inventory(deployment)
    for page, named in blocks(runner).items():
        files[DOCS / page] = with_blocks((DOCS / page).read_text(), named)
    return files


def main() -> None:
    """Write what has changed. With the argument `changes` the page of changes as well: a plan for each key takes a minute or two."""
    runner = Runner()
    try:
        files = generated(runner)
        if "changes" in sys.argv[1:]:
            files[CHANGES] = changes_page(changes(runner, "production"))
        for path, text in files.items():
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                print(f"wrote {path.relative_to(ROOT)}")
    finally:
        runner.close()


if __name__ == "__main__":
    main()
