"""The process that runs programs for Pulumi's own engine (rtms_infra.rehearsal.language, program), with the tests' engine in its place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from rtms_infra.rehearsal.engine import Engine, Monitor
from rtms_infra.rehearsal.language import Programs
from rtms_infra.rehearsal.program import LOGGED_EXIT_CODE, Request


class Served:
    """One process for programs; each program gets an engine of its own, on a port."""

    def __init__(self) -> None:
        self.programs = Programs()
        self.log: list[str] = []

    def run(self, folder: Path, text: str, **config: str) -> tuple[int, str]:
        """The exit code and the output of this program."""
        folder.mkdir(exist_ok=True)
        (folder / "__main__.py").write_text(text)
        engine = Engine()
        self.log = engine.lines
        with futures.ThreadPoolExecutor(4) as pool:
            server = grpc.server(pool)
            resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor("rtmskit", "prod", "acme", preview=False), server)
            engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            server.start()
            answer = self.programs.run(_request(folder, address, config))
            server.stop(None).wait()
        return answer.exit_code, answer.output


def _request(folder: Path, address: str, config: dict[str, str]) -> Request:
    return Request(
        program=str(folder),
        root=str(folder),
        project="rtmskit",
        stack="prod",
        organization="organization",
        monitor=address,
        engine=address,
        parallel=1,
        preview=False,
        config=config,
        secret_keys=[],
    )


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.programs.close()


def test_a_program_runs_in_its_own_folder_and_is_given_its_configuration(served: Served, tmp_path: Path) -> None:
    text = "import os, pulumi\nprint(os.getcwd(), os.environ['PULUMI_CONFIG'], pulumi.Config('rtmskit').require('name'))"
    assert served.run(tmp_path / "one", text, **{"rtmskit:name": "rtms"}) == (0, f'{tmp_path / "one"} {{"rtmskit:name":"rtms"}} rtms\n')


def test_what_ends_a_program_is_in_the_log_of_the_engine(served: Served, tmp_path: Path) -> None:
    assert served.run(tmp_path / "one", "raise ValueError('no such region')")[0] == LOGGED_EXIT_CODE
    assert "ValueError: no such region" in "\n".join(served.log)


def test_what_ends_a_program_without_a_word_is_its_exit_code_and_output(served: Served, tmp_path: Path) -> None:
    assert served.run(tmp_path / "one", "import os\nprint('half', flush=True)\nos._exit(7)") == (7, "half\n")


def test_nothing_of_one_program_is_there_in_the_next(served: Served, tmp_path: Path) -> None:
    for value in ("1", "2"):
        folder = tmp_path / value
        (folder / "rtms_infra").mkdir(parents=True)
        (folder / "rtms_infra" / "__init__.py").write_text(f"VALUE = {value}")
        assert served.run(folder, "import rtms_infra\nprint(rtms_infra.VALUE)") == (0, f"{value}\n")


def test_a_process_that_is_gone_is_an_answer_and_not_a_hang(served: Served, tmp_path: Path) -> None:
    code, output = served.run(tmp_path / "one", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos._exit(3)")
    assert (code, output) == (1, "the process that runs programs ended with exit code -9")
