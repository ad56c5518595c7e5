from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack
from tests.infra.deployment import Runner, warm
from tests.pulumi_engine import binary
from tests.pulumi_engine.stacks import engine_stack


@pytest.fixture(scope="session")
def engine() -> None:
    """The real engine, built on first use. Where it cannot be had the tests are skipped, and say why."""
    try:
        binary.root()
    except binary.EngineMissing as error:
        if binary.required():
            pytest.fail(f"RTMSKIT_REQUIRE_PULUMI=1, and the engine is missing: {error}", pytrace=False)
        pytest.skip(f"the Pulumi engine is missing: {error}")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def stack(engine: None, cloud: Cloud, tmp_path: Path) -> Iterator[EngineStack]:
    with engine_stack(cloud, tmp_path / "stack") as made:
        yield made


@pytest.fixture(scope="session")
def runner() -> Generator[Runner]:
    """The in-process engine, warm."""
    warm().start()
    yield warm()
    warm().close()
