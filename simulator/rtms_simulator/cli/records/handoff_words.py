"""What a hand-off's state means for a person, and what to do next: one table, with the section of docs/runbook.md that says more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtms_simulator.kit.worker_answers import HandOffRow

RESTART = "While the meeting runs, ask the host to stop the app and start it again: that is a new start."


@dataclass(frozen=True, slots=True)
class Meaning:
    """What it means, what to do, and the runbook's section."""

    means: str
    do: str
    section: str


BY_STATE: Mapping[str, Meaning] = {
    "pending": Meaning(
        "The start is being handed to Recall; there is no final answer of Recall yet.",
        "Wait for the end of its window. `rtmskit handoffs retry ID` skips the pause before the next try.",
        "state-pending",
    ),
    "cancelled": Meaning(
        "The stream ended, or was revoked, before Recall had accepted it: there is no recording.",
        "Nothing is wrong if the meeting was that short. Otherwise see why the hand-off took so long: the tries above.",
        "state-cancelled",
    ),
    "superseded": Meaning(
        "A later start of the same stream took its place (fail-over, or a new recording).",
        "Look at the later hand-off of the stream: `rtmskit handoffs list --stream STREAM`.",
        "state-superseded",
    ),
    "failed": Meaning(
        "Recall refused it for good, or Zoom named servers that are not allowed to get a signature: this stream is not recorded.",
        f"Fix the cause that the reason names; within the window `rtmskit handoffs retry ID` tries again. {RESTART}",
        "state-failed",
    ),
    "expired": Meaning(
        "It could not be handed on within its window, and Zoom has dropped the stream: it is not recorded.",
        f"See the tries above for why Recall was not reached. {RESTART}",
        "state-expired",
    ),
    "accepted": Meaning("Recall has accepted the stream.", "Nothing: its recording is looked for when the stream ends.", "state-accepted"),
}
"""While, or as far as, no recording is looked for."""

BY_RECORDING: Mapping[str, Meaning] = {
    "awaiting": Meaning(
        "Recall has accepted the stream; its recording is not final yet.",
        "Nothing while the meeting runs. After its end `rtmskit handoffs retry ID` looks for the recording at once.",
        "recording-awaiting",
    ),
    "done": Meaning("Everything was recorded.", "`rtmskit recordings download ID` fetches it.", "recording-done"),
    "partial": Meaning(
        "There is a recording, but a part that belongs to it failed or never came.",
        "Fetch what is there with `rtmskit recordings download ID`. For the rest give Recall's support the MDC id.",
        "recording-partial",
    ),
    "none_made": Meaning(
        "Recall accepted the stream, and no recording was made.",
        "The reason names the likely cause. `rtmskit handoffs retry ID` looks once more. Else give Recall's support the MDC id.",
        "recording-none_made",
    ),
    "failed": Meaning(
        "Recall made a recording, and it failed.",
        "Give Recall's support the MDC id. `rtmskit handoffs retry ID` looks once more.",
        "recording-failed",
    ),
    "forgetting": Meaning(
        "The right to keep it was withdrawn (stop_reason 8); its content is being deleted.",
        "Nothing. If the deletion is refused for an hour, an alert says why.",
        "recording-forgetting",
    ),
    "forgotten": Meaning("The right to keep it was withdrawn, and its content was deleted.", "Nothing.", "recording-forgotten"),
}

NOT_JOINED = Meaning(
    "Recall accepted the stream, and Zoom says that nobody joined it: there is no recording, or only its beginning.",
    f"Fix the cause that Zoom's stop reason names. {RESTART}",
    "not-joined",
)

UNSURE = "One of its tries may have made a second recording at Recall, or one that no answer named: it is looked for by its metadata."


def meaning(row: HandOffRow) -> Meaning:
    """What the states of one hand-off mean together."""
    if row.retrieval in ("forgetting", "forgotten"):
        return BY_RECORDING[row.retrieval]
    if row.not_joined and row.retrieval != "done":
        return NOT_JOINED
    if row.retrieval in BY_RECORDING and not (row.state == "superseded" and row.retrieval == "awaiting"):
        return BY_RECORDING[row.retrieval]
    return BY_STATE[row.state]
