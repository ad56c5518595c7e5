"""Bytes of a text file to lines, whatever wrote them: UTF-8 or UTF-16 with or without a byte order mark, with stray bytes in between.

A file joined of UTF-8 and UTF-16 is read piece by piece: where letters and zeros alternate it is UTF-16, where many letters of ASCII
follow each other it is not.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from rtms_simulator.zoom.media.remarks import Remark

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096
_REPLACEMENT = "\ufffd"

_ASCII = rb"[\t\r\n\x20-\x7e]"
# No text in Chinese has 32 bytes in a row that are letters of ASCII, too, nor what makes a caption file.
_BYTES = rb"(?:%b{32,}|WEBVTT[\r\n]|%b{6,}-->%b{6,})(?!\0)" % (_ASCII, _ASCII, _ASCII)
_RUN = re.compile(rb"(?P<little>(?:%b\0){8,})|(?P<big>(?:\0%b){8,})|(?P<bytes>%b)" % (_ASCII, _ASCII, _BYTES))
_RUN_OF_BYTES = re.compile(_BYTES)
_ENCODINGS = {"little": "utf-16-le", "big": "utf-16-be", "bytes": "utf-8"}
_LINE_ENDS = {"utf-16-le": b"\n\0", "utf-16-be": b"\0\n"}
_ZEROS = (("utf-32-be", (0, 1, 2)), ("utf-32-le", (1, 2, 3)), ("utf-16-le", (1, 3)), ("utf-16-be", (0, 2)))
_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1f]")
_SEPARATORS = re.compile("[\u0085\u2028\u2029]")


def text_lines(data: bytes) -> tuple[list[str], list[Remark]]:
    """The lines of a text (ended by LF, CRLF or CR, as WebVTT has it) and what had to be guessed. Never fails.

    A NUL becomes U+FFFD (WebVTT, 4.1), and many of them where nothing else is are no text. Bytes that are no UTF-8 are read one by one
    as Windows-1252, as files are often joined of both.
    """
    remarks: list[Remark] = []
    text = _text(data, remarks)
    if "\n" not in text:
        text = _SEPARATORS.sub("\n", text)
    lines = text.split("\n")
    if _is_odd(text):
        lines = [_mended(line, number, remarks) if _is_odd(line) else line for number, line in enumerate(lines, 1)]
    return lines, remarks


def _text(data: bytes, remarks: list[Remark]) -> str:
    texts: list[str] = []
    line = 1
    for encoding, piece in _pieces(data):
        if texts:
            remarks.append(Remark("repaired", f"from here on in {encoding.upper()}; two files were joined", line=line))
        elif encoding != "utf-8":
            remarks.append(Remark("note", f"written in {encoding.upper()}"))
        text = piece.decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "replace")
        # A second file joined to the first brings its own byte order mark.
        texts.append(text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", ""))
        line += texts[-1].count("\n")
    return "".join(texts)


def _is_odd(text: str) -> bool:
    """Whether there may be anything to repair in it."""
    return "\0" in text or not text.isascii()


def _pieces(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(encoding, bytes) of the text, more than one where files of several encodings are joined."""
    encoding, data = _encoding(data)
    if b"\0" not in data or encoding.startswith("utf-32"):
        yield encoding, data
        return
    begin = 0
    for match in _RUN.finditer(data):
        now, at = _run(match, begin, encoding)
        if now != encoding:
            border = _border(data, begin, at, (encoding, now))
            if border > begin:
                yield encoding, data[begin:border]
            begin, encoding = border, now
    yield encoding, data[begin:]


def _run(match: re.Match[bytes], begin: int, encoding: str) -> tuple[str, int]:
    """(encoding, place) of a run in a text that began at `begin` in `encoding`.

    UTF-16 of one kind, looked at from its second byte, is UTF-16 of the other kind; whole letters of the text before lie at even places.
    """
    now, at = _ENCODINGS[match.lastgroup or "bytes"], match.start()
    odd = (at - begin) % 2 == 1
    if encoding == "utf-8":
        return ("utf-16-be", at + 1) if now == "utf-16-le" and match[0][:1] == b"\n" else (now, at)
    if now == "utf-8" or not odd:
        return now, at
    other = "utf-16-be" if now == "utf-16-le" else "utf-16-le"
    return other, at + 1


