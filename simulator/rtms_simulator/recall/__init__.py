"""A fake Recall.ai: Meeting Direct Connect's API, recordings that were really made, webhooks, and scripted misbehaviour."""

from rtms_simulator.recall.receiver import Timings
from rtms_simulator.recall.recording import VideoWanted
from rtms_simulator.recall.scripted import Story, scripted
from rtms_simulator.recall.service import Recall
from rtms_simulator.recall.switches import Limits, Progression, RecallSwitches
from rtms_simulator.recall.webhooks import WebhookEndpoint

__all__ = ["Limits", "Progression", "Recall", "RecallSwitches", "Story", "Timings", "VideoWanted", "WebhookEndpoint", "scripted"]
