"""Commands that play: a demo, meetings, scenarios and single events.

One module a command; `verdict` judges what was played, `outcome` shows it.
"""
