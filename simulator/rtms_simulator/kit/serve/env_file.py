"""A file of variables, as people and their tools write it: quotes, blanks, `export`, comments, CRLF, a byte order mark."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from rtms_simulator.errors import InputError


class EnvFileError(InputError):
    """The file cannot be read. The text names lines and never shows a value."""

    code = "env_file_invalid"


def read_env_file(path: Path) -> dict[str, str]:
    """Name -> value, the last one of a name. A name without `=`, or with nothing after it, has the value "". Raises EnvFileError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EnvFileError(f"{path} is not UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise EnvFileError(f"{path} cannot be read: {error.strerror}") from None
    values: dict[str, str] = {}
    wrong: list[str] = []
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and "\x00" in (binding.value or "")):
            wrong.append(str(binding.original.line))
        elif binding.key is not None:
            values[binding.key] = binding.value or ""
    if wrong:
        lines = f"line{'s' * (len(wrong) > 1)} {', '.join(wrong)}"
        raise EnvFileError(f"{path}, {lines}: not NAME=value; a value with a quote in it stands in the other kind of quotes")
    return values
