"""What stands before the API of the fake Recall: the door that asks for a key, and the ways to reach it under Recall's real host names."""
