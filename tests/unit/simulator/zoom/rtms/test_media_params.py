"""Every parameter: its default, each value it may have, and the status that refuses the rest (docs/evidence/zoom.md C5, C6)."""

from __future__ import annotations

from typing import Any

import pytest

from rtms_simulator.errors import MediaParameterError
from rtms_simulator.zoom.rtms.enums import MEDIA_KEYS, MediaType, StatusCode
from rtms_simulator.zoom.rtms.media_params import RULES, confirm, confirm_all

DEFAULTS = {
    MediaType.AUDIO: {"content_type": 2, "sample_rate": 1, "channel": 1, "codec": 1, "data_opt": 1, "send_rate": 20},
    MediaType.VIDEO: {"content_type": 3, "codec": 5, "resolution": 2, "data_opt": 3, "fps": 5},
    MediaType.DESKSHARE: {"content_type": 3, "codec": 5, "resolution": 3, "fps": 1},
    MediaType.TRANSCRIPT: {"content_type": 5, "src_language": 9, "enable_lid": True},
    MediaType.CHAT: {"content_type": 5},
}


@pytest.mark.parametrize("kind", DEFAULTS)
@pytest.mark.parametrize("asked", [None, {}, {"unknown": 1}])
def test_defaults(kind: MediaType, asked: Any) -> None:
    assert confirm(kind, asked) == DEFAULTS[kind]
    assert all(type(value) in (int, bool) for value in confirm(kind, asked).values())


ACCEPTED = [
    *((MediaType.AUDIO, {"content_type": value}) for value in (1, 2)),
    *((MediaType.AUDIO, {"sample_rate": value}) for value in (0, 1, 2, 3)),
    *((MediaType.AUDIO, {"codec": value}) for value in (1, 2, 3, 4)),
    *((MediaType.AUDIO, {"data_opt": value}) for value in (1, 2)),
    *((MediaType.AUDIO, {"send_rate": value}) for value in range(20, 1001, 20)),
    (MediaType.AUDIO, {"codec": 4, "channel": 2, "sample_rate": 3}),
    *((kind, {"resolution": value}) for kind in (MediaType.VIDEO, MediaType.DESKSHARE) for value in (1, 2, 3, 4)),
    *((kind, {"codec": 7, "fps": value}) for kind in (MediaType.VIDEO, MediaType.DESKSHARE) for value in range(1, 31)),
    *((MediaType.VIDEO, {"codec": codec, "fps": fps}) for codec in (5, 6) for fps in range(1, 6)),
    *((MediaType.DESKSHARE, {"codec": codec, "fps": 1}) for codec in (5, 6)),
    (MediaType.VIDEO, {"data_opt": 4}),
    *((MediaType.TRANSCRIPT, {"src_language": value}) for value in range(-1, 37)),
    (MediaType.TRANSCRIPT, {"enable_lid": False}),
]


@pytest.mark.parametrize(("kind", "asked"), ACCEPTED)
def test_what_is_allowed_is_confirmed_as_asked(kind: MediaType, asked: dict[str, Any]) -> None:
    assert confirm(kind, asked) == DEFAULTS[kind] | asked


