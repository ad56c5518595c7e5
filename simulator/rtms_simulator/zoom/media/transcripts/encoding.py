"""Bytes of a text file to lines, whatever wrote them: UTF-8 or UTF-16 with or without a byte order mark, with stray bytes in between."""

from __future__ import annotations

import codecs

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


def text_lines(data: bytes) -> tuple[list[str], list[Remark]]:
    """The lines of a text (ended by LF, CRLF or CR, as WebVTT has it) and what had to be guessed. Never fails.

    A NUL becomes U+FFFD (WebVTT, 4.1). Bytes that are no UTF-8 are read one by one as Windows-1252, as files are often joined of both.
    """
    remarks: list[Remark] = []
    encoding, data = _encoding(data)
    text = data.decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "replace")
    if encoding != "utf-8":
        remarks.append(Remark("note", f"written in {encoding.upper()}"))
    # A second file joined to the first brings its own byte order mark.
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    lines = text.split("\n")
    if _is_odd(text):
        lines = [_mended(line, number, remarks) if _is_odd(line) else line for number, line in enumerate(lines, 1)]
    return lines, remarks


def _is_odd(text: str) -> bool:
    """Whether there may be anything to mend in it."""
    return "\0" in text or not text.isascii()


def _encoding(data: bytes) -> tuple[str, bytes]:
    """(the encoding, the bytes without a byte order mark)."""
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", ""))
    data = data[len(mark) :]
    if len(mark) == 2 and data.isascii() and b"\0" not in data:
        return "utf-8", data  # two stray bytes: text in UTF-16 of letters that ASCII has would be full of zeros
    return encoding or _without_mark(data), data


def _without_mark(data: bytes) -> str:
    """UTF-16 shows by its zero bytes, which stand beside nearly every letter; anything else is read as UTF-8."""
    sample = data[: _SAMPLE & ~1]
    pairs = max(1, len(sample) // 2)
    if sample[1::2].count(0) > pairs * 0.4 and sample[::2].count(0) < pairs * 0.1:
        return "utf-16-le"
    if sample[::2].count(0) > pairs * 0.4 and sample[1::2].count(0) < pairs * 0.1:
        return "utf-16-be"
    return "utf-8"


def _mended(line: str, number: int, remarks: list[Remark]) -> str:
    if "\0" in line:
        line = line.replace("\0", _REPLACEMENT)
        remarks.append(Remark("repaired", "a NUL in the text; replaced by U+FFFD", line=number))
    if not any("\udc80" <= letter <= "\udcff" for letter in line):
        return line
    raw = line.encode("utf-8", "surrogateescape")
    mended = _halves_joined(raw)
    if mended is None:
        mended = raw.decode("utf-8", errors="rtmskit-windows-1252")
        remarks.append(Remark("repaired", "not UTF-8; its odd bytes are read as Windows-1252", line=number))
    else:
        remarks.append(Remark("repaired", "halves of characters (CESU-8); joined", line=number))
    return mended


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
