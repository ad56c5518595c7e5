"""Every command as a real process: into a file, as JSON, into a closed pipe, on a narrow terminal, with NO_COLOR, and ended by Ctrl-C."""

from __future__ import annotations

import collections
import functools
import json
import re
import shlex
import shutil
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.ports.events import started
from tests.unit.simulator.cli.every_command import ALL, LASTING, LEAVES, WORKS
from tests.unit.simulator.cli.forked import Ending, Forks, Wish
from tests.unit.simulator.descriptions import an_up
from tests.unit.simulator.fake_worker import KEY, Worker
from tests.unit.simulator.real_worker import RealWorker

from rtms_simulator.cli.fakes import running
from rtms_simulator.serving.http_server import HttpServer
from rtms_simulator.testing.sandbox import WebhookSandbox

BRIEF = [name for name in LEAVES if name not in LASTING]
COLOUR = re.compile(r"\x1b\[[\d;]*(?<!\d)(3[0-8]|4[0-8]|9[0-7]|10[0-7])(?!\d)[\d;]*m")
ENDS = {"meeting play": 1, "doctor": 1}
"""Their receivers refuse all, and take what is not signed."""
TALKS = {"--up", "--worker", "--webhook", "url"}
"""Options and arguments that name somebody to talk to."""


@dataclass
class Place:
    """What the rows name; `hanging` are the same with addresses where somebody listens and never answers."""

    forks: Forks
    folder: Path
    names: dict[str, str]
    hanging: dict[str, str]

    def run(self, name: str, into: Path, *more: str, hangs: bool = False, **wish: object) -> Ending:
        """In a new folder in which an `up` runs."""
        names = self.hanging if hangs else self.names
        into = into / str(len(list(into.iterdir())))  # digits only: outputs that name the folder are compared without them
        (into / ".rtmskit").mkdir(parents=True)
        shutil.copy(names["up"], into / ".rtmskit/up.json")
        words = shlex.split(WORKS[name].format_map(names))
        return self.forks.run(replace(Wish([*name.split(), *words, *more], str(into)), **wish))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Generator[Place]:
    folder = tmp_path_factory.mktemp("place")
    forks, real, fakes, another = Forks(), RealWorker(), WebhookSandbox(folder / "fakes"), WebhookSandbox(folder / "another")
    servers: list[HttpServer] = []

    async def receiver(request: Request) -> Response:
        return JSONResponse({}, 403 if request.url.path == "/refusing" else 200)

    async def serve(app: Starlette) -> str:
        servers.append(HttpServer(app))
        await servers[-1].start()
        return servers[-1].url

    deaf = socket.create_server(("127.0.0.1", 0), backlog=1000)
    try:
        fakes.start()
        another.start()
        hook = fakes._call(serve(Starlette(routes=[Route("/{path:path}", receiver, methods=["GET", "POST"])])))
        files = fakes._call(serve(Worker().app))
        real.play(started())
        running.write(folder / "up.json", fakes.stack.described())
        running.write(folder / "another.json", another.stack.described())
        nowhere = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        running.write(folder / "hanging.json", an_up(control_url=nowhere, webhook_url=nowhere, worker_url=nowhere))
        (folder / "brief.toml").write_text('duration_s = 0.2\npeople = [{ name = "Ada" }]\n')
        (folder / "talk.vtt").write_text("WEBVTT\n\n00:00:00.100 --> 00:00:00.900\nAda Lovelace: Hello, all of you.\n")
        delivery = fakes.send(hook, "meeting.rtms_stopped")
        httpx.get(f"{fakes.stack.recall.base_url}/bot/", trust_env=False)
        [row] = real.do(_rows(real))
        names = {
            "up": str(folder / "up.json"),
            "another": str(folder / "another.json"),
            "receiver": hook,
            "refusing": f"{hook}/refusing",
            "worker": real.url,
            "files": files,
            "brief": str(folder / "brief.toml"),
            "captions": str(folder / "talk.vtt"),
            "delivery": str(delivery.id),
            "handoff": row,
            "recording": KEY,
        }
        still = dict.fromkeys(("receiver", "refusing", "worker", "files"), nowhere)
        hanging = names | still | {"up": str(folder / "hanging.json"), "another": str(folder / "hanging.json")}
        yield Place(forks, folder, names, hanging)
    finally:
        for server in servers:
            fakes._call(server.aclose())
        fakes.close()
        another.close()
        real.close()
        forks.close()
        deaf.close()


