"""Commands that read the records of a worker: hand-offs and recordings.

`worker` finds out which worker is meant and how it is asked; `handoff_rows` and `handoff_words` are what is shown.
"""
