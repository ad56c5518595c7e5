"""The package as it is installed: its version, its optional parts, and names that are imported when they are used."""
