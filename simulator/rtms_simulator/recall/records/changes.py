"""Changes of state as the tables say, each announced by its webhook."""

from __future__ import annotations

from collections.abc import Callable

from rtms_simulator.clock import Clock
from rtms_simulator.recall.records.tables import step
from rtms_simulator.recall.records.workspace import Artifact, Mdc, RealtimeEndpoint, Recording, Status
from rtms_simulator.recall.switches import RecallSwitches
from rtms_simulator.recall.webhooks.bodies import webhook_body
from rtms_simulator.recall.webhooks.sender import Webhooks


class Changes:
    """Applies facts to objects at the clock's present moment and sends what is to be announced."""

    def __init__(self, clock: Clock, webhooks: Webhooks, switches: Callable[[], RecallSwitches]) -> None:
        self._clock = clock
        self._webhooks = webhooks
        self._switches = switches

    def of_mdc(self, mdc: Mdc, fact: str, sub_code: str | None = None) -> None:
        """No webhook tells of an MDC's state: Recall's event catalogue has none."""
        code = step("mdc", mdc.status.code, fact)
        if code != mdc.status.code:
            mdc.status = Status(code, self._clock.now(), sub_code)
            mdc.changes.append(mdc.status)

    def of_recording(self, mdc: Mdc, recording: Recording, fact: str, event: str, sub_code: str | None = None) -> None:
        """Announced as `event`, unless the fact changes nothing."""
        code = step("recording", recording.status.code, fact)
        if code != recording.status.code:
            recording.status = Status(code, self._clock.now(), sub_code)
            self.announce_recording(mdc, recording, event)

    def of_artifact(self, artifact: Artifact, fact: str, sub_code: str | None = None) -> None:
        """Announced by the caller, when all that happens together has happened."""
        artifact.status = Status(step("artifact", artifact.status.code, fact), self._clock.now(), sub_code)

    def of_endpoint(self, endpoint: RealtimeEndpoint, fact: str, sub_code: str | None = None) -> None:
        endpoint.status = Status(step("realtime_endpoint", endpoint.status.code, fact), self._clock.now(), sub_code)

    def announce_start(self, mdc: Mdc, recording: Recording) -> None:
        """`recording.processing` and the artifacts' own, once."""
        if recording.announced:
            return
        recording.announced = True
        self.announce_recording(mdc, recording, "recording.processing")
        for artifact in recording.artifacts:
            self.announce_artifact(mdc, recording, artifact)

    def announce_recording(self, mdc: Mdc, recording: Recording, event: str) -> None:
        self._webhooks.emit(event, webhook_body(event, recording.status, mdc, recording, self._switches()))

    def announce_artifact(self, mdc: Mdc, recording: Recording, artifact: Artifact) -> None:
        event = f"{artifact.kind}.{artifact.status.code}"
        about = {artifact.kind: artifact}
        self._webhooks.emit(event, webhook_body(event, artifact.status, mdc, recording, self._switches(), about=about))

    def announce_endpoint(self, mdc: Mdc, recording: Recording, endpoint: RealtimeEndpoint, error: tuple[str, str] | None = None) -> None:
        """`error`: code and message of why it failed."""
        event = f"realtime_endpoint.{endpoint.status.code}"
        about = {"realtime_endpoint": endpoint}
        reason = {"code": error[0], "message": error[1]} if error else None
        self._webhooks.emit(event, webhook_body(event, endpoint.status, mdc, recording, self._switches(), about=about, error=reason))
