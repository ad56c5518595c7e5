"""Every error of the command line is provoked, and says the true cause, the next step and the right exit code."""

import ast
import asyncio
import inspect
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.unit.simulator.cli.errors import ROWS, Row
from tests.unit.simulator.fake_worker import KEY, Worker

import rtms_simulator.cli
from rtms_simulator.cli.play import outcome
from rtms_simulator.cli.starting import SETTINGS_REFUSED, explained
from rtms_simulator.errors import ChildEndedError, FunctionSourceError, PortTakenError, StateUnusableError
from rtms_simulator.serving.http_server import HttpServer

CASES = Path(__file__).parents[1] / "zoom/media/cases"
COVERED = ("fakes", "play", "service", "pasted.py", "receiver.py", "starting.py")
ELSEWHERE = {
    "_judge": "play/test_meeting.py",
    "_play": "e2e/test_demo.py: needs a stack that loses a recording",
    "explained": "the test below",
    "run": "test_frame.py",
    "init": "service/test_infra.py",
    "_package": "service/test_infra.py",
    "_root": "service/test_infra.py",
}
"""Functions whose errors are provoked by another test."""


class Place:
    """Files and servers that the rows name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers: list[HttpServer] = []
        self._sockets: list[socket.socket] = []
        self.names: dict[str, str] = {"key": KEY, "odd": str(CASES / "k9_no_blank_between.vtt")}

    def file(self, name: str, content: bytes, suffix: str = "") -> None:
        path = self.folder / f"{name}{suffix}"
        path.write_bytes(content)
        self.names[name] = str(path)

    def up(self, name: str, pid: int, control_url: str) -> None:
        inner = {"control_url": f"{control_url}/zoom", "secret_token": "s"}
        described = {"pid": pid, "webhook_url": "", "worker_url": "", "control_url": control_url, "zoom": inner, "recall": inner}
        self.file(name, json.dumps(described).encode(), ".json")

    async def serve(self, name: str, app: Starlette) -> str:
        server = HttpServer(app)
        await server.start()
        self._servers.append(server)
        self.names[name] = server.url
        return server.url

    async def open(self) -> None:
        worker, expired = Worker(), Worker()
        expired.refuses_links = 1_000_000
        await self.serve("worker", worker.app)
        await self.serve("expired", expired.app)

        def answering(status: int, body: object) -> Starlette:
            async def answer(_request: Request) -> JSONResponse:
                return JSONResponse(body, status)

            return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])])

        await self.serve("receiver", answering(200, {}))
        await self.serve("refuses", answering(403, {"reason": "not you"}))
        taken = socket.create_server(("127.0.0.1", 0))
        closed = socket.create_server(("127.0.0.1", 0))
        self._sockets = [taken]
        self.names |= {"taken": str(taken.getsockname()[1]), "closed": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        closed.close()
        self.up("ended", _of_the_past(), self.names["closed"])
        self.up("bare", os.getpid(), self.names["closed"])
        self.up("mute", os.getpid(), self.names["closed"])
        self.up("refusing", os.getpid(), await self.serve("r", answering(404, {"error": "x", "reason": "nothing of the kind"})))
        self.up("failing", os.getpid(), await self.serve("f", answering(500, {"error": "x", "reason": "it broke"})))
        self.up("nothing", os.getpid(), await self.serve("n", answering(200, {"armed": []})))
        self.file("junk", b"junk", ".json")
        self.file("text", b"{}", ".txt")
        self.file("page", b"<html><body>Sign in</body></html>", ".mp4")
        self.file("empty", b"", ".mp3")
        self.file("noindex", b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x10mdat" + bytes(8), ".mp4")
        self.file("prose", b"Dear diary", ".vtt")
        event = json.dumps({"event": "meeting.rtms_stopped", "event_ts": 1, "payload": {}})
        self.file("saved", json.dumps({"body": event}).encode(), ".json")

    async def aclose(self) -> None:
        for server in self._servers:
            await server.aclose()
        for one in self._sockets:
            one.close()


def _of_the_past() -> int:
    """The id of a process that has ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """On a thread, since a command runs its own loop in ours."""
    one, started = Place(tmp_path_factory.mktemp("place")), threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def hold() -> None:
        await one.open()
        started.set()
        await done.wait()
        await one.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(hold(),))
    thread.start()
    assert started.wait(20)
    yield one
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


