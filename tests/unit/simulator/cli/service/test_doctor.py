"""`rtmskit doctor`: one test for each illness, against a real HTTP server that has it; and the real webhook is healthy."""

import hashlib
import hmac
import json
import os
import ssl
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from click.testing import CliRunner

from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.service import doctor as module
from rtms_simulator.cli.service import worker_checks
from rtms_simulator.cli.service.doctor import doctor
from rtms_simulator.control.descriptions import ServeDescription

SECRET = "doctor-secret-token"


class Forgiving(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that refuses the certificate hangs up."""


class Webhook(BaseHTTPRequestHandler):
    """A correct receiver; each illness overrides one point."""

    window_s = 5700.0
    skew_s = 0.0
    delay_s = 0.0
    answers_with = SECRET
    verifies = True
    needs_signature = True
    checks_token = True
    health: object = {"status": "ok", "role": "webhook", "version": "1.2.3"}
    seen: list  # of event names, per test
    signed: list  # of (event name, whether it had a signature), per test

    silent = False  # whether what is refused, and what is not known, is not answered at all

    def do_GET(self):
        if not self.silent:
            self.reply(200 if self.health else 404, self.health)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event = json.loads(body)
        self.seen.append(event["event"])
        self.signed.append((event["event"], "x-zm-signature" in self.headers))
        timestamp, signature = self.headers.get("x-zm-request-timestamp"), self.headers.get("x-zm-signature")
        if self.verifies:
            right = signature == "v0=" + hmac.new(SECRET.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
            in_time = timestamp is not None and abs(time.time() - int(timestamp)) <= self.window_s
            challenge = event["event"] == "endpoint.url_validation" and signature is None
            if not (right and in_time) and not (challenge and not self.needs_signature):
                return None if self.silent else self.reply(401, {"error": "not_authentic"})
        if event["event"] != "endpoint.url_validation":
            return self.reply(200, {"status": "accepted"})
        token = event["payload"]["plainToken"]
        if self.checks_token and not token.isalnum():
            return self.reply(400, {"error": "bad_request"})
        time.sleep(self.delay_s)
        digest = hmac.new(self.answers_with.encode(), token.encode(), hashlib.sha256).hexdigest()
        return self.reply(200, {"plainToken": token, "encryptedToken": digest})

    def reply(self, status, content):
        raw = json.dumps(content).encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + self.skew_s, usegmt=True))
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format, *args):  # noqa: A002  # the base class names it so
        pass


@pytest.fixture
def examined():
    """Run the doctor on a webhook with the given illness: (exit code, check -> finding, events it was sent)."""
    servers = []

    def run(*arguments, **illness):
        seen = []
        handler = type("Ill", (Webhook,), {"signed": [], **illness, "seen": seen})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = CliRunner().invoke(doctor, [url, "--secret-token", SECRET, "--count", "3", "--json", *arguments])
        report = json.loads(done.stdout)
        assert report["url"] == url + "/zoom-webhook"
        assert report["ok"] == (done.exit_code == 0)
        return done.exit_code, {finding["check"]: finding for finding in report["checks"]}, seen

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_healthy_endpoint_passes_every_check(examined):
    code, found, _ = examined()
    assert code == 0
    assert {check: finding["status"] for check, finding in found.items()} == {
        "tls": "skip",
        "challenge": "ok",
        "version": "ok",
        "wrong signature": "ok",
        "no signature": "ok",
        "signing oracle": "ok",
        "late retry": "ok",
        "clock": "ok",
        "latency": "ok",
    }
    assert found["version"]["found"] == "rtmskit 1.2.3, healthy"
    assert "3 challenges: median" in found["latency"]["found"]


def test_nothing_that_could_start_a_recording_is_ever_sent(examined):
    _, _, seen = examined(verifies=False, checks_token=False)
    assert set(seen) == {"endpoint.url_validation", "rtms.concurrency_near_limit"}


@pytest.mark.parametrize(
    ("illness", "check", "status", "found", "do"),
    [
        ({"answers_with": "another"}, "challenge", "fail", "encryptedToken is not", "set the app's Secret Token there"),
        ({"verifies": False}, "wrong signature", "fail", "was accepted (200)", "verify x-zm-signature"),
        ({"verifies": False}, "no signature", "fail", "was accepted (200)", "anybody can send this"),
        ({"needs_signature": False, "checks_token": False}, "signing oracle", "fail", "signs whatever", "signs any event"),
        ({"window_s": 300}, "late retry", "warn", "refused (401)", "95 minutes"),
        ({"skew_s": 120}, "clock", "fail", "ahead of", "NTP"),
        ({"skew_s": -3600}, "clock", "fail", "behind", "NTP"),
        ({"health": {}}, "version", "skip", "another receiver", ""),
        ({"health": {"status": "degraded", "version": "2"}}, "version", "fail", "degraded", "log"),
    ],
)
def test_each_illness_is_found_and_told_how_to_cure(examined, illness, check, status, found, do):
    code, findings, _ = examined(**illness)
    assert findings[check]["status"] == status
    assert found in findings[check]["found"]
    assert do in findings[check]["do"]
    assert code == (1 if status == "fail" else 0)


def test_an_endpoint_that_answers_no_challenge_is_not_blamed_for_the_late_one(examined):
    _, findings, _ = examined(answers_with="another")
    assert findings["late retry"]["status"] == "skip"
    assert "challenge" in findings["late retry"]["found"]


DEPLOYED, FORMER = "d" * 64, "f" * 64


def health(code):
    return {"status": "ok", "role": "webhook", "version": "1.2.3", "code": code}


@pytest.mark.parametrize(
    ("code", "status", "found", "do"),
    [
        (DEPLOYED, "ok", "runs what was deployed", ""),
        (FORMER, "fail", "its last build failed", "rtmskit:redeploy"),
        ("", "fail", "code without a hash", "rtmskit:redeploy"),
    ],
)
def test_code_that_was_not_deployed_is_found(examined, code, status, found, do):
    exit_code, findings, _ = examined("--code", DEPLOYED, health=health(code))
    assert findings["code"]["status"] == status
    assert found in findings["code"]["found"]
    assert do in findings["code"]["do"]
    assert exit_code == (1 if status == "fail" else 0)


def test_an_endpoint_that_names_no_code_is_not_blamed(examined):
    exit_code, findings, _ = examined("--code", DEPLOYED)
    assert findings["code"]["status"] == "skip"
    assert exit_code == 0


def check_up(store="", recall="", came=None, refused=None):
    """An answer of the worker's about a check-up of two queues."""
    queues = [
        {"name": name, "problem": (refused or {}).get(name, ""), "after_ms": (came or {}).get(name)} for name in ("facts", "handoffs")
    ]
    whole = {"number": "checkup-7", "now": 1, "store": store, "recall": recall, "recall_status": 200}
    return whole | {"queues": [] if store else queues}


@pytest.fixture
def worker():
    """A worker that shows itself to one token; its URL. `code` is what it runs."""

    class Worker(Webhook):
        code, seen, open, asked = FORMER, [], False, []
        checkup = (200, {})
        looks: list  # what the answers about a check-up say, in order; the last one stays
        handoffs = (200, {"handoffs": [], "next": None, "stream": None})
        mute = False  # whether a list is not answered at all

        def do_GET(self):
            allowed = self.headers.get("authorization") == "Bearer t0ken-of-mine" or self.open
            self.asked.append((self.path, self.headers.get("authorization", "")))
            if not allowed:
                self.reply(403, {})
            elif self.path == "/health":
                self.reply(200, health(self.code))
            elif self.path == "/handoffs/checkup/checkup-7":
                self.reply(200, check_up(**(self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])))
            elif not self.mute:
                self.reply(*self.handoffs)

        def do_POST(self):
            self.asked.append((self.path, self.headers.get("authorization", "")))
            status, more = self.checkup
            self.reply(status, check_up(**more) if status == 200 else {"error": "x", "reason": "no such path"})

    Worker.looks = [{"came": {"facts": 8}}, {"came": {"facts": 8, "handoffs": 1234}}]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Worker)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Worker
    server.shutdown()
    server.server_close()