async def _rows(real: RealWorker) -> list[str]:
    return [stored.key for stored in await real.bench.store.newest("handoffs", 10)]


@pytest.fixture(scope="module")
def plain(place, tmp_path_factory) -> Callable[[str], Ending]:
    """How a command ends that is brief, without a terminal."""
    return functools.cache(lambda name: place.run(name, tmp_path_factory.mktemp("plain")))


def no_trace(ending: Ending) -> None:
    assert ending.code is not None, "it did not end"
    for text in ("Traceback", "this is a bug in rtmskit", "Exception ignored", "Task exception", "was never awaited"):
        assert text not in ending.stdout + ending.stderr


@pytest.mark.parametrize("name", BRIEF)
def test_it_works_and_writes_no_escapes_without_a_terminal(plain, name):
    ending = plain(name)
    no_trace(ending)
    assert ending.code == ENDS.get(name, 0), ending
    assert "\x1b" not in ending.stdout + ending.stderr


@pytest.mark.parametrize("name", [one for one in BRIEF if any(option.name == "as_json" for option in ALL[one].params)])
def test_with_json_it_prints_one_line_of_json(place, tmp_path, name):
    ending = place.run(name, tmp_path, "--json")
    no_trace(ending)
    [line] = ending.stdout.splitlines()
    assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("name", [*BRIEF, "up"])
def test_a_reader_that_goes_away_ends_it_without_a_word(place, plain, tmp_path, name):
    ending = place.run(name, tmp_path, stdout="closed")
    no_trace(ending)
    says_nothing = name in BRIEF and not plain(name).stdout
    assert ending.code == (plain(name).code if says_nothing else 1)
    assert "Error" not in ending.stderr
    assert "Broken pipe" not in ending.stderr


@pytest.mark.parametrize("name", BRIEF)
def test_on_a_narrow_terminal_nothing_is_cut_off_and_no_color_is_heeded(place, tmp_path, name):
    narrow = place.run(name, tmp_path, stdout="terminal", columns=40, environment={"TERM": "xterm-256color"})
    wide = place.run(name, tmp_path, stdout="terminal", columns=250, environment={"TERM": "xterm-256color", "NO_COLOR": "1"})
    no_trace(narrow)
    no_trace(wide)
    assert COLOUR.search(wide.stdout) is None
    assert narrow.code == wide.code
    missing = collections.Counter(_letters(wide.stdout)) - collections.Counter(_letters(narrow.stdout))
    assert missing.total() <= len(wide.stdout) * 0.02 + 30, missing  # ids, times and sizes may differ from run to run


def _letters(text: str) -> str:
    return "".join(re.sub(r"\x1b\[[\d;?]*[A-Za-z]|[0-9a-f]{8,}|\d|━", "", text).split())


def test_the_search_for_colours_sees_them():
    assert COLOUR.search("\x1b[1;31mred\x1b[0m")
    assert COLOUR.search("\x1b[38;5;2mgreen\x1b[0m")
    assert not COLOUR.search("\x1b[1mbold\x1b[0m")


@pytest.mark.parametrize("name", LEAVES)
def test_ctrl_c_at_its_beginning_ends_it_in_one_line(place, tmp_path, name):
    ending = place.run(name, tmp_path, interrupt_after_s=0.0)
    no_trace(ending)
    assert ending.code in ((130,) if name in LASTING else (130, 0, 1))
    if ending.code == 130:
        assert re.search(r"^(Interrupted\.|SIGINT: stopping\.)$", ending.stderr, re.MULTILINE)


@pytest.mark.parametrize("name", [one for one in BRIEF if TALKS & {name for parameter in ALL[one].params for name in parameter.opts}])
def test_ctrl_c_ends_a_wait_for_somebody_who_does_not_answer(place, tmp_path, name):
    ending = place.run(name, tmp_path, hangs=True, interrupt_after_s=0.6)
    no_trace(ending)
    assert ending.code == 130, ending
    assert re.search(r"^(Interrupted\.|SIGINT: stopping\.)$", ending.stderr, re.MULTILINE)
