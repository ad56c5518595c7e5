"""`rtmskit serve` against `rtmskit up --no-function`: two processes that know each other only by URL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.processes import RTMSKIT, Up, descendants, environment, rtmskit, up
from tests.e2e.serving import Serve, serving, until
from tests.free_port import free_port

# One worker for this file: what all its tests share is made once.
pytestmark = [pytest.mark.xdist_group("serve"), pytest.mark.timeout(400)]

QUICK = {"RECALL_TIMEOUT_S": "3"}
"""A lease of 8 s: what a killed worker held is free again while the stream can still be joined."""

STAND_IN = '''
"""Stands in for the ngrok package: passes on TCP from a fixed port, in this process, so that killing the process ends it."""
import asyncio, os, threading

class Listener:
    def url(self):
        return "http://127.0.0.1:" + os.environ["STAND_IN_PORT"]

async def passed_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()

def forward(addr, authtoken, domain=""):
    if authtoken != "the-token":
        raise ValueError("authentication failed: The authtoken you specified is properly formed, but it is invalid: " + authtoken)
    host, port = addr.split(":")
    ready = threading.Event()

    async def connected(reader, writer):
        try:
            there = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(passed_on(reader, there[1]), passed_on(there[0], writer))
        writer.close()
        there[1].close()

    async def serve():
        server = await asyncio.start_server(connected, "127.0.0.1", int(os.environ["STAND_IN_PORT"]))
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    if not ready.wait(20):
        raise OSError("the stand-in cannot listen")
    return Listener()
'''


class Site:
    """A folder in which an `up --no-function` runs for a webhook at `port`, and `.env` is filled in for it."""

    def __init__(self, running: Up, port: int) -> None:
        self.running = running
        self.cwd = running.cwd
        self.port = port

    def __call__(self, *argv: str, **changes: str) -> Any:
        """A command's JSON."""
        done = rtmskit(*argv, "--json", cwd=self.cwd, timeout=120, **changes)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def mdcs(self) -> list[dict[str, Any]]:
        recall = self.running.described["recall"]
        url, found = f"{recall['base_url']}/meeting_direct_connect/", []
        while url:
            page = httpx.get(url, headers={"Authorization": recall["api_key"]}).raise_for_status().json()
            found += page["results"]
            url = page["next"]
        return found

    def serve(self, *argv: str, **changes: str) -> Any:
        return serving(self.cwd, "--port", str(self.port), *argv, **(QUICK | changes))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("serve")
    with up(folder, "--no-function", "--webhook", f"{url}/zoom-webhook", "--recall-webhook", f"{url}/recall-webhook") as running:
        done = rtmskit("serve", "--init", cwd=folder)
        assert done.returncode == 0, done.stderr
        yield Site(running, port)


def test_the_doctor_sends_a_task_through_every_queue_of_it(site: Site) -> None:
    with site.serve() as service:
        assert service.started
        found = {one["check"]: one["status"] for one in site("doctor", "--count", "1")["checks"]}
    assert {check for check in found if check.startswith("queue ")} == {"queue facts", "queue handoffs", "queue retrievals"}
    assert set(found.values()) <= {"ok", "skip"}, found
    assert (found["store"], found["recall key"], found["worker without token"]) == ("ok", "ok", "ok")


def test_a_meeting_with_a_fail_over_makes_one_mdc_for_each_server_and_its_recordings_are_downloaded(site: Site, tmp_path: Path) -> None:
    before = {mdc["id"] for mdc in site.mdcs()}
    with site.serve() as service:
        assert all(check["status"] in ("ok", "skip") for check in service.started["checks"]), service.started["checks"]
        site("meeting", "play", "server-fail-over", "--speed", "max")

        def recorded() -> list[dict[str, Any]]:
            rows = [row for row in site("recordings", "list")["recordings"] if row["retrieval"] == "done"]
            return rows if len(rows) == 2 else []

        rows = until(recorded, "both recordings are done")
        new = {mdc["id"] for mdc in site.mdcs()} - before
        assert {row["mdc_id"] for row in rows} == new
        assert {row["state"] for row in rows} == {"accepted", "superseded"}
        for number, row in enumerate(rows):
            got = site("recordings", "download", row["id"], "--output", str(tmp_path / f"{number}.mp4"))
            assert (tmp_path / f"{number}.mp4").stat().st_size == got["size"] > 0
        assert service.end() == 130
        assert service.said("stopped") is not None


LONG = """
summary = "Goes on until it is ended: a restart may take long on a busy machine."
duration_s = 300
people = [{ name = "Ada", role = "host" }]
timeline = [{ at_s = 1, kind = "speak", who = "Ada", until_s = 295, text = "I go on." }]
"""


