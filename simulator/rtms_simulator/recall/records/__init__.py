"""What a workspace holds and what changes it: the objects, their states as tables, the lifecycle from a create to erased media."""
