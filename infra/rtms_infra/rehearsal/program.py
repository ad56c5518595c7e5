"""Runs Pulumi programs as the Python language host does: `python -m rtms_infra.rehearsal.program`.

Requests come as JSON lines on stdin, answers leave as JSON lines on stdout. This process only imports what programs need, once; each
program runs in a fork of it. So a program begins in a tenth of a second, and nothing of one is there in the next.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import runpy
import sys
import tempfile
import traceback
from pathlib import Path

import msgspec
import pulumi
import pulumi.runtime

from rtms_infra.rehearsal.facts import FACTS

LOGGED_EXIT_CODE = 32
"""The program failed, and its error has already gone to the engine's log (as Pulumi's own host does it)."""

EXCERPT_CHARACTERS = 4000


class Request(msgspec.Struct, frozen=True):
    """One program to run. `config`: full key -> text; `secret_keys`: which of them are secrets. Addresses are `host:port`."""

    program: str
    root: str
    project: str
    stack: str
    organization: str
    monitor: str
    engine: str
    parallel: int
    preview: bool
    config: dict[str, str]
    secret_keys: list[str]


class Answer(msgspec.Struct, frozen=True):
    """`exit_code`: 0, 1 (the program could not be run) or `LOGGED_EXIT_CODE`. `output`: the end of what it printed."""

    exit_code: int
    output: str


def run(request: Request) -> int:
    """Run the program in this process. Returns the exit code."""
    program = Path(request.program)
    folder = program if program.is_dir() else program.parent
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    # As Pulumi's own host hands it over; without it a program would not see the keys that it does not know.
    os.environ["PULUMI_CONFIG"] = msgspec.json.encode(request.config).decode()
    os.environ["PULUMI_CONFIG_SECRET_KEYS"] = msgspec.json.encode(request.secret_keys).decode()
    pulumi.runtime.set_all_config(request.config, request.secret_keys)
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=request.project,
            stack=request.stack,
            monitor=request.monitor,
            engine=request.engine,
            parallel=request.parallel,
            dry_run=request.preview,
            organization=request.organization,
            root_directory=request.root,
        )
    )

    def program_itself() -> None:
        runpy.run_path(str(program), run_name="__main__")

    try:
        asyncio.run(pulumi.runtime.run_in_stack(program_itself))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return LOGGED_EXIT_CODE
    except Exception:  # noqa: BLE001  # whatever ends a program is its result
        pulumi.log.error(traceback.format_exc())
        return LOGGED_EXIT_CODE
    return 0


def run_apart(request: Request) -> Answer:
    """Run the program in a fork of this process."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _be_child(request, output.fileno())
        _, status = os.waitpid(child, 0)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    return Answer(os.waitstatus_to_exitcode(status), printed[-EXCERPT_CHARACTERS:])


def _be_child(request: Request, output: int) -> None:
    """Never returns: the process ends here, whatever happens, or two would answer."""
    code = 1
    try:
        os.dup2(output, sys.stdout.fileno())
        os.dup2(output, sys.stderr.fileno())
        # The program's own folder comes first: this package may be another copy of the one that the program imports.
        for name in [name for name in sys.modules if name.partition(".")[0] == "rtms_infra"]:
            del sys.modules[name]
        code = run(request)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare() -> None:
    """Import what programs will import, and silence what nobody reads."""
    for service in sorted({kind.split(":")[1].partition("/")[0] for kind in FACTS}):
        importlib.import_module(f"pulumi_gcp.{service}")
    # Each of some 350 debug lines of a program would be a blocking call to the engine.
    setattr(pulumi.log, "debug", lambda *_, **__: None)  # noqa: B010  # an assignment would promise the same signature
    # A failed program leaves futures that nobody reads; asyncio would report each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def main() -> None:
    """Serve requests until stdin ends."""
    _prepare()
    for line in sys.stdin:
        sys.stdout.write(msgspec.json.encode(run_apart(msgspec.json.decode(line, type=Request))).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