@pytest.fixture
def ended_by(monkeypatch):
    """The functions that made an error, in their order."""
    names: list[str] = []
    whole = outcome.Ended.__init__

    def init(self, message: str, do: str = "") -> None:
        frame = inspect.currentframe()
        assert frame is not None
        assert frame.f_back is not None
        names.append(frame.f_back.f_code.co_name)
        whole(self, message, do)

    monkeypatch.setattr(outcome.Ended, "__init__", init)
    return names


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.command.split()[0]} {row.situation}" for row in ROWS])
def test_an_error_says_the_cause_and_the_next_step(rtmskit, place, ended_by, monkeypatch, row: Row):
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    argv = [part.format_map(place.names) for part in shlex.split(row.command.replace("\n", "\\n"))]
    done = rtmskit(*(part.replace("\\n", "\n") for part in argv))
    assert (done.exit_code, ended_by[-1:]) == (row.code, [row.by]), done.output
    error, _, do = done.stderr[done.stderr.index("Error: ") :].partition("\nDo: ")
    assert row.says in error
    assert row.do in do
    assert do.strip(), "no next step"


def test_every_function_that_ends_a_command_is_in_the_table():
    raising: set[str] = set()
    root = Path(rtms_simulator.cli.__file__).parent
    for part in COVERED:
        for file in [root / part] if part.endswith(".py") else (root / part).glob("*.py"):
            for function in ast.walk(ast.parse(file.read_text())):
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    raising |= {function.name for node in _own(function) if isinstance(node, ast.Raise) and _ends(node)}
    assert raising - {row.by for row in ROWS} - set(ELSEWHERE) == set(), "provoke it in a row of errors.py"


def _own(function: ast.AST) -> list[ast.AST]:
    """The nodes of a function without those of the functions inside it."""
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            nodes += [child, *_own(child)]
    return nodes


def _ends(node: ast.Raise) -> bool:
    made = node.exc.func if isinstance(node.exc, ast.Call) else None
    return isinstance(made, ast.Name) and made.id in ("BadInput", "Failed", "Nobody", "kind")


# --- what starting can meet

STARTING = [
    (PortTakenError("127.0.0.1", 80, "the webhook"), 2, "port 80 on 127.0.0.1 is taken", "leave the port out"),
    (ChildEndedError("webhook", SETTINGS_REFUSED, ["RECALL_REGION: found 'x'"]), 2, "RECALL_REGION: found 'x'", "change the variables"),
    (ChildEndedError("worker", 1, ["boom"]), 1, "boom", "everything else was stopped"),
    (StateUnusableError("the records at x cannot be used"), 2, "the records at x", "name a store that can be written"),
    (FunctionSourceError("main.py is not there"), 1, "main.py is not there", "install rtmskit again"),
    (TimeoutError("no answer"), 1, "no answer", "is the machine very busy?"),
]


@pytest.mark.parametrize(("error", "code", "says", "do"), STARTING, ids=[type(row[0]).__name__ for row in STARTING])
def test_what_starting_meets_is_explained(error, code, says, do):
    with pytest.raises(outcome.Ended) as caught, explained():
        raise error
    assert caught.value.exit_code == code
    assert says in caught.value.message
    assert do in caught.value.do


# --- whatever text stands in an option

ODD = [
    "",
    "x",
    "-1",
    "http://[::1",
    "http://[zz]/",
    "http://a b",
    "https://ex\u2603.invalid",
    "http://127.0.0.1:99999",
    "\udce9",
    "\U0001f98a",
    "=",
    "/nope/x",
]
TAKES_ANYTHING = [
    "send {odd} --webhook {closed} --secret-token s",
    "send meeting.rtms_started --dry-run --webhook {odd} --secret-token s",
    "send meeting.rtms_started --dry-run --webhook {closed} --secret-token {odd}",
    "send meeting.rtms_started --dry-run --webhook {closed} --secret-token s --set payload.a={odd}",
    "meeting play {odd} --webhook {closed} --secret-token s --client-id i --client-secret c --speed max",
    "meeting play --webhook {odd} --secret-token s --client-id {odd} --client-secret c --speed max",
    "meeting play --webhook {closed} --secret-token s --client-id i --client-secret c --media {odd}",
    "media check {odd}",
    "scenarios show {odd}",
    "doctor {odd} --secret-token s --count 1",
    "zoom-app --webhook-url {odd}",
    "recordings list --worker {odd}",
    "recordings list --worker {closed} --token {odd}",
    "recordings show {odd} --worker {closed}",
    "events replay {odd} --webhook {closed} --secret-token s",
    "clock advance {odd}",
    "faults add {odd}",
    "events list --up {odd}",
]


@pytest.mark.parametrize("command", TAKES_ANYTHING)
def test_no_text_in_an_option_is_a_bug_of_ours(rtmskit, place, command):
    for odd in ODD:
        argv = [part.replace("{odd}", odd) for part in shlex.split(command.replace("{closed}", place.names["closed"]))]
        done = rtmskit(*argv)  # an exception of another kind would come through
        assert done.exit_code == 0 or "Do: " in done.stderr or "Usage: " in done.stderr, (argv, done.stderr)
