"""Completion in bash of values with blanks and colons, inside quotes and outside.

click's own script puts a value as it is in the place of what bash takes for the last word: a value with a blank becomes two words, and
behind a colon or an equals sign, at which bash breaks words, what stands before it comes twice.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from click.shell_completion import BashComplete, CompletionItem, split_arg_string

_SCRIPT = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                if [[ $value == *= ]]; then compopt -o nospace; fi
                ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_PARTS = re.compile(r"""\\.|'[^']*(')?|"(?:\\.|[^"\\])*(")?|\s+|.""", re.DOTALL)
"""What a line is made of: an escaped character, a quotation (the last may be open), blanks, or any other character."""
_HARMLESS = re.compile(r"[\w@%+=:,./-]")


class LastWord(NamedTuple):
    """The last word of a line, which is not finished. `begin`: where it begins; `replaced`: from where on bash puts a value in its place;
    `quote`: the one that is open, or empty."""

    begin: int
    replaced: int
    quote: str


def last_word(line: str, breaks: str) -> LastWord:
    """`breaks`: the characters at which bash breaks words (COMP_WORDBREAKS)."""
    begin, replaced, quote = 0, 0, ""
    for part in _PARTS.finditer(line):
        text = part[0]
        if text.isspace():
            begin = replaced = part.end()
        elif text[0] in "'\"":
            replaced = part.start() + 1
            quote = "" if part[1] or part[2] else text[0]
        elif text in breaks:
            replaced = part.end()
    return LastWord(begin, replaced, quote)


class BashLine(BashComplete):
    """Reads the line up to the cursor, and answers with what bash can put behind the last place at which it breaks it."""

    source_template = _SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        begin = last_word(line, "").begin
        return split_arg_string(line[:begin])[1:], _plain(line[begin:])

    def format_completion(self, item: CompletionItem[Any]) -> str:
        if item.type != "plain":
            return f"{item.type},"
        line = os.environ["COMP_LINE"]
        word = last_word(line, os.environ.get("COMP_WORDBREAKS", ""))
        typed = _plain(line[word.begin :])
        option = typed.partition("=")[0] + "=" if typed.startswith("--") and "=" in typed else ""
        offset = len(typed) - len(_plain(line[word.replaced :], word.quote))
        return f"plain,{_written((option + item.value)[offset:], word.quote)}"


def _plain(raw: str, quote: str = "") -> str:
    """A word as the command would get it. `quote`: the one that was open before it."""
    return "".join(split_arg_string(quote + raw))


def _written(text: str, quote: str) -> str:
    """As bash reads it back: within these quotes, or without any."""
    if quote == "'":
        return text
    if quote:
        return re.sub(r'(["\\$`])', r"\\\1", text)
    return "".join(letter if _HARMLESS.match(letter) else f"\\{letter}" for letter in text)
