"""Recall's records: the workspace, the state tables, and the lifecycle of a Meeting Direct Connect and its recording."""
