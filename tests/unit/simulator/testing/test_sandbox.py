"""`rtms_simulator.testing.sandbox`: each invariant is found broken when it is, and only then."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.errors import InputError
from rtms_simulator.kit.control.invariants import INVARIANTS, judge
from rtms_simulator.recall.http.exchange import RequestRecord
from rtms_simulator.testing.sandbox import WebhookSandbox
from rtms_simulator.zoom.webhooks.events import EVENTS, WebhookEvent
from rtms_simulator.zoom.webhooks.sender import Delivery, WebhookAttempt

STREAM, SERVER = "s" * 32, "ws://127.0.0.1:1/rtms/1"
STARTED = WebhookEvent(
    "meeting.rtms_started", {**EVENTS["meeting.rtms_started"].payload, "rtms_stream_id": STREAM, "server_urls": SERVER}, 1
)


def delivery(status, *, forged="", event=STARTED, outcome="delivered"):
    attempt = WebhookAttempt(0.0, {}, status, "ReadTimeout", 0.1, b"why")
    return Delivery(1, event, "http://receiver", b"", [attempt], outcome, forged=forged)


def meeting(deliveries, joined_ms=5):
    stream = SimpleNamespace(stream_id=STREAM, joined_ms=joined_ms, state="TERMINATED", stop_reason=18)
    return SimpleNamespace(deliveries=deliveries, streams=[stream])


def mdc(server=SERVER):
    return SimpleNamespace(body={"zoom_rtms": {"rtms_stream_id": STREAM, "server_urls": server}})


def names(deliveries=(), meetings=(), mdcs=(), requests=()):
    return [problem.name for problem in judge(deliveries, meetings, mdcs, requests)]


def test_a_start_that_was_taken_handed_on_once_and_joined_is_all_well():
    one = delivery(200)
    assert names([one], [meeting([one])], [mdc()]) == []


@pytest.mark.parametrize(("status", "name"), [(401, "refused"), (404, "refused"), (500, "failed"), (-2, "failed"), (-1, "slow")])
def test_a_genuine_event_that_is_not_taken(status, name):
    assert names([delivery(status, outcome="refused")]) == [name]


def test_a_forged_event_may_be_refused_but_not_taken():
    assert names([delivery(401, forged="zoom.webhook.*: unsigned", outcome="refused")]) == []
    one = delivery(200, forged="zoom.webhook.*: unsigned")
    assert names([one], [meeting([one])]) == ["forged"]  # and nobody asks for it to reach Recall


@pytest.mark.parametrize(
    ("fault", "forges"),
    [
        ("zoom.webhook.*: wrong-signature", True),
        ("zoom.webhook.*: unsigned x*", True),
        ("zoom.webhook.*: stale 9000s", True),
        ("zoom.webhook.*: stale 85m", False),  # Zoom's last retry may keep its first stamp
        ("zoom.webhook.*: style spaced", False),
        ("zoom.webhook.*: duplicate then unsigned", False),  # its first step
    ],
)
def test_what_makes_a_forgery(world, fault, forges):
    world.fault(fault)
    sent = world.send("http://127.0.0.1:1/zoom-webhook", "meeting.rtms_stopped")
    assert sent.forged == (fault if forges else "")
    world.stack.faults.clear()
    world.allow("failed")


def test_a_start_that_was_taken_and_never_reached_recall_names_the_nearest_miss():
    one = delivery(200)
    [problem] = judge([one], [meeting([one], None)], [], [])
    assert problem.name == "lost"
    assert "no request at all" in str(problem)
    tried = [
        RequestRecord(0.0, "POST", "/api/v1/meeting_direct_connect", "", None, authorized, None, "", 401) for authorized in (True, False)
    ]
    [problem] = judge([one], [meeting([one], None)], [], tried[1:])
    assert "POST /api/v1/meeting_direct_connect was answered 401, without an Authorization header" in str(problem)


def test_twice_the_same_target_is_doubled_and_another_server_is_a_fail_over():
    one = delivery(200)
    assert names([one], [meeting([one])], [mdc(), mdc()]) == ["doubled"]
    assert names([one], [meeting([one])], [mdc(), mdc("ws://127.0.0.1:1/rtms/2")]) == []


def test_reaching_recall_without_being_joined_means_a_wrong_signature():
    one = delivery(200)
    assert names([one], [meeting([one], None)], [mdc()]) == ["unjoined"]


@pytest.fixture
def world(tmp_path):
    one = WebhookSandbox(tmp_path)
    one.start()
    yield one
    one.close()


def test_the_world_sends_arms_and_judges(world):
    nowhere = "http://127.0.0.1:1/zoom-webhook"
    assert not world.validate(nowhere).ok
    assert world.send(nowhere, "meeting.rtms_stopped", {"stop_reason": 8}).event.payload["stop_reason"] == 8
    assert [problem.name for problem in world.problems()] == ["failed"]
    world.allow("failed")
    assert world.problems() == []
    assert world.handed_on() == []
    world.fault("recall.create: 503 x2 then ok")
    world.fault("zoom.webhook.*: late 1s")
    world.recall_webhooks("http://127.0.0.1:1/recall")
    world.advance(3600)
    for wrong in ("recall.create: nonsense", "nonsense"):
        with pytest.raises(ValueError, match="nonsense"):
            world.fault(wrong)
    with pytest.raises(InputError, match=r"did you mean lost\? allowed: refused"):
        world.allow("losst")
    with pytest.raises(InputError, match=r"did you mean meeting.rtms_started\?"):
        world.send(nowhere, "meeting.rtms_startd")


def test_a_fault_that_never_acted_or_changed_nothing_is_a_problem(world):
    world.fault("recall.retrieve: 503")
    assert [str(problem) for problem in world.problems()] == [
        "unused: the fault recall.retrieve: 503 never acted\n    (every fault that was armed acts, and changes something)"
    ]
    world.stack.faults.clear()
    report = world.play("http://127.0.0.1:1/zoom-webhook", faults=["zoom.stream: drop-media at=1s"])
    world.allow("failed")
    assert [problem.what for problem in world.problems()] == [
        f"the fault {report.idle_faults[0]} never acted, or changed nothing in meeting 1"
    ]


def test_a_fault_of_a_scenario_that_never_comes_is_a_problem(world, tmp_path):
    action = '{ at_s = 3, kind = "fault", fault = "recall.create: 503" }'
    end = '{ at_s = 1, kind = "stop", stop_reason = 1 }'
    (tmp_path / "mine.toml").write_text(f'duration_s = 5\npeople = [{{ name = "Ada" }}]\ntimeline = [{end}, {action}]\n')
    world.play("http://127.0.0.1:1/zoom-webhook", str(tmp_path / "mine.toml"))
    world.allow("failed")
    assert [problem.what for problem in world.problems()] == ["the fault recall.create: 503 never acted, or changed nothing in meeting 1"]


def test_a_fault_that_changed_nothing_of_a_webhook_is_a_problem(world):
    world.fault("zoom.webhook.*: style escaped-unicode")
    world.send("http://127.0.0.1:1/zoom-webhook", "meeting.rtms_stopped")
    world.allow("failed")
    [problem] = world.problems()
    assert problem.what == "the fault zoom.webhook.*: style escaped-unicode changed nothing of meeting.rtms_stopped (delivery 1)"
    world.allow("unused")
    assert world.problems() == []


def test_a_receiver_that_takes_a_start_and_forgets_it_fails_at_once(world):
    class Forgets(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format, *args):  # noqa: A002  # the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forgets)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    real_time = Clock()
    report = world.play(f"http://127.0.0.1:{server.server_port}/", "never-joined")
    ahead = world.stack.clock.now() - real_time.now()
    server.shutdown()
    server.server_close()
    assert report.streams[0].stop_reason == 11
    assert 60 - ahead < 10  # real seconds; alone on a machine less than 2
    assert [problem.name for problem in world.problems()] == ["lost"]
    world.allow("lost")


def test_meetings_of_one_scenario_are_played_together_and_play_says_how(world, tmp_path):
    scenario = tmp_path / "three.toml"
    scenario.write_text('duration_s = 0.2\nmeetings = 3\npeople = [{ name = "Ada" }]\n')
    nowhere = "http://127.0.0.1:1/zoom-webhook"
    reports = world.play_all(nowhere, str(scenario), patience_s=0.2)
    assert len({report.entity_id for report in reports}) == len(reports) == 3
    with pytest.raises(InputError, match=r"three is 3 meetings at once: play_all plays them"):
        world.play(nowhere, str(scenario))
    world.allow("failed")


def test_faults_and_switches_can_be_given_at_the_start_and_later(tmp_path):
    sandbox = WebhookSandbox(tmp_path, faults=["recall.create: 503"], switches={"zoom.close_code": 1001})
    with pytest.raises(RuntimeError, match="start\\(\\) first"):
        _ = sandbox.stack
    sandbox.start()
    try:
        assert [str(armed.fault) for armed in sandbox.stack.faults.listed()] == ["recall.create: 503"]
        sandbox.switch(recall_page_size=3)
        assert (sandbox.stack.zoom.switches.close_code, sandbox.stack.recall.switches.page_size) == (1001, 3)
    finally:
        sandbox.close()


@pytest.mark.parametrize("wrong", [{"faults": ["nope"]}, {"switches": {"zoom.nope": 1}}])
def test_what_cannot_be_at_the_start_leaves_nothing_running(tmp_path, wrong):
    with pytest.raises(InputError, match="nope"):
        WebhookSandbox(tmp_path, **wrong).start()
    assert not [thread for thread in threading.enumerate() if thread.name == "rtms-sandbox"]


def test_every_invariant_can_be_broken():
    """Each name of the table is one of those above."""
    assert set(INVARIANTS) == {"refused", "failed", "slow", "forged", "lost", "doubled", "unjoined", "unused"}
