"""Every list that the code has is in the docs, and nothing documented is missing in the code.

Lists with a page of their own are compared there: settings, commands, switches, scenarios, control plane, drills and states are generated
(test_generated.py); faults in test_faults_page.py, invariants in test_receiver_page.py, reasons in test_runbook.py, exit codes in
test_cli_docs.py, exported names in unit/simulator/packaging. Here is the rest, and what is named in sentences.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from tests.docs.tables import ALERTS, PLACE

from rtms_infra import observability
from rtms_infra.alerts import policies
from rtms_infra.keys import KEYS
from rtms_relay import errors
from rtms_relay.handoff import attempt, erasure, retrieval
from rtms_relay.handoff.facts import Facts
from rtms_relay.listing import PARAMETERS
from rtms_relay.logs import EVENTS
from rtms_relay.notices import fact_ids
from rtms_relay.routes.webhook import WebhookRoutes
from rtms_relay.routes.worker import WorkerRoutes
from rtms_relay.settings import VARIABLES
from rtms_simulator.cli import cli, pages
from rtms_simulator.cli.fakes.running import SERVE_FILE, UP_FILE
from rtms_simulator.cli.play.demo import KEPT
from rtms_simulator.cli.service import doctor, worker_checks
from rtms_simulator.cli.service.serve import serve
from rtms_simulator.cli.service.variables import ENV_FILE
from rtms_simulator.faults import FAMILIES
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.packaging.extras import EXTRAS
from rtms_simulator.recall.evidence import LABELS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(DOCS.rglob("*.md")))
}
PACKAGES = ("function", "simulator", "infra")


def page(name: str) -> str:
    return PAGES[f"docs/{name}.md"]


def first_cells(text: str) -> list[str]:
    """What stands in backticks in the first cell of each row of the tables."""
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]


def section(text: str, heading: str) -> str:
    return re.split(r"^#+ ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@cache
def sources() -> str:
    """All text of code, tests and build files."""
    files = [
        path for folder in (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".mjs", ".js", ".json")
    ]
    files += [ROOT / "Makefile", ROOT / "pyproject.toml", *(ROOT / ".ci").iterdir(), *(ROOT / ".github").rglob("*.yml")]
    return "\n".join(path.read_text(errors="replace") for path in files if path.is_file() and path != Path(__file__))


# Settings and keys


def test_every_setting_of_the_function_has_one_row() -> None:
    assert first_cells(page("configuration"))[: len(VARIABLES)] == [variable.name for variable in VARIABLES]


def test_every_key_of_the_deployment_has_one_row() -> None:
    keys = [name for name in first_cells(page("configuration-infra")) if name in {key.name for key in KEYS}]
    assert sorted(set(keys)) == sorted(key.name for key in KEYS)


ENVIRONMENT = re.compile(r"_?RTMSKIT_[A-Z_]+|NGROK_[A-Z]+|FIRESTORE_EMULATOR_HOST|XDG_CACHE_HOME")


def read_from_the_environment() -> set[str]:
    """Variables of the commands and of the tests that stand as a text in the code."""
    found: set[str] = set()
    for folder in (*PACKAGES, "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and ENVIRONMENT.fullmatch(node.value):
                    found.add(node.value)
    return found


def test_every_variable_of_the_commands_is_on_the_page_and_no_other() -> None:
    named = set(ENVIRONMENT.findall(page("files")))
    read = read_from_the_environment()
    assert len(read) >= 10
    elsewhere = {name for name in named - read if name in (ROOT / ".ci/run").read_text()}
    assert named - elsewhere == read


# Files


def test_every_file_that_a_command_writes_is_on_the_page() -> None:
    directory = next(option.default for option in serve.params if option.name == "directory")
    written = [UP_FILE, SERVE_FILE, ENV_FILE, Path(str(directory)) / "state.sqlite", Path(str(directory)) / "queue.sqlite"]
    named = first_cells(section(page("files"), "## Files"))
    assert [str(path) for path in written if str(path) not in named] == []
    assert f"{KEPT}/" in named
    for path in named:
        end = path.rstrip("/*-").rpartition("/")[2]
        assert end in sources(), f"docs/files.md names {path}, which no code writes"


def test_every_folder_and_file_at_the_top_is_in_the_readme_or_is_a_projects_own() -> None:
    shown = {name.rstrip("/") for name in re.findall(r"^\| \[([a-z]+/?)\]", PAGES["README.md"], re.MULTILINE)}
    assert shown == {"function", "simulator", "infra", "tests", "docs"}
    assert all((ROOT / name).is_dir() for name in shown)


@pytest.mark.parametrize("name", PAGES)
def test_every_path_that_a_page_names_is_there(name: str) -> None:
    of_a_user = {".github/workflows/deploy.yml"}  # docs/upgrade.md shows it whole
    named = re.findall(r"`((?:tests|function|simulator|infra|docs|requirements|\.ci|\.github)/[\w./-]+?)(?:::\w+)?`", PAGES[name])
    assert [path for path in named if path not in of_a_user and not (ROOT / path).exists()] == []


# Commands


def options() -> set[str]:
    """Every long option of every command."""

    def of(command: click.Command, context: click.Context) -> Iterator[str]:
        for parameter in command.get_params(context):
            yield from (name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--"))
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from of(inner, click.Context(inner, info_name=name, parent=context))

    return set(of(cli, click.Context(cli, info_name="rtmskit")))


OTHERS_OPTIONS = re.compile(r"\b(pulumi|gcloud|curl|pip|make|pytest|gh|keytool|ffmpeg|python -m|npm|cog|git)\b|^ *--")


def test_every_option_is_on_the_page_of_the_commands() -> None:
    text = page("cli")
    assert [name for name in sorted(options()) if not re.search(rf"{name}(?![\w-])", text)] == []


def test_every_option_in_a_sentence_or_command_is_there() -> None:
    known, problems = options(), []
    for name, text in PAGES.items():
        for line in text.replace("\\\n", " ").splitlines():
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", line):
                if option not in known and option not in sources() and not OTHERS_OPTIONS.search(line):
                    problems.append(f"{name}: {option}")
    assert problems == []


def test_every_make_target_has_its_row_and_no_other() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = first_cells(section(PAGES["CONTRIBUTING.md"], "## Every make target"))
    assert sorted(name.removeprefix("make ") for name in named) == sorted(targets)


def test_every_extra_is_named_and_no_other() -> None:
    named = {extra for text in PAGES.values() for group in re.findall(r"rtmskit\[([a-z,]+)\]", text) for extra in group.split(",")}
    assert named == set(EXTRAS)


# The functions


def routes(kind: type) -> set[str]:
    """`METHOD /path` of each route, with ID for the id in a path."""
    nothing: list[None] = [None] * 3
    found = set()
    for method, pattern, _ in kind(*nothing).surface._routes:
        text = re.sub(r"\(\?P<key>[^)]*\)", "ID", pattern.pattern)
        alternatives = re.search(r"\(\?P<path>([^)]*)\)", text)
        for path in alternatives[1].split("|") if alternatives else [""]:
            found.add(f"{method} {re.sub(r'[(][?]P<path>[^)]*[)]', path, text)}")
    return found


@pytest.mark.parametrize(("heading", "kind"), [("## The webhook", WebhookRoutes), ("## The worker", WorkerRoutes)])
def test_every_route_has_its_row_and_no_other(heading: str, kind: type) -> None:
    named = [name for name in first_cells(section(page("http"), heading)) if " /" in name]
    assert sorted(named) == sorted(routes(kind))


def test_every_parameter_of_a_list_and_every_value_of_it_is_named() -> None:
    text = section(page("http"), "## The worker")
    named = [name for name in first_cells(text) if "/" not in name]
    assert sorted(named) == sorted({*PARAMETERS, "id"})
    assert set(re.findall(r"`([^`]+)`", re.findall(r"^\| `state` \| (.*) \|$", text, re.MULTILINE)[0])) == set(attempt.State.__args__)
    recording = {*retrieval.State.__args__, *erasure.State.__args__}
    assert set(re.findall(r"`([^`]+)`", re.findall(r"^\| `recording` \| (.*) \|$", text, re.MULTILINE)[0])) == recording


def test_every_error_code_has_its_row_with_its_status() -> None:
    shown = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", section(page("http"), "## Errors"), re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RelayError)]
    assert shown == {(kind.status, kind.code) for kind in kinds if kind is not errors.RequestRefused}  # a base, which nothing raises


def test_every_log_event_has_its_row_and_what_is_named_elsewhere_is_one() -> None:
    assert first_cells(section(page("logs"), "## Events"))[: len(EVENTS)] == list(EVENTS)
    queried = set(re.findall(r"jsonPayload\.event=\"(\w+)\"", "\n".join(PAGES.values())))
    assert queried <= set(EVENTS)


def test_the_ids_in_the_log_have_the_names_that_the_page_gives_them() -> None:
    of_a_stream = set(fact_ids(Facts(key="k", stream_id="s", entity_id="e", product="meeting", created_at=0)))
    named = set(first_cells(page("logs").split("## Events")[0]))
    assert of_a_stream <= named
    assert {name for name in named if name.endswith("_id")} <= of_a_stream
    assert set(re.findall(r"jsonPayload\.(\w+_id)=", "\n".join(PAGES.values()))) <= of_a_stream


def test_every_page_that_a_message_names_is_there_at_that_address() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert f"{urls['Repository']}/blob/main/docs" == pages.PAGES
    assert observability.RUNBOOK == pages.RUNBOOK
    texts = [path.read_text() for folder in ("simulator", "infra") for path in (ROOT / folder).rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"(?:\{PAGES\}|/blob/main/docs)/([a-z-]+)\.md", text)}
    assert len(named) > 5
    assert [name for name in named if not (ROOT / f"docs/{name}.md").is_file()] == []
    sections = {section for text in texts for section in re.findall(r"\{RUNBOOK\}#([a-z-]+)", text)}
    assert sections <= set(re.findall(r"^#+ (\S+)$", page("runbook"), re.MULTILINE))


def test_every_alert_has_its_section_of_the_runbook_and_no_other() -> None:
    alerts = page("runbook").split("\n# Alerts\n", 1)[1]
    keys = {policy.key for policy in policies(PLACE, ALERTS)} | {"down"}
    assert set(re.findall(r"^## (\S+)$", alerts, re.MULTILINE)) == keys


def test_every_alert_that_a_page_names_is_one() -> None:
    keys = {policy.key for policy in policies(PLACE, ALERTS)} | {"down"}
    named = {key for text in PAGES.values() for key in re.findall(r"\balerts? \[?`([a-z-]+)`", text)}
    assert len(named) > 8
    assert named <= keys


# The fakes


def checks_of_the_doctor() -> set[str]:
    """The first argument of each finding in the code, by whatever function makes it."""
    found = {name for name, _ in worker_checks.UNSEEN} | {"queue NAME"}
    for module in (doctor, worker_checks):
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", "")
                if (
                    name in ("Finding", "_answered", "_refused", "_code", "_shut_out")
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    found.add(str(node.args[0].value))
                found |= {
                    str(keyword.value.value)
                    for keyword in node.keywords
                    if keyword.arg == "check" and isinstance(keyword.value, ast.Constant)
                }
    return found


def test_every_check_of_the_doctor_has_its_row_and_no_other() -> None:
    assert sorted(first_cells(page("doctor"))) == sorted(checks_of_the_doctor())


def test_every_switch_in_a_sentence_is_there() -> None:
    known = {row.name for row in default_switches()}
    prefixes = {family.prefix for family in FAMILIES} | {"recall.ai", "recall.proxy_environment", "recall.download"}
    problems = []
    for name, text in PAGES.items():
        for word in re.findall(r"`((?:zoom|recall|tasks)\.[a-z_]+)`", text):
            if word not in known and word not in prefixes and not word.endswith(".py"):
                problems.append(f"{name}: {word}")
    assert problems == []


def test_every_label_of_evidence_that_the_code_uses_is_explained() -> None:
    explained = set(re.findall(r"^\| (\w+) \|", section(PAGES["docs/evidence/README.md"], "## Labels"), re.MULTILINE)) - {"label"}
    assert {row.evidence for row in default_switches()} | set(LABELS) == explained


# Words in capitals, wherever they stand


OF_OTHERS = re.compile(r"ZM_RTMS_\w+|PULUMI_ACCESS_TOKEN|EXTERNAL_MANAGED|CHINESE_\w+|FRENCH_\w+")
"""Names of Zoom's SDK, of Pulumi, Google and Zoom's documentation."""


@pytest.mark.parametrize("name", PAGES)
def test_every_variable_or_constant_that_a_page_names_is_in_the_code(name: str) -> None:
    named = set(re.findall(r"(?<![\w.])[A-Z][A-Z0-9]*_[A-Z0-9_]+(?!\w)", PAGES[name]))
    assert sorted(word for word in named if not OF_OTHERS.fullmatch(word) and word not in sources()) == []
