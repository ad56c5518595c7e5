"""The pictures that real-time endpoints get, over any order of frames, repeats, pauses and cameras that go off: two a second, each once.

Source: Recall's page on separate videos in real time ("2 fps"). A second frame of one moment replaces the first and is no second picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from av import VideoFrame
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.simulator.recall.recorder.test_writer import level

from rtms_simulator.recall.recorder.timeline import RecordingTime
from rtms_simulator.recall.recorder.values import Participant, VideoImage
from rtms_simulator.recall.recorder.video.live_pictures import LivePictures
from rtms_simulator.recall.recorder.video.video import HOLD_MS, Kind

T0 = 1_780_000_000_000
KINDS: tuple[Kind, ...] = ("video", "deskshare")
STEPS = st.sampled_from([0, 0, 1, 40, 200, 499, 500, 501, 1_000, 4_000])
PEOPLE = (Participant(7, "Ada"), Participant(8, "Grace"))


@dataclass
class Source:
    """One camera or share as the model sees it: (moment, shade) of its frames, and the moments at which it went off."""

    frames: list[tuple[int, int]] = field(default_factory=list)
    off: list[int] = field(default_factory=list)

    def seen_at(self, moment: int) -> set[int]:
        """The shades of which one is right: the newest frame of the moment, and those that came in the same moment before it."""
        newest = max((at for at, _ in self.frames if at <= moment), default=None)
        return {shade for at, shade in self.frames if at == newest}


class PicturesTwiceASecond(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.told: list[VideoImage] = []
        self.sources: dict[tuple[Any, int], Source] = {}
        self.pictures = LivePictures(RecordingTime(T0), self.told.append)

    @rule(step=STEPS, kind=st.sampled_from(KINDS), person=st.sampled_from(PEOPLE), shade=st.sampled_from([20, 90, 160, 230]))
    def a_frame_comes(self, step, kind, person, shade):
        self.now += step
        self.sources.setdefault((kind, person.id), Source()).frames.append((self.now, shade))
        frame = VideoFrame.from_ndarray(np.full((18, 32, 3), shade, np.uint8), format="rgb24")
        self.pictures.add(kind, person, frame, self.now)

    @rule(step=STEPS, kind=st.sampled_from(KINDS), person=st.sampled_from(PEOPLE))
    def it_goes_off(self, step, kind, person):
        self.now += step
        self.pictures.remove(kind, person.id, self.now)
        self.sources.setdefault((kind, person.id), Source()).off.append(self.now)

    def of(self, kind: Kind, identity: int) -> list[tuple[int, VideoImage]]:
        name = {"video": "webcam", "deskshare": "screenshare"}[kind]
        own = [image for image in self.told if image.kind == name and image.participant.id == identity]
        return [(round(image.relative * 1000) + T0, image) for image in own]

    @invariant()
    def no_two_pictures_are_of_one_moment_and_they_are_half_a_second_apart(self):
        for kind, identity in self.sources:
            moments = [moment for moment, _ in self.of(kind, identity)]
            assert [after - before for before, after in pairwise(moments) if after - before < 500] == []

    @invariant()
    def each_shows_the_newest_frame_of_its_moment(self):
        for (kind, identity), source in self.sources.items():
            for moment, image in self.of(kind, identity)[-3:]:
                assert min(abs(level(image) - shade) for shade in source.seen_at(moment)) < 20

    @invariant()
    def nothing_is_shown_of_what_is_off_or_long_over(self):
        for (kind, identity), source in self.sources.items():
            for moment, _image in self.of(kind, identity)[-3:]:
                last = max(at for at, _ in source.frames if at <= moment)
                assert moment - last <= HOLD_MS[kind]
                assert not any(last < off < moment for off in source.off)


PicturesTwiceASecond.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestPicturesTwiceASecond = PicturesTwiceASecond.TestCase


def test_a_camera_that_goes_off_and_on_sends_no_picture_more():
    told: list[VideoImage] = []
    pictures = LivePictures(RecordingTime(T0), told.append)
    frame = VideoFrame.from_ndarray(np.full((18, 32, 3), 90, np.uint8), format="rgb24")
    for moment in (0, 0, 100, 300, 700):
        pictures.add("video", PEOPLE[0], frame, T0 + moment)
        pictures.remove("video", PEOPLE[0].id, T0 + moment)
    assert [image.relative for image in told] == [0, 0.7]