def test_the_workers_code_is_compared_as_well(examined, worker):
    url, there = worker
    asked = ("--code", DEPLOYED, "--worker", url, "--token", "t0ken-of-mine")
    exit_code, findings, _ = examined(*asked, health=health(DEPLOYED))
    assert (exit_code, findings["code"]["status"], findings["worker code"]["status"]) == (1, "ok", "fail")
    there.code = DEPLOYED
    exit_code, findings, _ = examined(*asked, health=health(DEPLOYED))
    assert (exit_code, findings["worker"]["status"], findings["worker code"]["status"]) == (0, "ok", "ok")


def test_a_worker_is_asked_without_a_token_with_a_forged_one_and_with_ours(examined, worker):
    url, there = worker
    exit_code, findings, _ = examined("--worker", url, "--token", "t0ken-of-mine")
    assert exit_code == 0
    for check in ("worker without token", "worker, forged token", "records", "indexes", "worker clock"):
        assert findings[check]["status"] == "ok", findings[check]
    given = {token for path, token in there.asked if path.startswith("/handoffs")}
    assert {"", "Bearer t0ken-of-mine"} < given
    [forged] = given - {"", "Bearer t0ken-of-mine"}
    assert forged.count(".") == 2
    assert findings["client secret"]["status"] == "skip"  # said, and never called healthy
    assert "cannot be checked without a meeting" in findings["client secret"]["found"]


