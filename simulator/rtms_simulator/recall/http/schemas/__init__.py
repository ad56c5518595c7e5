"""What Recall's requests and answers look like: their schemas, the check of a value against one, and the OpenAPI document made of them."""
