"""Commands that play: a demo, meetings, scenarios and single events."""