class Private:
    """The worker of a running `serve`, asked directly: a command takes a second, and that is too long here."""

    def __init__(self, service: Serve) -> None:
        self._url = service.started["worker_url"]
        self._headers = {"Authorization": f"Bearer {service.started['worker_token']}"}

    def rows(self) -> list[dict[str, Any]]:
        return self._get("/recordings")["recordings"]

    def row(self, key: str) -> dict[str, Any]:
        return next(row for row in self.rows() if row["id"] == key)

    def attempts(self, key: str) -> int:
        return self._get(f"/recordings/{key}")["attempts"]

    def _get(self, path: str) -> Any:
        return httpx.get(self._url + path, headers=self._headers, timeout=30).raise_for_status().json()


def test_a_kill_9_in_the_middle_of_a_hand_off_costs_nothing_and_doubles_nothing(site: Site, tmp_path: Path) -> None:
    before = {mdc["id"] for mdc in site.mdcs()}
    (tmp_path / "long.toml").write_text(LONG)
    # The restart must come while the window is open and the meeting goes on.
    changes = {"RECALL_TIMEOUT_S": "10", "ZOOM_CONNECT_WINDOW_S": "600"}
    with site.serve(**changes) as service:
        worker, token = Private(service), service.started["worker_token"]
        known = {row["id"] for row in worker.rows()}
        site("faults", "add", "recall.create: slow 5s")
        with subprocess.Popen(
            [*RTMSKIT, "meeting", "play", str(tmp_path / "long.toml"), "--json"], cwd=site.cwd, env=environment(), stdout=subprocess.PIPE
        ) as play:
            [key] = until(lambda: [row["id"] for row in worker.rows() if row["id"] not in known], "the start is on record")
            until(lambda: worker.attempts(key) >= 1, "the POST has begun")
            pending = worker.row(key)
            service.kill()
            assert pending["state"] == "pending"
            with site.serve(**changes) as again:
                assert again.started["worker_token"] != token
                anew = Private(again)
                until(lambda: anew.row(key)["state"] == "accepted", "it is handed on", 180)
                play.send_signal(signal.SIGINT)
                play.communicate(timeout=60)
                done = until(lambda: (row := anew.row(key))["retrieval"] == "done" and row, "it is recorded", 180)
                [made] = {mdc["id"] for mdc in site.mdcs()} - before
                # Whichever comes first after the restart: the repeated POST, which brings the MDC's id, or Recall's announcement of the
                # recording, by which it is known without one.
                assert done["mdc_id"] == made or (done["mdc_id"] is None and "a recording of it was seen" in done["reason"]), done
                got = site("recordings", "download", key, "--output", str(tmp_path / "after.mp4"))
                assert (tmp_path / "after.mp4").stat().st_size == got["size"] > 0


def test_the_worker_takes_nothing_without_the_secret_of_the_run_and_the_webhook_has_no_such_path(site: Site) -> None:
    with site.serve() as service:
        worker = service.started["worker_url"]
        for method, path in (("GET", "/recordings"), ("POST", "/events"), ("POST", "/retrieve"), ("POST", "/sweep")):
            for headers in ({}, {"Authorization": "Bearer wrong-secret"}):
                assert httpx.request(method, worker + path, headers=headers, json={}).status_code == 401, (method, path)
            assert httpx.request(method, f"http://127.0.0.1:{site.port}{path}", json={}).status_code == 404
        mode = (site.cwd / ".rtmskit/serve.json").stat().st_mode
        assert mode & 0o077 == 0
        environs = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in descendants(service.process.pid)]
        webhooks = [environ for environ in environs if any(line.startswith(b"ZOOM_SECRET_TOKEN=") for line in environ)]
        assert webhooks
        assert not any(line.startswith((b"RUN_SECRET=", b"RECALL_API_KEY=")) for environ in webhooks for line in environ)


def _tunnel_pid(service: Serve) -> int:
    def look() -> int:
        for pid in descendants(service.process.pid):
            if b"rtms_simulator.kit.serve.ngrok_tunnel" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
        return 0

    return until(look, "the tunnel's process")


