"""Bugs of two steps (reconnect, speed, order, scope), each as the change that makes it and the test that must see it.

`python -m tests.property.zoom.planted` puts each into a copy of the simulator and runs its test, which has to fail.
`test_planted.py` holds that every change still applies and every test is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "simulator/rtms_simulator"
EXACT = "tests/property/zoom/test_exactness.py::test_media_is_exact_to_the_packet"
MACHINE = "tests/property/zoom/test_stream_machine.py::TestStream"
UNIT = "tests/unit/simulator/zoom"
PROTOCOL = f"{UNIT}/rtms/test_protocol.py::"
ROSTER = f"{UNIT}/meeting/test_roster.py::"
CALLS = f"{UNIT}/meeting/test_calls.py::"
SOCKETS = f"{UNIT}/event_socket/test_event_socket.py::"
PLAIN = f"{UNIT}/meeting/test_plain_events.py::"


class Planted(NamedTuple):
    """`before` in `file` becomes `after`; `killer` must fail then."""

    name: str
    file: str
    before: str
    after: str
    killer: str


PLANTED: tuple[Planted, ...] = (
    Planted(
        "a change of the clock's rate forgets what has passed since the last one",
        "clock.py",
        "        self._base += (mono - self._mono) * self.rate\n",
        "",
        MACHINE,
    ),
    Planted(
        "pictures come twice after their socket broke and came back in the same moment",
        "zoom/rtms/stream.py",
        "self._resume_ms.get((kind, user_id), 0)",
        "0 if kind is MediaType.VIDEO else self._resume_ms.get((kind, user_id), 0)",
        MACHINE,
    ),
    Planted(
        "packets overtake the stop that comes before them",
        "zoom/meeting/timeline.py",
        "if self._gate_ms is not None and at_ms > self._gate_ms:",
        "if False:",
        EXACT,
    ),
    Planted(
        "an action does not wait for flows that are late",
        "zoom/meeting/timeline.py",
        "        await self._wait_for_flows(at_ms, over)\n",
        "",
        f"{UNIT}/meeting/test_timeline.py::test_an_action_waits_for_every_packet_before_it_and_no_later_one_passes",
    ),
    Planted(
        "sound of a pause is sent after a reconnect",
        "zoom/rtms/stream.py",
        "if self._pauses.cover(packet.at_ms):",
        "if not self.protocol.flowing:",
        EXACT,
    ),
    Planted(
        "a run begins again at the packet that was sent last",
        "zoom/rtms/stream.py",
        "packet.at_ms + (packet.duration_ms if kind is MediaType.AUDIO else 1)",
        "packet.at_ms",
        EXACT,
    ),
    Planted(
        "after a reconnect what was missed is gone",
        "zoom/rtms/stream.py",
        "return max(timeline.at_clock(buffered_from), timeline.position_ms - round(switches.audio_buffer_s * 1000))",
        "return timeline.position_ms",
        EXACT,
    ),
    Planted(
        "a pause does not outlast a reconnect",
        "zoom/rtms/protocol.py",
        "        if self.session_state is SessionState.PAUSED:\n",
        "        if False:\n",
        f"{PROTOCOL}test_a_pause_lasts_over_a_reconnect",
    ),
    Planted(
        "a resume while the app is away is lost",
        "zoom/rtms/protocol.py",
        "if self.state is StreamState.INTERRUPTED and self.session_state in running:",
        "if False:",
        f"{PROTOCOL}test_a_pause_lasts_over_a_reconnect",
    ),
    Planted(
        "individual video flows before CLIENT_READY_ACK",
        "zoom/rtms/protocol.py",
        "if media is not None and self._sockets[media].flowing:",
        "if media is not None:",
        f"{PROTOCOL}test_individual_video_that_was_chosen_before_ready_starts_with_ready",
    ),
    Planted(
        "a participant chosen before CLIENT_READY_ACK is forgotten with it",
        "zoom/rtms/protocol.py",
        "self._audio_from, self.video.selected.get(conn))",
        "self._audio_from, None)",
        f"{PROTOCOL}test_individual_video_that_was_chosen_before_ready_starts_with_ready",
    ),
    Planted(
        "a broken socket keeps its participant, who then counts as subscribed twice",
        "zoom/rtms/protocol.py",
        "        self.video.forget(conn)\n",
        "",
        f"{PROTOCOL}test_individual_video_is_chosen_again_after_its_socket_broke",
    ),
    Planted(
        "a fourth individual video pushes out the newest instead of the oldest",
        "zoom/rtms/video_subscriptions.py",
        "conn = next(iter(self.selected)) if free is None else free",
        "conn = connections[-1] if free is None else free",
        f"{PROTOCOL}test_several_individual_videos_have_a_connection_each",
    ),
    Planted(
        "who takes a stream over is told nothing, because the state did not move",
        "zoom/rtms/protocol.py",
        "        self._move(StreamTrigger.SIGNALING_LOST)\n        effects",
        "        effects",
        f"{PROTOCOL}test_a_second_signaling_connection_may_displace_the_first",
    ),
    Planted(
        "a late subscriber hears of a share outside the app's scopes",
        "zoom/meeting/roster.py",
        "at_ms, _named(self._sharer), MediaType.DESKSHARE)",
        "at_ms, _named(self._sharer))",
        f"{ROSTER}test_share_events_need_the_share_scope_and_chat_groups_the_chat_scope",
    ),
    Planted(
        "who shares and leaves shares on for late subscribers",
        "zoom/meeting/roster.py",
        "sharing = self._share_stop(action, person, at_ms)",
        "sharing: list[StreamEvent] = []",
        f"{ROSTER}test_a_late_subscriber_hears_of_nobody_who_has_left",
    ),
    Planted(
        "who spoke and left is the active speaker for late subscribers",
        "zoom/meeting/roster.py",
        "        if self._speaker == person:\n            self._speaker = None\n",
        "",
        f"{ROSTER}test_a_late_subscriber_hears_of_nobody_who_has_left",
    ),
    Planted(
        "somebody else's share_stop ends a share",
        "zoom/meeting/roster.py",
        "if self._sharer is None or person != self._sharer:",
        "if self._sharer is None:",
        f"{ROSTER}test_a_share_ends_with_the_next_one_with_its_owner_and_by_nobody_else",
    ),
    Planted(
        "one party's end of hold ends every hold",
        "zoom/meeting/roster.py",
        'self._lasting.pop((_ENDS.get(name, ""), person.user_id), None)',
        "self._lasting.clear()",
        f"{CALLS}test_who_subscribes_late_learns_of_a_hold_that_lasts",
    ),
    Planted(
        "a late subscriber is told the time of its subscription as that of the answer",
        "zoom/meeting/roster.py",
        "            events += self._lasting.values()\n",
        '            events += [StreamEvent(e.number, {**e.fields, "event_ts": at_ms}) for e in self._lasting.values()]\n',
        f"{CALLS}test_who_subscribes_late_learns_that_the_customer_has_answered_and_when",
    ),
    Planted(
        "the first message of the event WebSocket overtakes the answer to the upgrade",
        "zoom/rtms/server.py",
        "            self._flush()  # messages must not overtake the answer\n",
        "",
        f"{SOCKETS}test_heartbeats_are_answered_and_without_them_the_connection_is_closed",
    ),
    Planted(
        "a token opens another app's subscription",
        "zoom/event_socket/sockets.py",
        "return None if app is not None and app.client_id == client_id else",
        "return None if app is not None else",
        f"{SOCKETS}test_a_token_that_is_wrong_expired_or_anothers_gets_no_connection",
    ),
    Planted(
        "an expired token is a token",
        "zoom/oauth.py",
        "return client_id if expires > self._clock.now() else None",
        "return client_id or None",
        f"{SOCKETS}test_a_token_that_is_wrong_expired_or_anothers_gets_no_connection",
    ),
    Planted(
        "the displaced event WebSocket takes the new one with it when it closes",
        "zoom/event_socket/sockets.py",
        "            if other is socket:\n",
        "            if other is not None:\n",
        f"{SOCKETS}test_a_second_connection_takes_the_place_of_the_first",
    ),
    Planted(
        "two meetings that begin together have one event_ts",
        "zoom/fake.py",
        "self._last_event_ts = max(at_ms, self._last_event_ts + 1)",
        "self._last_event_ts = at_ms",
        f"{PLAIN}test_no_two_events_have_one_event_ts",
    ),
    Planted(
        "the paths of a server that died are kept when its meeting is over",
        "zoom/fake.py",
        "            self._dead.difference_update(",
        "            set(self._dead).difference_update(",
        f"{PLAIN}test_an_ended_meeting_leaves_nothing_but_its_report",
    ),
    Planted(
        "somebody who has not joined yet starts RTMS",
        "zoom/rest.py",
        "if person is None or person.user_id not in meeting.roster.present:",
        "if person is None:",
        f"{PLAIN}test_a_start_by_hand_needs_an_invitee_who_is_there",
    ),
    Planted(
        "a change of the clock's rate loses what passes between two readings",
        "clock.py",
        "        self._mono, self.rate = mono, rate\n",
        "        self._mono, self.rate = time.monotonic(), rate\n",
        "tests/unit/simulator/test_clock.py::test_a_change_of_rate_does_not_jump",
    ),
)


def outcome(planted: Planted, killer: str) -> int:
    """pytest's exit code for `killer` on a copy of the package that has the bug."""
    with tempfile.TemporaryDirectory(prefix="rtmskit-planted-") as folder:
        copy = Path(folder) / "rtms_simulator"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / planted.file
        file.write_text(file.read_text().replace(planted.before, planted.after, 1))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "--timeout", "900", killer]
        environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        # A test that is stopped by its time limit has seen nothing, though pytest's exit code is that of a failure.
        return -1 if "+ Timeout +" in run.stdout + run.stderr else run.returncode


def main(names: list[str], bugs: Sequence[Planted] = PLANTED) -> int:
    chosen = [planted for planted in bugs if not names or any(name in planted.name for name in names)]
    alive = 0
    for planted in chosen:
        killed = outcome(planted, planted.killer) == 1
        alive += not killed
        sys.stdout.write(f"{'killed' if killed else 'ALIVE '}  {planted.name}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - alive} of {len(chosen)} killed by name\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