def test_a_task_goes_through_each_of_the_workers_queues(examined, worker):
    url, there = worker
    exit_code, findings, _ = examined("--worker", url, "--token", "t0ken-of-mine")
    assert exit_code == 0
    assert findings["queue facts"]["found"] == "a task came through after 8 ms"
    assert findings["queue handoffs"]["found"] == "a task came through after 1,234 ms"
    for check in ("store", "recall key"):
        assert findings[check]["status"] == "ok", findings[check]
    assert [token for path, token in there.asked if path.startswith("/handoffs/checkup")] == ["Bearer t0ken-of-mine"] * 3


@pytest.mark.parametrize(
    ("checkup", "looks", "check", "status", "found", "do"),
    [
        (
            (200, {"recall": "Recall answered 401: wrong RECALL_API_KEY"}),
            None,
            "recall key",
            "fail",
            "wrong RECALL_API_KEY",
            "#recall-refuses",
        ),
        ((200, {"store": "PermissionDenied"}), None, "store", "fail", "cannot be written: PermissionDenied", "#store-away"),
        ((200, {"refused": {"facts": "NOT_FOUND"}}), None, "queue facts", "fail", "takes no task: NOT_FOUND", "#queue-stalled"),
        ((200, {}), [{"came": {"facts": 1}}], "queue handoffs", "fail", "did not come through within 1 s", "is the queue paused"),
        ((404, {}), None, "check-up", "skip", "of an earlier release", ""),
        ((500, {}), None, "check-up", "fail", "was answered with 500: no such path", "the worker's log"),
    ],
)
def test_what_is_wrong_behind_the_worker_is_found(examined, worker, monkeypatch, checkup, looks, check, status, found, do):
    monkeypatch.setattr(worker_checks, "ARRIVES_WITHIN_S", 1.0)
    url, there = worker
    there.checkup, there.looks = checkup, looks or there.looks
    exit_code, findings, _ = examined("--worker", url, "--token", "t0ken-of-mine")
    assert (findings[check]["status"], exit_code) == (status, 1 if status == "fail" else 0)
    assert found in findings[check]["found"]
    assert do in findings[check]["do"]
    assert worker_checks.UNSEEN[0][0] in findings


def test_a_task_has_a_minute_to_come_through():
    assert worker_checks.ARRIVES_WITHIN_S == 60


def test_without_a_url_something_must_run_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(doctor, [])
    assert done.exit_code == 3
    assert "no `rtmskit up` is running here" in done.stderr


def test_without_a_url_it_is_the_serve_that_runs_here_with_the_token_of_its_env_file(tmp_path, monkeypatch, worker):
    url, _ = worker
    monkeypatch.chdir(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Webhook,), {"seen": [], "signed": []}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    described = ServeDescription(
        webhook_url=f"http://127.0.0.1:{server.server_port}/zoom-webhook",
        recall_webhook_url="",
        worker_url=url,
        worker_token="t0ken-of-mine",
        state_url="",
        queue_file="",
        ca_file=None,
        pid=os.getpid(),
    )
    running.write(tmp_path / ".rtmskit/serve.json", described)
    (tmp_path / ".env").write_text(f"ZOOM_SECRET_TOKEN={SECRET}\n")
    done = CliRunner().invoke(doctor, ["--count", "1", "--json"])
    server.shutdown()
    server.server_close()
    assert done.exit_code == 0, done.output
    findings = {one["check"]: one["status"] for one in json.loads(done.stdout)["checks"]}
    assert (findings["challenge"], findings["queue facts"], findings["records"]) == ("ok", "ok", "ok")


