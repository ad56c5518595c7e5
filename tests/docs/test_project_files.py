""".github and the release page: what they name is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(workflow: Path) -> list[dict]:
    return [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


def test_every_file_of_github_is_yaml():
    files = list((ROOT / ".github").rglob("*.yml"))
    assert {file.name for file in files} >= {"ci.yml", "versions.yml", "dependabot.yml", "bug.yml"}
    assert [file.name for file in files if not isinstance(yaml.safe_load(file.read_text()), dict)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_make_target_that_a_workflow_runs_is_there(workflow):
    targets = [step["run"].split()[1] for step in steps(workflow) if step.get("run", "").startswith("make ")]
    assert targets
    assert set(targets) <= TARGETS


def test_ci_runs_every_python_that_the_package_names_and_the_next_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [kind.rpartition(" ")[2] for kind in project["classifiers"] if re.search(r":: 3\.\d+$", kind)]
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert matrix[: len(named)] == named == ["3.11", "3.12", "3.13"]
    assert matrix[len(named) :] in ([], ["3.14"])


def test_workflows_may_read_the_repository_and_nothing_else():
    assert [yaml.safe_load(workflow.read_text())["permissions"] for workflow in WORKFLOWS] == [{"contents": "read"}] * len(WORKFLOWS)


def test_the_newest_version_of_the_changelog_is_the_packages():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", headings[1])


def test_every_page_that_an_issue_form_names_is_there():
    forms = "".join(form.read_text() for form in (ROOT / ".github").rglob("*.*"))
    pages = re.findall(r"`(docs/[\w/-]+\.md)`", forms)
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []
