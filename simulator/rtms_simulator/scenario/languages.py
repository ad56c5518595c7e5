"""Zoom's transcript languages: one number each (RTMS data types, C.6)."""

from __future__ import annotations

NONE = -1
ENGLISH = 9

LANGUAGES: dict[str, int] = {
    "none": NONE,
    "arabic": 0,
    "bengali": 1,
    "cantonese": 2,
    "catalan": 3,
    "chinese_simplified": 4,
    "chinese_traditional": 5,
    "czech": 6,
    "danish": 7,
    "dutch": 8,
    "english": 9,
    "estonian": 10,
    "finnish": 11,
    "french_canada": 12,
    "french_france": 13,
    "german": 14,
    "hebrew": 15,
    "hindi": 16,
    "hungarian": 17,
    "indonesian": 18,
    "italian": 19,
    "japanese": 20,
    "korean": 21,
    "malay": 22,
    "persian": 23,
    "polish": 24,
    "portuguese": 25,
    "romanian": 26,
    "russian": 27,
    "spanish": 28,
    "swedish": 29,
    "tagalog": 30,
    "tamil": 31,
    "telugu": 32,
    "thai": 33,
    "turkish": 34,
    "ukrainian": 35,
    "vietnamese": 36,
}
"""Name in lower case to Zoom's id, -1 to 36."""
