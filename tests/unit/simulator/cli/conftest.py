"""A receiver on a thread, for commands that run an event loop of their own; and a way to run commands in process."""

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner, Result

from rtms_simulator.cli import cli


@dataclass
class Receiver:
    """Answers `status` and `answer(body)` to every request, and keeps what came: (method, path, headers, body)."""

    url: str = ""
    status: int = 200
    answer: Callable[[bytes], object] = lambda _body: {"status": "accepted"}
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver():
    fake = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fake.requests.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer = fake.answer(body)
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(fake.status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # of a caller that did not wait
                self.wfile.write(raw)

        def log_message(self, format, *args):  # noqa: A002  # the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/zoom-webhook"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def rtmskit(tmp_path, monkeypatch):
    """Run a command in an empty directory. Errors come back as the frame would end them: exit code and text on stderr."""
    monkeypatch.chdir(tmp_path)
    for name in ("RTMSKIT_UP", "RTMSKIT_WORKER", "RTMSKIT_TOKEN", "ZOOM_SECRET_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str, **kwargs) -> Result:
        return CliRunner().invoke(cli, [str(part) for part in argv], catch_exceptions=False, prog_name="rtmskit", **kwargs)

    return run
