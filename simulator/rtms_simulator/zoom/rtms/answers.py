"""The control messages that Zoom's RTMS server sends, as JSON-ready objects (developers.zoom.us, "Universal events"). Pure.

Times are milliseconds. What each field means is on the page; what it leaves open is a switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtms_simulator.zoom.rtms.enums import MessageType, SessionState, StatusCode, StopReason, StreamState
from rtms_simulator.zoom.rtms.states import PROTOCOL_VERSION, SocketRole
from rtms_simulator.zoom.switches import ZoomSwitches

ControlMessage = dict[str, Any]

_HANDSHAKE_ANSWER = {
    SocketRole.SIGNALING: MessageType.SIGNALING_HAND_SHAKE_RESP,
    SocketRole.MEDIA: MessageType.DATA_HAND_SHAKE_RESP,
}


def reason_of(status: StatusCode, switches: ZoomSwitches) -> str:
    """`reason` beside a status code: words in lower case, because Zoom's newest clients look for "duplicate signal request" in it."""
    if status is StatusCode.OK or switches.refusal_reasons == "names":
        return status.name
    return status.name.lower().replace("_", " ")


def handshake_answer(role: SocketRole, **fields: Any) -> ControlMessage:
    """Message 2 or 4 that says yes."""
    return {
        "msg_type": int(_HANDSHAKE_ANSWER[role]),
        "protocol_version": PROTOCOL_VERSION,
        "sequence": 1,
        "status_code": int(StatusCode.OK),
        "reason": "",
        **fields,
    }


def refusal(role: SocketRole, status: StatusCode, switches: ZoomSwitches) -> ControlMessage:
    """Message 2 or 4 that says no."""
    return handshake_answer(role) | {"status_code": int(status), "reason": reason_of(status, switches)}


def event_update(event: Mapping[str, Any]) -> ControlMessage:
    """Message 6."""
    return {"msg_type": int(MessageType.EVENT_UPDATE), "event": dict(event)}


def stream_update(stream_id: str, state: StreamState, at_ms: int, reason: int = StopReason.UNDEFINED) -> ControlMessage:
    """Message 8."""
    return {
        "msg_type": int(MessageType.STREAM_STATE_UPDATE),
        "rtms_stream_id": stream_id,
        "state": int(state),
        "reason": int(reason),
        "timestamp": at_ms,
    }


def session_update(session_id: str, state: SessionState, at_ms: int, reason: int | None = None) -> ControlMessage:
    """Message 9. The documentation's example says `stop_reason`, its table says `reason`: both are sent."""
    message: ControlMessage = {
        "msg_type": int(MessageType.SESSION_STATE_UPDATE),
        "rtms_session_id": session_id,
        "state": int(state),
        "timestamp": at_ms,
    }
    return message if reason is None else message | {"stop_reason": int(reason), "reason": int(reason)}


def session_state(session_id: object, state: SessionState, at_ms: int, *, known: bool) -> ControlMessage:
    """Message 11. The documentation has a status for another session's id but no field for it here; `status_code` is inferred."""
    message: ControlMessage = {"msg_type": int(MessageType.SESSION_STATE_RESP), "rtms_session_id": session_id, "timestamp": at_ms}
    if known:
        return message | {"state": int(state)}
    return message | {"state": int(SessionState.INACTIVE), "status_code": int(StatusCode.INVALID_RTMS_SESSION_ID)}


def stream_state(stream_id: object, state: StreamState, at_ms: int, *, known: bool) -> ControlMessage:
    """Message 20. That the status for another stream's id comes in a field `status_code` is inferred, as in message 11."""
    message: ControlMessage = {"msg_type": int(MessageType.STREAM_STATE_RESP), "rtms_stream_id": stream_id, "timestamp": at_ms}
    if known:
        return message | {"state": int(state)}
    return message | {"state": int(StreamState.INACTIVE), "status_code": int(StatusCode.INVALID_RTMS_STREAM_ID)}


def keep_alive(at_ms: int, sequence: int | None) -> ControlMessage:
    """Message 12."""
    message: ControlMessage = {"msg_type": int(MessageType.KEEP_ALIVE_REQ), "timestamp": at_ms}
    return message if sequence is None else message | {"sequence": sequence}


def stream_closed(stream_id: str, status: StatusCode, at_ms: int, switches: ZoomSwitches) -> ControlMessage:
    """Message 22."""
    return {
        "msg_type": int(MessageType.STREAM_CLOSE_RESP),
        "rtms_stream_id": stream_id,
        "status_code": int(status),
        "reason": reason_of(status, switches),
        "timestamp": at_ms,
    }


def video_subscribed(user_id: object, status: StatusCode, at_ms: int, switches: ZoomSwitches) -> ControlMessage:
    """Message 29."""
    return {
        "msg_type": int(MessageType.VIDEO_SUBSCRIPTION_RESP),
        "user_id": user_id if type(user_id) is int else 0,
        "status_code": int(status),
        "reason": reason_of(status, switches),
        "timestamp": at_ms,
    }
