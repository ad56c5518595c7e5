"""What all tests share: the Firestore emulator, a fake Cloud Storage, and how long Hypothesis may take."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings

from tests import firestore_emulator as official
from tests.fake_gcs import fake_gcs
from tests.leftovers import Leftovers
from tests.reaper import Reaper

# The machines that run this are shared and slow by turns: time limits belong on the whole suite, not on one example.
settings.register_profile("rtmskit", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rtmskit")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leftovers())
    config.pluginmanager.register(Reaper())


@pytest.fixture(scope="session")
def firestore_emulator() -> Generator[str, None, None]:
    """`host:port` of the official emulator. Skips where there is none, unless RTMSKIT_REQUIRE_EMULATOR=1."""
    if running := os.environ.get("RTMSKIT_RUNNING_FIRESTORE"):  # tests.mutants has one for thousands of runs
        yield running
        return
    official.require()
    with official.emulator() as address:
        yield address


@pytest.fixture(scope="session")
def new_firestore_project() -> Callable[[], str]:
    """Makes up a project id that no other test in this process uses: the emulator keeps each project's data apart."""
    numbers = itertools.count(1)
    return lambda: f"rtmskit-{os.getpid()}-{next(numbers)}"


@pytest.fixture(scope="session")
def gcs_server() -> Generator[str, None, None]:
    """The URL of a fake Cloud Storage, for STORAGE_EMULATOR_HOST."""
    if running := os.environ.get("RTMSKIT_RUNNING_GCS"):
        yield running
        return
    with fake_gcs() as url:
        yield url


LONGEST_FIRST = (
    "tests/property/recall/test_openapi_conformance.py",
    "tests/chaos/test_chaos.py",
    "tests/pulumi_engine/test_commands.py",
    "tests/pulumi_engine/test_failures.py",
    "tests/infra/test_space.py",
    "tests/infra/test_zip.py",
    "tests/e2e/test_up.py",
)
"""Files that take longest. They are begun first, so that no core waits for one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
