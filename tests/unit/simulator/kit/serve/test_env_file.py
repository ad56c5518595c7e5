"""`rtms_simulator.kit.serve.env_file`: what people and their tools write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.kit.serve.env_file import EnvFileError, read_env_file

KINDS = {
    "plain": (b"A=b\n", {"A": "b"}),
    "double quotes": (b'A="b c"\n', {"A": "b c"}),
    "single quotes": (b"A='{\"x\": {}}'\n", {"A": '{"x": {}}'}),
    "blanks": (b"  A = b  \n\n   \nC=d", {"A": "b", "C": "d"}),
    "export": (b"export A=b\nexport  C='d'\n", {"A": "b", "C": "d"}),
    "carriage returns": (b"A=b\r\nC='d e'\r\n", {"A": "b", "C": "d e"}),
    "byte order mark": (b"\xef\xbb\xbfA=b\r\n", {"A": "b"}),
    "comments": (b"# A=no\nA=b # said\nC='d # kept'\n", {"A": "b", "C": "d # kept"}),
    "a hash in a secret": (b"A=b#c\n", {"A": "b#c"}),
    "an equals sign in a secret": (b"A=b=c==\n", {"A": "b=c=="}),
    "a dollar in a secret": (b'A=b$HOME\nC="${HOME}x"\n', {"A": "b$HOME", "C": "${HOME}x"}),
    "empty": (b"A=\nB=''\n", {"A": "", "B": ""}),
    "without equals sign": (b"A\n", {"A": ""}),
    "twice": (b"A=b\nA=c\n", {"A": "c"}),
    "no file end": (b"A=b", {"A": "b"}),
    "nothing": (b"", {}),
    "not ascii": ("A=größe\n".encode(), {"A": "größe"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(tmp_path: Path, kind: str) -> None:
    content, expected = KINDS[kind]
    file = tmp_path / ".env"
    file.write_bytes(content)
    assert read_env_file(file) == expected


@pytest.mark.parametrize("content", [b"A=b\nC='d'e'\n", b"A=b\n=c\n", b'A=b\nC="d\n', b"A=b\nC=d\x00e\n"])
def test_a_line_that_cannot_be_read_is_named_without_its_value(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content.replace(b"d", b"s3cret"))
    with pytest.raises(EnvFileError, match=r"line 2\b") as caught:
        read_env_file(file)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("content", "why"), [("A=b\n".encode("utf-16"), "not UTF-8"), (None, "cannot be read")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / ".env"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(EnvFileError, match=why):
        read_env_file(file)


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True), st.from_regex(r"[A-Za-z0-9+/=_.{}:,-]{0,30}", fullmatch=True)),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["{}={}", "export {}={}", "{}='{}'", '{} = "{}"', "  {}={}  "]),
    st.booleans(),
)
def test_what_one_writes_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str], end: str, form: str, mark: bool
) -> None:
    file = tmp_path_factory.mktemp("env") / ".env"
    file.write_bytes(("\ufeff" * mark + "".join(form.format(*pair) + end for pair in values.items())).encode())
    assert read_env_file(file) == values
