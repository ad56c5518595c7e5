"""The sound of a scripted meeting: synthetic speech, or the sound tracks of a person's own file, cut into the packets that Zoom sends.

`audio` is what a meeting asks; `speech` and `file_sound` are the two sources.
"""
