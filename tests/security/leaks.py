"""Finds secrets, or pieces of them, in whatever a service lets out."""

from __future__ import annotations

from collections.abc import Iterable

PIECE = 8
"""So many characters in a row of a secret count as a leak."""


def pieces(secret: str) -> set[str]:
    """Every run of `PIECE` characters of a secret."""
    return {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}


def leaks(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """The texts in which any secret shows, whole or in part."""
    wanted = {piece for secret in secrets for piece in pieces(secret)}
    return [text for text in texts if _shows(text, wanted)]


def _shows(text: str, wanted: set[str]) -> bool:
    return any(text[at : at + PIECE] in wanted for at in range(len(text) - PIECE + 1))
