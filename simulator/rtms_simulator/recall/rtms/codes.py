"""The numbers of Zoom's RTMS protocol that a recorder meets, and what Recall's fake makes of them.

Read from Zoom's RTMS pages on data types, events and stop reasons, apart from the simulator's Zoom (the two meet over the wire only). The
sub_codes are invented: Recall publishes none for RTMS (inferred).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

PROTOCOL_OK = 0  # status_code of an answer that accepts


class WireMessage(IntEnum):
    """`msg_type`, as far as a recorder meets it (Zoom's page on RTMS data types)."""

    SIGNALING_HANDSHAKE_REQUEST = 1
    SIGNALING_HANDSHAKE_RESPONSE = 2
    MEDIA_HANDSHAKE_REQUEST = 3
    MEDIA_HANDSHAKE_RESPONSE = 4
    EVENT_SUBSCRIPTION = 5
    EVENT_UPDATE = 6
    CLIENT_READY_ACK = 7
    STREAM_STATE_UPDATE = 8
    SESSION_STATE_UPDATE = 9
    KEEP_ALIVE_REQUEST = 12
    KEEP_ALIVE_RESPONSE = 13
    AUDIO_DATA = 14
    VIDEO_DATA = 15
    DESKSHARE_DATA = 16
    TRANSCRIPT_DATA = 17


class WireStreamState(IntEnum):
    """`state` of a stream state update that a recorder acts on."""

    TERMINATING = 3
    TERMINATED = 4
    PAUSED = 5
    RESUMED = 6


class WireSessionState(IntEnum):
    """`state` of a session state update that a recorder acts on."""

    PAUSED = 3
    RESUMED = 4
    STOPPED = 5


class WireEvent(IntEnum):
    """`event_type` of an event update that a recorder acts on. 10 and up are chat groups or contact-center steps."""

    FIRST_PACKET_TIMESTAMP = 1
    ACTIVE_SPEAKER_CHANGE = 2
    PARTICIPANT_JOIN = 3
    PARTICIPANT_LEAVE = 4
    SHARING_START = 5
    SHARING_STOP = 6
    MEDIA_CONNECTION_INTERRUPTED = 7
    PARTICIPANT_VIDEO_ON = 8
    PARTICIPANT_VIDEO_OFF = 9


SIGNALING = "signaling"
ALL = "all"
# kind -> (media_type flag, msg_type of its data). Chat is not asked for: Meeting Direct Connect records none.
KINDS: Mapping[str, tuple[int, int]] = {
    "audio": (1, WireMessage.AUDIO_DATA),
    "video": (2, WireMessage.VIDEO_DATA),
    "deskshare": (4, WireMessage.DESKSHARE_DATA),
    "transcript": (8, WireMessage.TRANSCRIPT_DATA),
}
ALL_FLAG = 32
KIND_OF_MESSAGE: Mapping[int, str] = {message: kind for kind, (_, message) in KINDS.items()}

# What a refused handshake becomes is `zoom_rtms_` and the lower-case name (inferred: the codes are Recall's to choose).
STATUS_NAMES: Mapping[int, str] = {
    1: "invalid_message_type",
    2: "invalid_rtms_stream_id",
    3: "invalid_signature",
    4: "invalid_payload",
    5: "invalid_events",
    6: "invalid_event_type",
    7: "invalid_media_type",
    8: "duplicate_signal_request",
    9: "media_type_audio_not_support",
    10: "media_type_video_not_support",
    11: "media_type_deskshare_not_support",
    12: "media_type_transcript_not_support",
    13: "media_type_chat_not_support",
    14: "media_type_invalid_value",
    15: "media_data_all_connection_exist",
    16: "duplicate_media_data_connection",
    17: "invalid_media_params",
    18: "invalid_media_audio_params",
    19: "invalid_media_audio_content_type",
    20: "invalid_media_audio_sample_rate",
    21: "invalid_media_audio_channel",
    22: "invalid_media_audio_codec",
    23: "invalid_media_audio_data_opt",
    24: "invalid_media_audio_send_rate",
    25: "invalid_media_video_params",
    26: "invalid_media_video_content_type",
    27: "invalid_media_video_codec",
    28: "invalid_media_video_resolution",
    29: "invalid_media_video_data_opt",
    30: "invalid_media_video_fps",
    31: "invalid_media_deskshare_params",
    32: "invalid_media_deskshare_content_type",
    33: "invalid_media_deskshare_codec",
    34: "invalid_media_deskshare_resolution",
    35: "invalid_media_deskshare_fps",
    36: "invalid_media_transcript_params",
    37: "invalid_media_transcript_content_type",
    38: "invalid_media_chat_params",
    39: "invalid_media_chat_content_type",
    40: "invalid_rtms_session_id",
    41: "invalid_client_ready_ack",
    42: "invalid_event_subscribe",
    43: "invalid_media_transcript_source_language",
    44: "duplicate_video_subscription",
    45: "internal_exception",
    46: "invalid_media_transcript_target_language",
    47: "chat_session_key_not_available",
}
# An older connection of the same stream is still up: worth another try, as Zoom's samples do.
BUSY_STATUS = frozenset({8, 15, 16})

# Stop reasons after which the recording is shorter than the meeting was. The others end a meeting properly.
CUT_SHORT: Mapping[int, str] = {
    10: "zoom_rtms_internal_exception",
    11: "zoom_rtms_connection_timeout",
    12: "zoom_rtms_instance_connection_interrupted",
    13: "zoom_rtms_signal_connection_interrupted",
    14: "zoom_rtms_data_connection_interrupted",
    15: "zoom_rtms_signal_connection_closed_abnormally",
    16: "zoom_rtms_data_connection_closed_abnormally",
    17: "zoom_rtms_exit_signal",
    18: "zoom_rtms_authentication_failure",
    19: "zoom_rtms_await_reconnection_timeout",
    24: "zoom_rtms_keep_alive_timeout",
}

# Events that come without a subscription.
FIRST_PACKET_TIMESTAMP = WireEvent.FIRST_PACKET_TIMESTAMP
MEDIA_CONNECTION_INTERRUPTED = WireEvent.MEDIA_CONNECTION_INTERRUPTED
# What is reported about participants, by event_type.
PARTICIPANT_NOTICES: Mapping[int, str] = {
    WireEvent.ACTIVE_SPEAKER_CHANGE: "active_speaker",
    WireEvent.PARTICIPANT_JOIN: "join",
    WireEvent.PARTICIPANT_LEAVE: "leave",
    WireEvent.SHARING_START: "screenshare_on",
    WireEvent.SHARING_STOP: "screenshare_off",
    WireEvent.PARTICIPANT_VIDEO_ON: "webcam_on",
    WireEvent.PARTICIPANT_VIDEO_OFF: "webcam_off",
}
# Those that carry a list of participants instead of one.
LISTED_NOTICES = frozenset(
    {WireEvent.PARTICIPANT_JOIN, WireEvent.PARTICIPANT_LEAVE, WireEvent.PARTICIPANT_VIDEO_ON, WireEvent.PARTICIPANT_VIDEO_OFF}
)
CAPTION_ATTRIBUTES = frozenset({1, 2, 3})  # new, update, delete

LONGEST_UTTERANCE_MS = 600_000  # nobody speaks for longer without a pause: such a span is garbage
LATEST_MS = 4_102_444_800_000  # the year 2100: a "timestamp" beyond is garbage, and dates break further out