def test_a_worker_that_anybody_may_ask_is_a_failure(examined, worker):
    url, there = worker
    there.open = True
    exit_code, findings, _ = examined("--worker", url, "--token", "t0ken-of-mine")
    assert exit_code == 1
    assert findings["worker without token"]["status"] == findings["worker, forged token"]["status"] == "fail"
    assert "workerCallers" in findings["worker without token"]["do"]


def test_records_that_cannot_be_read_are_a_failure_with_the_workers_reason(examined, worker):
    url, there = worker
    there.handoffs = (500, {"error": "store_unavailable", "reason": "Firestore could not newest: PermissionDenied"})
    exit_code, findings, _ = examined("--worker", url, "--token", "t0ken-of-mine")
    assert (exit_code, findings["records"]["status"], findings["indexes"]["status"]) == (1, "fail", "warn")
    assert "PermissionDenied" in findings["records"]["found"]


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_an_endpoint_on_this_machine_is_reached_past_the_proxy(examined, monkeypatch, proxy):
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    exit_code, findings, _ = examined()
    assert (exit_code, findings["challenge"]["status"]) == (0, "ok")


@pytest.mark.parametrize("needs_signature", [False, True])
def test_a_request_that_is_not_answered_is_a_finding_and_not_the_end(examined, needs_signature):
    """A firewall in front of a receiver may drop what it does not like, unsigned challenges, too."""
    exit_code, findings, _ = examined("--code", DEPLOYED, silent=True, needs_signature=needs_signature)
    assert exit_code == 1
    assert {check: finding["status"] for check, finding in findings.items()} == {
        "tls": "skip",
        "challenge": "ok",
        "version": "skip",
        "code": "skip",
        "wrong signature": "fail",
        "no signature": "fail",
        "signing oracle": "fail" if needs_signature else "ok",
        "clock": "ok",
        "late retry": "ok",
        "latency": "ok",
    }
    assert "was not answered: " in findings["no signature"]["found"]
    assert "answer 401" in findings["no signature"]["do"]


def test_a_worker_that_does_not_answer_in_between_is_not_taken_for_the_webhook(examined, worker):
    """Its store may be away: then it has a health, and no list. What else there is to say of both is still said."""
    url, there = worker
    there.mute = True
    exit_code, findings, _ = examined("--code", DEPLOYED, "--worker", url, "--token", "t0ken-of-mine")
    assert (exit_code, findings["worker"]["status"]) == (1, "fail")
    assert "/handoffs was not answered: " in findings["worker"]["found"]
    assert "#store-away" in findings["worker"]["do"]
    assert findings["worker code"]["status"] == "fail"
    assert findings["challenge"]["status"] == findings["latency"]["status"] == "ok"


def test_a_worker_that_lets_nobody_in_is_a_warning_with_the_way_in(examined, worker):
    exit_code, findings, _ = examined("--worker", worker[0])
    assert (exit_code, findings["worker"]["status"]) == (0, "warn")
    assert "workerCallers" in findings["worker"]["do"]
    exit_code, findings, _ = examined("--worker", "http://127.0.0.1:9")
    assert (exit_code, findings["worker"]["status"]) == (1, "fail")
    assert "does not answer" in findings["worker"]["found"]


@pytest.mark.parametrize(
    ("arguments", "why"), [(["--code", "latest"], "not a hash"), (["--worker", "http://worker.example.com"], "not encrypted")]
)
def test_what_pulumi_does_not_say_is_refused(arguments, why):
    done = CliRunner().invoke(doctor, ["https://rtms.example.com", "--secret-token", SECRET, *arguments])
    assert done.exit_code == 2
    assert why in done.stderr


def test_slow_answers_are_measured_against_zooms_limit(examined, monkeypatch):
    monkeypatch.setattr(module, "ACK_LIMIT_S", 0.2)
    code, findings, _ = examined(delay_s=0.25)
    assert findings["latency"]["status"] == "fail"
    assert "keep an instance warm" in findings["latency"]["do"]
    assert code == 1


def test_a_wrong_secret_token_is_the_first_suspicion_when_everything_is_refused(examined):
    _, findings, _ = examined("--secret-token", "not-the-one")
    assert findings["challenge"]["status"] == "fail"
    assert "Secret Token" in findings["challenge"]["do"]


