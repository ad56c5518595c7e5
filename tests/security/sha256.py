"""SHA-256 that can be continued from a digest: the tool of a length-extension attack."""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF
_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, int(n**0.5) + 1))]


def _root_bits(prime: int, power: int) -> int:
    """The first 32 bits of the fraction of prime ** (1 / power), exactly."""
    low, high = 0, prime << 32
    while low < high - 1:
        middle = (low + high) // 2
        if middle**power <= prime << (32 * power):
            low = middle
        else:
            high = middle
    return low & _MASK


_K = [_root_bits(prime, 3) for prime in _PRIMES]


def padding(length: int) -> bytes:
    """What SHA-256 adds to a message of so many bytes."""
    return b"\x80" + b"\x00" * ((55 - length) % 64) + struct.pack(">Q", length * 8)


def extended(digest: str, length: int, suffix: bytes) -> str:
    """SHA-256 of ``message + padding(length) + suffix``, knowing of a message of `length` bytes only its digest."""
    state = list(struct.unpack(">8I", bytes.fromhex(digest)))
    whole = length + len(padding(length)) + len(suffix)
    data = suffix + padding(whole)
    for at in range(0, len(data), 64):
        state = _round(state, data[at : at + 64])
    return struct.pack(">8I", *state).hex()


def _round(state: list[int], block: bytes) -> list[int]:
    words = list(struct.unpack(">16I", block))
    for i in range(16, 64):
        s0 = _turn(words[i - 15], 7) ^ _turn(words[i - 15], 18) ^ words[i - 15] >> 3
        s1 = _turn(words[i - 2], 17) ^ _turn(words[i - 2], 19) ^ words[i - 2] >> 10
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(_K, words, strict=True):
        one = (h + (_turn(e, 6) ^ _turn(e, 11) ^ _turn(e, 25)) + (e & f ^ ~e & g) + constant + word) & _MASK
        two = ((_turn(a, 2) ^ _turn(a, 13) ^ _turn(a, 22)) + (a & b ^ a & c ^ b & c)) & _MASK
        a, b, c, d, e, f, g, h = (one + two) & _MASK, a, b, c, (d + one) & _MASK, e, f, g
    return [(old + new) & _MASK for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _turn(word: int, by: int) -> int:
    return (word >> by | word << 32 - by) & _MASK
