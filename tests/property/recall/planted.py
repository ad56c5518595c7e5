"""Bugs of two steps in the fake Recall and the fake Cloud Tasks, each as the change that makes it and the test that must see it.

`python -m tests.property.recall.planted` puts each into a copy of the simulator and runs its test, which has to fail.
`test_planted.py` holds that every change still applies and every test is there.
"""

from __future__ import annotations

import sys

from tests.property.zoom.planted import Planted, main

WEBHOOKS = "tests/property/recall/test_webhooks_machine.py::TestWebhooksAgainstTheirDocuments"
TASKS = "tests/property/cloud_tasks/test_tasks_machine.py::TestTasksAgainstTheReference"
JOB = "tests/property/cloud_tasks/test_scheduler_machine.py::TestSchedulerAgainstTheReference"
BROKER = "cloud_tasks/broker.py"
RECORDS = "tests/unit/simulator/recall/records/test_lifecycle.py::"
LIFECYCLE = "recall/records/lifecycle.py"
UNIT = "tests/unit/simulator/recall/webhooks/test_sender.py::"
SENDER = "recall/webhooks/sender.py"

PLANTED: tuple[Planted, ...] = (
    Planted(
        "a success between two failures does not break the run that disables an endpoint",
        SENDER,
        "            endpoint.failures.ended()\n        elif",
        "        elif",
        f"{UNIT}test_one_success_breaks_the_run_of_failures",
    ),
    Planted(
        "a failure counts from its beginning, before a success that came meanwhile",
        SENDER,
        "endpoint.failures.failed(ended)",
        "endpoint.failures.failed(now)",
        f"{UNIT}test_a_failure_counts_when_it_ends",
    ),
    Planted(
        "one bad hour begins the five days",
        "recall/webhooks/failure_run.py",
        "at - self._recent[0] >= APART_S:",
        "at > self._recent[0]:",
        WEBHOOKS,
    ),
    Planted(
        "an endpoint that was enabled again carries its old failures",
        SENDER,
        "        endpoint.failures.ended()\n\n    def recover",
        "\n    def recover",
        WEBHOOKS,
    ),
    Planted(
        "what was queued before an endpoint was disabled goes out all the same",
        SENDER,
        "                if not endpoint.enabled:\n                    _not_sent(message)\n                    continue\n",
        "",
        f"{UNIT}test_what_waits_in_line_when_an_endpoint_is_disabled_is_not_sent",
    ),
    Planted(
        "a message that was sent again by hand and arrived is retried",
        SENDER,
        'if message.state == "delivered" or await self._attempt(message):',
        "if await self._attempt(message):",
        f"{UNIT}test_a_message_that_was_sent_again_by_hand_and_arrived_is_not_retried",
    ),
    Planted(
        "a message that arrived while its retries ended is called failed",
        SENDER,
        '        if message.state == "delivered":\n            return\n        message.state = "failed"',
        '        message.state = "failed"',
        f"{UNIT}test_a_message_that_arrives_while_its_last_retry_hangs_is_delivered",
    ),
    Planted(
        "a secret that was put back signs twice",
        SENDER,
        "list(dict.fromkeys([self.current, *(secret for _, secret in self._replaced)]))",
        "[self.current, *(secret for _, secret in self._replaced)]",
        WEBHOOKS,
    ),
    Planted(
        "of several replaced secrets only the last one signs",
        SENDER,
        "        self._replaced.insert(0, (now, self.current))",
        "        self._replaced = [(now, self.current)]",
        WEBHOOKS,
    ),
    Planted(
        "a replaced secret signs at its 24th hour",
        SENDER,
        "if now < at + ROTATION_S]",
        "if now <= at + ROTATION_S]",
        "tests/unit/simulator/recall/webhooks/test_sender.py::test_the_24_hours_of_a_replaced_secret_end_on_the_second",
    ),
    Planted(
        "with the first transcript that is deleted go the words for the next one",
        "recall/records/files.py",
        "        if path != keep:\n            path.unlink(missing_ok=True)",
        "        path.unlink(missing_ok=True)",
        f"{RECORDS}test_the_words_stay_for_the_next_transcript_when_one_is_deleted",
    ),
    Planted(
        "a retention counts from the end of a recording",
        LIFECYCLE,
        'recording.created_at if self._switches().retention_from == "created" else ended',
        "ended",
        f"{RECORDS}test_the_hours_of_a_retention_count_from_the_creation_or_the_end",
    ),
    Planted(
        "a transcript that was deleted is announced again with its recording",
        LIFECYCLE,
        '        if artifact.status.code == "deleted":\n            return\n        recording = ',
        "        recording = ",
        f"{RECORDS}test_the_words_stay_for_the_next_transcript_when_one_is_deleted",
    ),
    Planted(
        "a transcript can be asked for while the meeting goes on",
        "recall/http/resources.py",
        '        if recording.status.code != "done":',
        '        if recording.status.code == "deleted":',
        f"{RECORDS}test_a_transcript_can_only_be_asked_for_when_the_meeting_is_over",
    ),
    Planted(
        "a camera that went off and on sends two pictures of one moment",
        "recall/recorder/video/live_pictures.py",
        "            self._not_before[key] = source.due_ms\n",
        "",
        "tests/property/recall/test_live_pictures.py::test_a_camera_that_goes_off_and_on_sends_no_picture_more",
    ),
    Planted(
        "a second frame of one moment is a second picture",
        "recall/recorder/video/live_pictures.py",
        "        due = source.due_ms if source is not None else self._not_before.pop(key, moment_ms)",
        "        due = moment_ms",
        "tests/unit/simulator/recall/recorder/test_writer.py::test_two_pictures_of_one_moment_are_one_in_every_output",
    ),
    Planted(
        "the ETA of a task is the moment it goes out",
        "cloud_tasks/dispatch.py",
        'f"{self.scheduled_at:.6f}"',
        'f"{self.dispatched_at:.6f}"',
        TASKS,
    ),
    Planted(
        "a fault that holds a task back changes its schedule time",
        BROKER,
        'record.held_until = self._clock.now() + step.number("seconds")',
        'record.due_at = self._clock.now() + step.number("seconds")',
        TASKS,
    ),
    Planted(
        "after a forced run the delay follows the failure, not the call",
        BROKER,
        "attempt.dispatched_at if forced else self._clock.now())",
        "self._clock.now())",
        TASKS,
    ),
    Planted(
        "the retry duration may pass while a task waits for its next attempt",
        BROKER,
        "if (end := self._end_of(queue, head)) is not None:",
        "if (end := None) is not None:",
        TASKS,
    ),
    Planted(
        "the retry duration counts from the creation",
        BROKER,
        "now - record.attempts[0].dispatched_at",
        "now - record.created_at",
        TASKS,
    ),
    Planted(
        "a task that was never attempted never grows too old",
        BROKER,
        'return "expired" if now - record.created_at >= RETENTION_S else None',
        'return "expired" if record.failures and now - record.created_at >= RETENTION_S else None',
        TASKS,
    ),
    Planted(
        "the times of a job move with each run that was late",
        "cloud_tasks/scheduler.py",
        "                number = max(number + 1, latest)\n",
        "                began, number = (began, number + 1) if latest <= number else (self._clock.now(), 1)\n",
        JOB,
    ),
    Planted(
        "every time that passed is made up for, one run after the other",
        "cloud_tasks/scheduler.py",
        "number = max(number + 1, latest)",
        "number = number + 1",
        JOB,
    ),
    Planted(
        "a job that is resumed runs at once",
        "cloud_tasks/scheduler.py",
        "                if not self.paused:\n",
        "                while self.paused:\n                    await self._clock.sleep(1.0)\n                if True:\n",
        JOB,
    ),
)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PLANTED))