@pytest.mark.parametrize("needs_signature", [True, False])
def test_with_a_wrong_secret_nothing_else_is_blamed(examined, needs_signature):
    code, findings, _ = examined("--secret-token", "not-the-one", needs_signature=needs_signature)
    assert code == 1
    assert {check: one["status"] for check, one in findings.items() if one["status"] not in ("ok", "skip")} == {"challenge": "fail"}
    assert not [one for one in findings.values() if "window" in one["do"] or "instance warm" in one["do"]]
    assert findings["late retry"]["found"].startswith("it is asked with a challenge")


def test_a_wrong_secret_is_found_without_a_request_whose_refusal_is_an_alert(examined):
    """A refused URL validation is one, and so are signed events that are refused while none is accepted."""
    signed = []
    _, findings, _ = examined("--secret-token", "not-the-one", needs_signature=False, signed=signed)
    assert "another secret than the one given here" in findings["challenge"]["do"]
    assert [name for name, with_signature in signed if with_signature] == ["rtms.concurrency_near_limit"]  # the wrong signature, on purpose


def test_as_text_every_finding_stands_on_a_line_with_its_cure_below():
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Open", (Webhook,), {"verifies": False, "seen": [], "signed": []}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    done = CliRunner().invoke(doctor, [f"http://127.0.0.1:{server.server_port}/zoom-webhook", "--secret-token", SECRET, "--count", "1"])
    server.shutdown()
    server.server_close()
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert any(line.startswith("fail  wrong signature") for line in lines)
    assert any(line.lstrip().startswith("-> verify x-zm-signature") for line in lines)
    assert SECRET not in done.output


@pytest.fixture
def encrypted(tmp_path):
    """A healthy webhook over TLS: (https URL, file of the CA that signed it)."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Forgiving(("127.0.0.1", 0), type("Encrypted", (Webhook,), {"seen": [], "signed": []}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://localhost:{server.server_port}", str(tmp_path / "ca.pem")
    server.shutdown()
    server.server_close()


def test_encryption_and_the_certificate_are_looked_at(encrypted):
    url, ca = encrypted
    done = CliRunner().invoke(doctor, [url, "--secret-token", SECRET, "--count", "1", "--ca", ca, "--json"])
    [tls] = [finding for finding in json.loads(done.stdout)["checks"] if finding["check"] == "tls"]
    assert tls["status"] == "ok"
    assert tls["found"].startswith("TLSv1.3, certificate verified")


def test_a_certificate_about_to_expire_is_a_warning(encrypted, monkeypatch):
    monkeypatch.setattr(module, "CERTIFICATE_DAYS", 10**6)
    url, ca = encrypted
    done = CliRunner().invoke(doctor, [url, "--secret-token", SECRET, "--count", "1", "--ca", ca])
    assert done.exit_code == 0
    assert "renew the certificate" in done.output


def test_a_certificate_of_an_unknown_authority_is_refused_as_zoom_would(encrypted):
    done = CliRunner().invoke(doctor, [encrypted[0], "--secret-token", SECRET])
    assert done.exit_code == 3
    assert "cannot be verified" in done.stderr
    assert "whole chain of a public CA" in done.stderr


def test_nobody_there_is_said_with_an_exit_code_of_its_own():
    done = CliRunner().invoke(doctor, ["http://127.0.0.1:9", "--secret-token", SECRET])
    assert done.exit_code == 3
    assert "does not answer" in done.stderr


@pytest.mark.parametrize(("url", "why"), [("rtms.example.com", "not a URL"), ("http://rtms.example.com", "not encrypted")])
def test_an_unusable_address_is_refused(url, why):
    done = CliRunner().invoke(doctor, [url, "--secret-token", SECRET])
    assert done.exit_code == 2
    assert why in done.stderr


def test_a_missing_secret_token_is_refused():
    done = CliRunner().invoke(doctor, ["https://rtms.example.com"], env={"ZOOM_SECRET_TOKEN": ""})
    assert done.exit_code == 2
    assert "--secret-token is missing" in done.stderr


def test_the_share_that_a_rank_covers_is_the_nearest_one():
    assert module._rank([1.0], 0.99) == 1.0
    assert module._rank([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert module._rank([float(n) for n in range(1, 101)], 0.5) == 50.0
