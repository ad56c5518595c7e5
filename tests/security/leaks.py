"""Finds secrets, or pieces of them, in whatever a service lets out."""

from __future__ import annotations

from collections.abc import Iterable

PIECE = 8
"""So many characters in a row of a secret count as a leak."""


def pieces(text: str, size: int = PIECE) -> set[str]:
    """Every run of `size` characters."""
    return {text[at : at + size] for at in range(len(text) - size + 1)}


def leaks(texts: Iterable[str], secrets: Iterable[str], size: int = PIECE) -> list[str]:
    """The texts in which any secret shows, whole or in a piece of `size`.

    Where many hexadecimal secrets meet many hexadecimal keys, eight digits agree by chance: look for longer pieces there.
    """
    wanted = {piece for secret in secrets for piece in pieces(secret, size)}
    return [text for text in texts if not wanted.isdisjoint(pieces(text, size))]
