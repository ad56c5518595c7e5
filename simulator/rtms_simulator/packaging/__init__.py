"""The package as it is installed: its version, its optional parts, and names that are imported when they are used.

`extras` says which command needs which part, and what to install.
"""
