"""The pictures of a scripted meeting: drawn ones, or those of a person's own file, as the frames that Zoom sends.

`video` draws, `file_pictures` reads.
"""
