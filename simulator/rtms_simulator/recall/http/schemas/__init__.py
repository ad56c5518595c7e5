"""What Recall's requests and answers look like: their schemas, the check of a value against one, and the OpenAPI document made of them.

A new field of a request stands in `request_schemas`; `schema` judges with it, `openapi` shows it.
"""