REFUSED = [
    *((MediaType.AUDIO, bad, 18) for bad in ([], "x", 1)),
    *((MediaType.AUDIO, {"content_type": bad}, 19) for bad in (0, 3, 5, "2", None, True)),
    *((MediaType.AUDIO, {"sample_rate": bad}, 20) for bad in (-1, 4, 16000, 1.0)),
    *((MediaType.AUDIO, {"channel": bad}, 21) for bad in (0, 2, 3)),
    *((MediaType.AUDIO, {"codec": bad}, 22) for bad in (0, 5, 7, 2**80)),
    *((MediaType.AUDIO, {"data_opt": bad}, 23) for bad in (0, 3, 4)),
    *((MediaType.AUDIO, {"send_rate": bad}, 24) for bad in (0, -20, 10, 30, 999, "20", False)),
    (MediaType.VIDEO, [], 25),
    *((MediaType.VIDEO, {"content_type": bad}, 26) for bad in (0, 2, 5)),
    *((MediaType.VIDEO, {"codec": bad}, 27) for bad in (1, 4, 8)),
    *((MediaType.VIDEO, {"resolution": bad}, 28) for bad in (0, 5)),
    *((MediaType.VIDEO, {"data_opt": bad}, 29) for bad in (1, 2, 5)),
    *((MediaType.VIDEO, {"codec": 7, "fps": bad}, 30) for bad in (0, -1, 31, 5.5)),
    *((MediaType.VIDEO, {"codec": codec, "fps": 6}, 30) for codec in (5, 6)),
    (MediaType.DESKSHARE, "x", 31),
    (MediaType.DESKSHARE, {"content_type": 2}, 32),
    (MediaType.DESKSHARE, {"codec": 4}, 33),
    (MediaType.DESKSHARE, {"resolution": 9}, 34),
    *((MediaType.DESKSHARE, asked, 35) for asked in ({"codec": 7, "fps": 31}, {"codec": 5, "fps": 2})),
    (MediaType.TRANSCRIPT, 5, 36),
    (MediaType.TRANSCRIPT, {"enable_lid": 1}, 36),
    (MediaType.TRANSCRIPT, {"content_type": 2}, 37),
    *((MediaType.TRANSCRIPT, {key: bad}, 43) for key in ("src_language", "language") for bad in (-2, 37, "9")),
    (MediaType.TRANSCRIPT, {"target_language": 99}, 46),
    (MediaType.CHAT, [], 38),
    (MediaType.CHAT, {"content_type": 1}, 39),
]


@pytest.mark.parametrize(("kind", "asked", "status"), REFUSED)
def test_what_is_not_allowed_has_its_status(kind: MediaType, asked: Any, status: int) -> None:
    with pytest.raises(MediaParameterError) as refused:
        confirm(kind, asked)
    assert refused.value.status == status


def test_every_status_about_parameters_is_reached() -> None:
    named = {status for status in StatusCode if "_PARAMS" in status.name or status.name.startswith("INVALID_MEDIA_")}
    reached = {StatusCode(status) for _, _, status in REFUSED}
    assert named - reached == {StatusCode.INVALID_MEDIA_TYPE, StatusCode.INVALID_MEDIA_PARAMS}


def test_a_send_rate_above_a_second_is_clamped() -> None:
    assert confirm(MediaType.AUDIO, {"send_rate": 1001})["send_rate"] == 1000


@pytest.mark.parametrize(("kind", "limit"), [(MediaType.VIDEO, 5), (MediaType.DESKSHARE, 1)])
def test_too_many_frames_without_a_codec_give_jpg_at_the_limit(kind: MediaType, limit: int) -> None:
    assert confirm(kind, {"fps": limit + 1}) == DEFAULTS[kind] | {"fps": limit}


def test_the_old_name_of_the_source_language() -> None:
    assert confirm(MediaType.TRANSCRIPT, {"language": 14})["src_language"] == 14
    assert confirm(MediaType.TRANSCRIPT, {"src_language": 9, "language": 14})["src_language"] == 9


def test_confirm_all_answers_for_the_kinds_of_the_socket_only() -> None:
    assert confirm_all(MediaType.AUDIO | MediaType.CHAT, {"video": {"codec": 99}}).keys() == {"audio", "chat"}
    for bad in ([], "x", 1):
        with pytest.raises(MediaParameterError) as refused:
            confirm_all(MediaType.AUDIO, bad)
        assert refused.value.status is StatusCode.INVALID_MEDIA_PARAMS


def test_the_rules_cover_every_kind() -> None:
    assert RULES.keys() == MEDIA_KEYS.keys() == DEFAULTS.keys()
