"""Test tools for other projects: the webhook sandbox, the pytest plugin and Hypothesis strategies."""
