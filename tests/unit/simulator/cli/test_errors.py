"""Every error of the command line is provoked, and says the true cause, the next step and the right exit code."""

import ast
import asyncio
import importlib.util
import inspect
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import msgspec
import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.unit.simulator.cli.errors import ROWS, Row
from tests.unit.simulator.descriptions import a_serve, an_up
from tests.unit.simulator.fake_worker import KEY, Worker

import rtms_simulator.cli
from rtms_simulator.cli import cli
from rtms_simulator.cli.play import outcome
from rtms_simulator.cli.starting import SETTINGS_REFUSED, explained
from rtms_simulator.errors import ChildEndedError, FunctionSourceError, PortTakenError, StateUnusableError
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.http_server import HttpServer

CLI = Path(rtms_simulator.cli.__file__).parent
CASES = Path(__file__).parents[1] / "zoom/media/cases"
ELSEWHERE = {
    "_judge": "play/test_send.py",
    "_judge_forgery": "play/test_send.py",
    "judge": "play/test_meeting.py",
    "_nobody": "play/test_meeting.py",
    "_without_effect": "play/test_meeting.py",
    "_somebody": "play/test_meeting.py",
    "_play": "e2e/test_demo.py: needs a stack that loses a recording",
    "_play_here": "not here: a file that changes between its check and the meeting",
    "_ngrok": "e2e/test_serve.py",
    "_answer": "e2e/test_demo.py: what came is not what was played; e2e/test_rehearse.py: a drill that fails",
    "_rehearse": "e2e/test_rehearse.py: settings that the program refuses",
    "rehearsed": "e2e/test_rehearse.py: a program that fails",
    "_started": "e2e/test_rehearse.py: a deployment that does not start",
    "_interpreter": "rehearse/deployed/test_services.py: a Python without venv, no package index",
    "rehearse_with_pulumi": "pulumi_engine/test_rehearse_command.py: no engine",
    "_refusals": "pulumi_engine/test_rehearse_command.py",
    "explained": "the test below",
    "ask": "records/test_handoffs.py: pages of Google's, refusals of the worker",
    "since": "records/test_handoffs.py",
    "resolved": "records/test_handoffs.py: an id that means several hand-offs",
    "find": "records/test_handoffs.py",
    "retry": "records/test_handoffs.py: needs a worker with a hand-off whose window is over",
    "identity_token": "records/test_handoffs.py: needs a gcloud",
}
"""Functions of which some errors are provoked by another test."""


class Site(NamedTuple):
    """A `raise` of the command line: its file, its lines, and the function it stands in."""

    file: str
    first: int
    last: int
    function: str


class Done(NamedTuple):
    """How a row's command ended. `by` is where the last error was made: file, line, function."""

    code: int
    output: str
    stderr: str
    by: tuple[str, int, str] | None


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
        self.file(name, msgspec.json.encode(an_up(pid=pid, control_url=control_url)), ".json")

    async def serve(self, name: str, app: Starlette, tls_name: str = "") -> str:
        """`tls_name`: over https, with a certificate for that name of an authority that nobody trusts."""
        context = CertificateAuthority(self.folder / "tls").context_for(tls_name) if tls_name else None
        server = HttpServer(app, ssl=context)
        await server.start()
        self._servers.append(server)
        self.names[name] = server.url.replace("127.0.0.1", tls_name or "127.0.0.1")
        return self.names[name]

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
        self.names["tls"] = await self.serve("t", answering(200, {}), "localhost")
        (self.folder / "project").mkdir()
        self.file("project/Pulumi", b"mine", ".yaml")
        (self.folder / "bare").mkdir()
        self.names |= {"project": str(self.folder / "project"), "bare_install": str(self.folder / "bare")}
        (self.folder / "serving").mkdir()
        self.file("serving/serve", msgspec.json.encode(a_serve(worker_url=self.names["worker"])), ".json")
        self.names["serving"] = str(self.folder / "serving/up.json")
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


@pytest.fixture(scope="module")
def provoked(place, tmp_path_factory):
    """What came of each row; all are provoked, so that it shows which `raise` none provokes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRESTORE_EMULATOR_HOST", "RTMSKIT_UP", "RTMSKIT_WORKER", "RTMSKIT_TOKEN", "ZOOM_SECRET_TOKEN"):
            patch.delenv(name, raising=False)
        sites: list[tuple[str, int, str]] = []
        whole = outcome.Ended.__init__

        def init(self, message: str, do: str = "") -> None:
            frame = inspect.currentframe()
            assert frame is not None
            assert frame.f_back is not None
            code = frame.f_back.f_code
            sites.append((str(Path(code.co_filename).relative_to(CLI)), frame.f_back.f_lineno, code.co_name))
            whole(self, message, do)

        patch.setattr(outcome.Ended, "__init__", init)
        done: dict[Row, Done] = {}
        for row in ROWS:
            patch.chdir(tmp_path_factory.mktemp("row"))
            sites.clear()
            with pytest.MonkeyPatch.context() as installed:
                for name, folder in row.packages:
                    installed.setitem(sys.modules, name, _package(name, folder.format_map(place.names)))
                result = _command(row.command, place.names)
            done[row] = Done(result.exit_code, result.output, result.stderr, sites[-1] if sites else None)
        return done


def _package(name: str, folder: str) -> ModuleType | None:
    """Of a package in another folder what `importlib` shows; None: it is not installed."""
    if not folder:
        return None
    module = ModuleType(name)
    module.__spec__ = importlib.util.spec_from_file_location(name, Path(folder) / name / "__init__.py")
    return module


def _command(command: str, names: dict[str, str]) -> Result:
    argv = [part.format_map(names).replace("\\n", "\n") for part in shlex.split(command.replace("\n", "\\n"))]
    return CliRunner().invoke(cli, argv, catch_exceptions=False)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.command.split()[0]} {row.situation}" for row in ROWS])
def test_an_error_says_the_cause_and_the_next_step(provoked, row: Row):
    done = provoked[row]
    assert (done.code, done.by and done.by[2]) == (row.code, row.by), done.output
    error, _, do = done.stderr[done.stderr.index("Error: ") :].partition("\nDo: ")
    assert row.says in error
    assert row.do in do
    assert do.strip(), "no next step"


def test_every_error_of_a_command_is_provoked_by_a_row(provoked):
    by = {done.by for done in provoked.values() if done.by}
    missed = [site for site in _sites() if not any(site.file == file and site.first <= line <= site.last for file, line, _name in by)]
    said = "\n".join(f"{site.file}:{site.first} in {site.function}" for site in missed if site.function not in ELSEWHERE)
    assert said == "", f"provoke each in a row of errors.py:\n{said}"


def _sites() -> list[Site]:
    sites: list[Site] = []
    for file in CLI.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                raises = [node for node in _own(function) if isinstance(node, ast.Raise) and _ends(node)]
                name = str(file.relative_to(CLI))
                sites += [Site(name, node.lineno, node.end_lineno or node.lineno, function.name) for node in raises]
    return sites


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
