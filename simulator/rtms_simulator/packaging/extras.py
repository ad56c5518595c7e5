"""What an optional part of the package needs, and whether it is installed: `pip install rtmskit` alone has none of it."""

from __future__ import annotations

import importlib.util

EXTRAS: dict[str, tuple[str, ...]] = {
    "simulator": ("av", "grpc", "numpy", "PIL", "python_multipart", "trustme", "uvicorn", "websockets"),
    "tunnel": ("ngrok",),
    "infra": ("pulumi", "pulumi_gcp"),
    "test": ("hypothesis", "pytest"),
}
"""Extra -> the modules that its requirements in pyproject.toml bring."""


def missing(extra: str) -> tuple[str, ...]:
    """The modules of an extra that are not installed. Imports nothing."""
    return tuple(module for module in EXTRAS[extra] if importlib.util.find_spec(module) is None)


def advice(extra: str) -> str:
    """What to do about a missing extra."""
    return f"pip install 'rtmskit[{extra}]'"
