"""The version, where every module may read it without importing the public face."""

__version__ = "0.1.0"
