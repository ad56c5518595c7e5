"""Recall's HTTP API: requests checked against schemas, operations, answers, downloads and the OpenAPI document."""
