"""What a file really is, by its first bytes: for those that were saved under the wrong name."""

from __future__ import annotations

import codecs
import re
from typing import Literal, NamedTuple


class Described(NamedTuple):
    """`says` is the end of a sentence about the file; `do` is the next step."""

    kind: Literal["empty", "page", "recording", "text", "other"]
    says: str
    do: str


_DOWNLOAD = "download the file again, signed in; a browser or curl saved the page that a link leads to."
_MEDIA = "give it to --media, with the suffix it has by right."
_CONVERT = "export or convert it to a supported kind."

_PROLOGUE = rb"\s*(?:<(?:!--.*?--|\?xml[^>]*)>\s*)*"
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
"""How a page in UTF-16 begins, and its encoding."""

_KINDS: tuple[tuple[bytes, Literal["page", "recording", "text", "other"], str, str], ...] = (
    (_PROLOGUE + rb"<(?:!doctype\s+html|html|head|body|title|script|meta)\b", "page", "it is a web page (HTML)", _DOWNLOAD),
    (_PROLOGUE + rb"<tt\b", "other", "it holds captions in TTML", _CONVERT),
    (rb"\s*<\?xml|\s*<Error>", "page", "it is XML, such as the error of a file server", _DOWNLOAD),
    (rb'\s*(?:\{\s*"|\[\s*\{)', "page", "it is JSON, such as the error of an API", _DOWNLOAD),
    (rb"version https://git-lfs", "other", "it is a pointer of Git LFS, not the file", "run `git lfs pull`."),
    (rb"%PDF-", "other", "it is a PDF", _CONVERT),
    (rb"PK\x03\x04", "other", "it is a ZIP archive or an office document", "unpack it, or save the document as plain text."),
    (rb"\x1f\x8b", "other", "it is compressed with gzip", "unpack it with gunzip."),
    (rb"\{\\rtf", "other", "it is an RTF document", "save it as plain text."),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "other", "it is a picture", _CONVERT),
    (rb"....ftyp|RIFF....WAVE|ID3|\x1aE\xdf\xa3|OggS|fLaC|\xff[\xe2-\xfd]", "recording", "it is a recording", _MEDIA),
    (rb"\s*WEBVTT", "text", "it is a WebVTT transcript", "give it to --transcript."),
    (rb"\s*(?:\d+\s+)?[\d:.,]+\s*-->", "text", "it is a transcript", "give it to --transcript."),
    (rb"\s*\[[^\]\n]+\]\s+\d", "text", "it is a transcript", "give it to --transcript."),
)


def described(beginning: bytes) -> Described | None:
    """What the first kilobytes of a file show, or None if they show nothing known."""
    if not beginning:
        return Described("empty", "it is empty (0 bytes)", "download or record it again.")
    beginning = _in_utf8(beginning)
    if not beginning.strip():
        return Described("empty", "it is empty (no letter in it)", "download or record it again.")
    for pattern, kind, says, do in _KINDS:
        if re.match(pattern, beginning, re.DOTALL | (re.IGNORECASE if kind == "page" else re.NOFLAG)):
            return Described(kind, says, do)
    if not beginning.strip(b"\0"):
        return Described("other", "it holds nothing but zero bytes", "download it again: it was not written to the end.")
    try:
        text = beginning.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Described("text", "it is text", _CONVERT) if "\0" not in text else None


def _in_utf8(beginning: bytes) -> bytes:
    """Text without its byte order mark; anything else as it is."""
    encoding = _UTF16.get(beginning[:2])
    if encoding is None:
        return beginning.removeprefix(codecs.BOM_UTF8)
    return beginning.decode(encoding, "ignore").removeprefix("\ufeff").encode("utf-8", "ignore")
