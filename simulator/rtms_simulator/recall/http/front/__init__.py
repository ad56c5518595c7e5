"""What stands before the API of the fake Recall: the door that asks for a key, and the ways to reach it under Recall's real host names.

`firewall_and_auth` answers what never reaches an operation; the others carry requests of clients whose host cannot be set.
"""
