"""Test tools for other projects: the webhook sandbox, the pytest plugin and Hypothesis strategies.

`sandbox` is what the plugin's fixture gives; `strategies` makes the events to send into it.
"""
