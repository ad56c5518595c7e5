"""Speech-like sound from a seed: a voice per person, a syllable per few letters, exact to the sample.

A voice is a small table of syllables made once per sample rate; an utterance is a walk through the rows of that table, so any second of
a four-hour meeting is ready in microseconds. Every syllable begins and ends in silence, so they join without a click.
"""

from __future__ import annotations

import functools
import random

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

SYLLABLE_MS = 160
_SYLLABLES = 16
_PEAK = 6_000  # five people at once stay below 16 bits
_CONSONANT_MS = 36

# The first three formants of eight vowels in Hz (Peterson and Barney 1952, rounded).
_VOWELS = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
)


@functools.lru_cache(maxsize=128)
def voice(seed: int, user_id: int, sample_rate: int) -> Samples:
    """One person's syllables at a sample rate: shape (17, samples per syllable); the last row is silence. Read-only."""
    # Two sources, as how much noise is drawn depends on the rate, and a voice must be the same at every rate.
    randomness, hiss = (random.Random(f"{what} {seed} {user_id}") for what in ("voice", "hiss"))
    pitch = randomness.uniform(85.0, 230.0)
    tract = 0.88 + 0.3 * (pitch - 85.0) / 145.0 + randomness.uniform(-0.03, 0.03)
    count = SYLLABLE_MS * sample_rate // 1000
    seconds = np.arange(count) / sample_rate
    rows = np.zeros((_SYLLABLES + 1, count))
    for row in range(_SYLLABLES):
        formants = np.array(_VOWELS[row % len(_VOWELS)]) * tract
        glide = pitch * (1.0 + randomness.uniform(-0.12, 0.12) + randomness.uniform(-0.9, 0.9) * seconds)
        phase = 2 * np.pi * np.cumsum(glide) / sample_rate
        tones = np.arange(1, int(3_400.0 / pitch))  # within what the lowest rate can carry
        gains = sum(1.0 / (1.0 + ((tones * pitch - formant) / (60.0 + 20.0 * n)) ** 2) / (n + 1) for n, formant in enumerate(formants))
        # Every tone is the one before it turned on by the pitch: far cheaper than a sine for each.
        turns = np.cumprod(np.broadcast_to(np.exp(1j * phase), (len(tones), count)), axis=0)
        starts = np.exp(1j * np.array([randomness.uniform(0.0, 6.28) for _ in tones]))
        # einsum and not @, which may add in another order on another machine.
        vowel = np.einsum("t,tn->n", gains / np.sqrt(tones) * starts, turns).imag
        noise = np.diff(np.frombuffer(hiss.randbytes(2 * count + 2), dtype="<i2").astype(np.float64))
        onset = np.exp(-((seconds * 1000 - _CONSONANT_MS / 2) ** 2) / 120.0) * randomness.uniform(0.02, 0.25)
        swell = np.sin(np.pi * np.clip((seconds * 1000 - _CONSONANT_MS / 2) / (SYLLABLE_MS - _CONSONANT_MS / 2), 0.0, 1.0)) ** 0.8
        rows[row] = vowel / np.abs(vowel).max() * swell + noise / 65_536 * onset
    edge = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (sample_rate / 200))
    table = np.rint(rows * edge / np.abs(rows).max() * _PEAK).astype(np.int16)
    table.flags.writeable = False
    return table


@functools.lru_cache(maxsize=512)
def syllables(text: str, duration_ms: int) -> npt.NDArray[np.intp]:
    """The rows of a voice that say a text in that time: the text over and over, a rest after every few words. Never empty; read-only."""
    indices: list[int] = []
    for number, word in enumerate(text.split() or ["mm"]):
        indices += [sum(map(ord, word[at : at + 3])) % _SYLLABLES for at in range(0, len(word), 3)]
        if number % 3 == 2:
            indices.append(_SYLLABLES)
    count = max(1, duration_ms // SYLLABLE_MS)
    rows = np.resize(np.array(indices, dtype=np.intp), count)
    # What is left at the end is too short for a syllable and stays silent.
    rows = rows if count * SYLLABLE_MS >= duration_ms else np.append(rows, _SYLLABLES)
    rows.flags.writeable = False
    return rows


def render(table: Samples, rows: npt.NDArray[np.intp], first: int, count: int) -> Samples:
    """`count` samples of an utterance from its sample `first` on; the caller stays inside the utterance."""
    per_row = table.shape[1]
    start = first // per_row
    stop = -(-(first + count) // per_row)
    return table[rows[start:stop]].reshape(-1)[first - start * per_row :][:count]
