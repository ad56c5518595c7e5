"""The pictures of a recording: which of them is shown when, and the video file and the live pictures made of them.

`pictures` puts them together, `video` writes the file, `live_pictures` makes those that are sent while it records.
"""
