"""Transcripts of people: WebVTT, SubRip and Zoom's text forms behind one reader."""

from rtms_simulator.zoom.media.transcripts.cue import Cue, Transcript
from rtms_simulator.zoom.media.transcripts.reader import TRANSCRIPT_SUFFIXES, parse, read_transcript

__all__ = ["TRANSCRIPT_SUFFIXES", "Cue", "Transcript", "parse", "read_transcript"]
