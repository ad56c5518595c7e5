"""A meeting: who is in it and what happens, the media timeline, and the report of what was played."""
