"""The real-time endpoints of the recordings that are being made: started with the recording, fed, ended with it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtms_simulator.clock import Clock
from rtms_simulator.recall.recorder.values import Participant, RecorderEvent
from rtms_simulator.recall.records.changes import Changes
from rtms_simulator.recall.records.workspace import Mdc, RealtimeEndpoint, Recording
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.recall.webhooks.realtime import NEVER_SENT, RealtimeSender, live_participant
from rtms_simulator.recall.webhooks.sender import Webhooks
from rtms_simulator.serving.background import BackgroundTasks

_log = logging.getLogger(__name__)


class LiveEndpoints:
    """The senders by MDC. They run in `tasks`, which the owner ends."""

    def __init__(
        self, clock: Clock, webhooks: Webhooks, changes: Changes, switches: Callable[[], RecallSwitches], tasks: BackgroundTasks
    ) -> None:
        self._clock = clock
        self._webhooks = webhooks
        self._changes = changes
        self._switches = switches
        self._tasks = tasks
        self._senders: dict[str, list[RealtimeSender]] = {}

    def start(self, mdc: Mdc) -> None:
        """The stream was joined: every endpoint is announced as running and gets what comes from now on."""
        recording = mdc.recording
        if recording is None or mdc.id in self._senders:
            return
        mdc.streaming = True
        self._senders[mdc.id] = senders = [self._sender(mdc, recording, endpoint) for endpoint in recording.endpoints]
        for endpoint in recording.endpoints:
            self._changes.announce_endpoint(mdc, recording, endpoint)
            for event, reason in NEVER_SENT.items():
                if event in endpoint.events:
                    _log.warning("real-time endpoint %s will not get %s: %s", endpoint.id, event, reason)
        for sender in senders:
            self._tasks.start(sender.run())

    def offer(self, mdc: Mdc, event: RecorderEvent) -> None:
        """Hand a recorder's event to every endpoint that subscribed to it."""
        for sender in self._senders.get(mdc.id, ()):
            sender.offer(event)

    def finish(self, mdc: Mdc) -> None:
        """Nothing more will come: what is queued is still sent."""
        for sender in self._senders.pop(mdc.id, ()):
            sender.finish()

    def clear(self) -> None:
        """Forget every sender; their tasks were ended by the owner."""
        self._senders.clear()

    def _sender(self, mdc: Mdc, recording: Recording, endpoint: RealtimeEndpoint) -> RealtimeSender:
        switches = self._switches()
        return RealtimeSender(
            self._clock,
            self._webhooks,
            recording,
            endpoint,
            buffer=switches.realtime_buffer,
            participant=live_participant if switches.realtime_participant == "typed" else Participant.as_json,
            on_end=lambda error: self._ended(mdc, recording, endpoint, error),
        )

    def _ended(self, mdc: Mdc, recording: Recording, endpoint: RealtimeEndpoint, error: tuple[str, str] | None) -> None:
        self._changes.of_endpoint(endpoint, "failed" if error else "ended", error[0] if error else None)
        if mdc.recording is not None:
            self._changes.announce_endpoint(mdc, recording, endpoint, error)