def test_a_tunnel_that_is_killed_is_told_of_and_opened_again_and_meetings_come_through_it(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ngrok.py").write_text(STAND_IN)
    port = free_port()
    changes = {"PYTHONPATH": str(tmp_path), "STAND_IN_PORT": str(port), "NGROK_AUTHTOKEN": "the-token"}
    with site.serve("--tunnel", "ngrok", **changes) as service:
        assert service.started["endpoint"] == f"http://127.0.0.1:{port}/zoom-webhook"
        os.kill(_tunnel_pid(service), signal.SIGKILL)
        until(lambda: service.said("tunnel_down"), "the end of the tunnel is told")
        up_again = until(lambda: service.said("tunnel_up"), "the tunnel is back")
        assert f"back at http://127.0.0.1:{port}" in up_again["what"]
        zoom = site.running.described["zoom"]
        done = rtmskit(
            *("send", "meeting.rtms_stopped", "--webhook", f"http://127.0.0.1:{port}/zoom-webhook"),
            *("--secret-token", zoom["secret_token"]),
            cwd=site.cwd,
        )
        assert done.returncode == 0, done.stderr
        assert "the-token" not in json.dumps(service.events) + "".join(service.log)


def test_a_tunnel_of_ones_own_that_does_not_lead_here_is_told_of(site: Site) -> None:
    with site.serve("--tunnel", f"http://127.0.0.1:{free_port()}") as service:
        assert {check["check"]: check["status"] for check in service.started["checks"]} == {"reachable": "fail"}
        told = until(lambda: service.said("tunnel_down"), "it is told")
        assert "does not lead here" in told["what"]


def test_a_wrong_ngrok_token_is_told_in_one_line_without_the_token(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ngrok.py").write_text(STAND_IN)
    changes = {"PYTHONPATH": str(tmp_path), "STAND_IN_PORT": str(free_port()), "NGROK_AUTHTOKEN": "a-wrong-token"}
    done = rtmskit("serve", "--port", str(site.port), "--tunnel", "ngrok", cwd=site.cwd, timeout=120, **changes)
    assert done.returncode == 2
    assert "authentication failed" in done.stderr
    assert "a-wrong-token" not in done.stderr
    assert "Traceback" not in done.stderr


def test_with_tls_those_who_trust_the_folder_reach_the_webhook_and_nobody_else_does(site: Site) -> None:
    with site.serve("--tls") as service:
        started = service.started
        assert started["endpoint"] == f"https://localhost:{site.port}/zoom-webhook"
        assert [check["status"] for check in started["checks"] if check["check"] in ("tls", "challenge")] == ["ok", "ok"]
        ca_file = rtmskit("ca", "path", cwd=site.cwd).stdout.strip()
        assert started["ca_file"] == ca_file
        secret = site.running.described["zoom"]["secret_token"]
        ask = ("send", "endpoint.url_validation", "--webhook", started["endpoint"])
        sent = rtmskit(*ask, cwd=site.cwd, SSL_CERT_FILE=ca_file, ZOOM_SECRET_TOKEN=secret)
        assert sent.returncode == 0, sent.stderr
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"https://localhost:{site.port}/health")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{site.port}/health")


def test_a_second_serve_in_the_same_place_is_refused(site: Site) -> None:
    with site.serve() as service:
        assert service.started
        second = rtmskit("serve", "--port", str(free_port()), cwd=site.cwd)
        assert second.returncode == 2
        assert "already runs here" in second.stderr
        elsewhere = rtmskit("serve", "--port", str(site.port), "--directory", "other", "--up", "other/up.json", cwd=site.cwd)
        assert elsewhere.returncode == 2
        assert str(site.port) in elsewhere.stderr


def test_what_ends_by_itself_is_started_again(site: Site) -> None:
    with site.serve() as service:
        worker = service.started["worker_url"]
        below = descendants(service.process.pid)
        victims = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below}
        [dispatcher] = [pid for pid, line in victims.items() if b"rtms_relay.dispatching" in line]
        os.kill(dispatcher, signal.SIGKILL)
        until(lambda: service.said("child_ended"), "its end is told")
        until(lambda: any(b"rtms_relay.dispatching" in _command(pid) for pid in descendants(service.process.pid)), "it runs again")
        assert httpx.get(f"{worker}/health").status_code == 200


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        ("settings", "ZOOM_CLIENT_SECRET is not set"),
        ("damaged", "queue.sqlite cannot be used"),
        ("newer", "written by a newer release"),
        ("env", "line 2"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_left_running(site: Site, tmp_path: Path, prepare: str, says: str) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    changes: dict[str, str] = {}
    (tmp_path / ".env").write_text((site.cwd / ".env").read_text())
    if prepare == "settings":
        (tmp_path / ".env").write_text("ZOOM_CLIENT_ID=abcd\n")
    elif prepare == "env":
        (tmp_path / ".env").write_text("ZOOM_CLIENT_ID=abcd\nZOOM_CLIENT_SECRET='a'b'\n")
    elif prepare == "damaged":
        (directory / "queue.sqlite").write_bytes(b"x" * 8192)
    else:
        import sqlite3

        connection = sqlite3.connect(directory / "queue.sqlite")
        connection.execute(f"PRAGMA application_id = {0x72746D71}")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    done = rtmskit("serve", "--port", "0", "--directory", str(directory), cwd=tmp_path, timeout=120, **changes)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".rtmskit/serve.json").exists()


def test_a_template_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first = rtmskit("serve", "--init", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    file = tmp_path / ".env"
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text()
    file.write_text("mine")
    second = rtmskit("serve", "--init", cwd=tmp_path)
    assert second.returncode == 2
    assert file.read_text() == "mine"
    for name in ("ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_SECRET_TOKEN", "RECALL_API_KEY"):
        assert f"\n{name}=\n" in text