def _border(data: bytes, begin: int, at: int, encodings: tuple[str, str]) -> int:
    """Where the text before `at` ends: a byte order mark and a few letters before the run at `at` may belong to it.

    `encodings`: that of the text before and that of the run.
    """
    before, _now = encodings
    mark = next((mark for mark, _name in _MARKS if data[max(begin, at - len(mark)) : at] == mark), b"")
    if mark or "utf-8" not in encodings:
        return at - len(mark)
    if before == "utf-8":
        line = data.rfind(b"\n", begin, at) + 1 or begin
        return line if b"\0" in data[line:at] else at
    line = max(data.rfind(_LINE_ENDS[before], max(begin, at - _SAMPLE), at) + 2, begin)
    return line if _is_text(data[line:at]) else at + (at - begin) % 2


def _is_text(data: bytes) -> bool:
    try:
        return data.decode() != "" and not _CONTROLS.search(data)
    except UnicodeDecodeError:
        return False


def _encoding(data: bytes) -> tuple[str, bytes]:
    """(the encoding in which the text begins, the bytes without a byte order mark)."""
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", ""))
    data = data[len(mark) :]
    if len(mark) == 2 and data.isascii() and b"\0" not in data:
        return "utf-8", data  # two stray bytes: text in UTF-16 of letters that ASCII has would be full of zeros
    return encoding or _without_mark(data), data


def _without_mark(data: bytes) -> str:
    """UTF-16 and UTF-32 show by their zero bytes, which stand beside nearly every letter; anything else is read as UTF-8."""
    sample = data[: _SAMPLE & ~3]
    if b"\0" not in sample or (b"\0" not in sample[:2] and _is_text(sample[:8])):
        return "utf-8"  # whatever is joined to it further on
    if plain := _RUN_OF_BYTES.search(sample):
        sample = sample[: plain.start()]
    # The beginning first: another file may follow soon.
    beginnings = (sample[:64], sample)
    return next((encoding for beginning in beginnings for encoding, places in _ZEROS if _only_at(places, beginning)), "utf-8")


def _only_at(places: tuple[int, ...], sample: bytes) -> bool:
    """Whether in groups of four bytes those at `places` are mostly zero, and the others are not."""
    zeros = [sample[place::4].count(0) / max(1, len(sample) // 4) for place in range(4)]
    return min(zeros[place] for place in places) > 0.4 and max(share for place, share in enumerate(zeros) if place not in places) < 0.1


def _mended(line: str, number: int, remarks: list[Remark]) -> str:
    if "\0" in line:
        line = _without_zeros(line, number, remarks)
    if not any("\udc80" <= letter <= "\udcff" for letter in line):
        return line
    raw = line.encode("utf-8", "surrogateescape")
    mended = _halves_joined(raw)
    if mended is None:
        mended = raw.decode("utf-8", errors="rtmskit-windows-1252")
        what = "not UTF-8; its odd bytes are read as Windows-1252 (save the file as UTF-8 if letters are wrong)"
        remarks.append(Remark("repaired", what, line=number))
    else:
        remarks.append(Remark("repaired", "halves of characters (CESU-8); joined", line=number))
    return mended


def _without_zeros(line: str, number: int, remarks: list[Remark]) -> str:
    """A line that is nothing but zeros, or several at its end, come from a file that was not written to its end; they are no text."""
    text = line.rstrip("\0")
    if not text.strip("\0 \t"):
        remarks.append(Remark("lost", "a line of zero bytes; it is no text", line=number, lost_text=_REPLACEMENT))
        return ""
    if len(line) - len(text) > 1:
        alone = text[-1:].isspace()
        what = f"{len(line) - len(text):,} zero bytes at the end; they are no text"
        remarks.append(Remark("lost" if alone else "repaired", what, line=number, lost_text=_REPLACEMENT if alone else ""))
        line = text
    if "\0" in line:
        line = line.replace("\0", _REPLACEMENT)
        remarks.append(Remark("repaired", "a NUL in the text; replaced by U+FFFD", line=number))
    return line


def _halves_joined(raw: bytes) -> str | None:
    """CESU-8, which writes an emoji as two encoded halves; half a pair becomes U+FFFD. None if it is something else."""
    try:
        return raw.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    except UnicodeDecodeError:
        return None


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.start + 1].decode("cp1252", "replace"), error.start + 1


codecs.register_error("rtmskit-windows-1252", _windows_1252)
