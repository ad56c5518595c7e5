"""Names of speakers: how they are cleaned, when two are the same person, and when `Name: words` is a name and not a sentence."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
_VARIANTS = {0xFE0E: None, 0xFE0F: None}
_LONGEST = 300
_CLOCK = re.compile(r"\b\d{1,2}:\d{2}\b")
_BRACKETS = re.compile(r"[(\[{\uff08\u3010][^()\[\]{}\uff08\uff09\u3010\u3011]*[)\]}\uff09\u3011]")
_SENTENCE_MARK = re.compile(r"[,;!?\u2026\u3002\uff0c\u3001\u061f]\s+[^\W\d_A-Z]|[.!?]\s+\w+\s+\w+\s+\w+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WITHIN = _words("""
    de da di do dos das del della delle van von vom der den ter ten la las lo los le les el al bin ibn ben bint st und y e i of and the
    zu zum zur af av du abu ap san mc jr sr via from phd md bei im at in on for with s à a d iphone ipad ipod macbook android galaxy phone
    mobile desktop laptop pc room caller user guest host
""")
"""Small words that stand inside names, and what devices and rooms are called."""
_OPENERS = _words("""
    note notes nota nb n.b. ps p.s. psa fyi btw tldr tl;dr todo to-do warning caution attention important reminder remember hint tip
    tips question questions answer answers example examples e.g. eg i.e. ie agenda topic topics update updates summary conclusion
    result results action actions decision decisions task tasks goal goals step plan idea problem issue issues solution fact facts
    quote source sources link links url address phone email e-mail mail date time when where who what why how which place location price
    total sum cost deadline status subject re fwd title chapter part section item option first second third firstly secondly finally last
    lastly next then now so well but and or also still yet because however therefore thus again anyway ok okay yes no sure right true
    false wrong meaning namely simply remark comment edit correction spoiler disclaimer definition rule rules law lesson moral bonus
    caveat exception today tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday morning evening breaking news
    headline mailto tel http https ftp
    here there this that these those one two three hinweis achtung frage antwort merke wichtig beispiel fazit thema ziel fehler
    nämlich erstens zweitens pregunta respuesta ejemplo importante atención remarque réponse exemple domanda risposta esempio pergunta
    resposta exemplo ملاحظة سؤال جواب הערה שאלה תשובה 注意 注 问题 问 答 質問 回答
""")
"""What people begin a remark with. Nobody is called so, and a list beats a guess for them."""

_SENTENCE_WORDS = _words("""
    is are was were am isn't aren't wasn't be been has had have did does do don't didn't will would can could should must may might
    i we you he she it they me us him them my our your his her their its this that these those there here what why how when where who
    which not no if because about than but so then just only also get got said say says tell told know think want need
    ist sind war waren bin wird hat habe haben ich wir sie er es das dass mein unser nicht kein auch wie was warum wenn weil noch nur
    est sont était suis je nous vous il elle ils que qui pas c'est mon notre es son fue era soy que no mi nuestro está porque
""")
"""Words in small letters that sentences have behind their beginning, and names do not."""
_SENTENCE_LETTERS = re.compile("[的了们這这那我你您她嗎吗呢]|です|ます|こと|もの|それ|これ")
_COLON = re.compile(":|\uff1a")
_LONGEST_CJK = 12

Form = Literal["never", "sentence", "name"]


def clean_name(text: str) -> str | None:
    """One line, without invisible marks around it; None if nothing is left."""
    name = " ".join(text.split()).strip("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff ")
    return name or None


@functools.lru_cache(maxsize=4096)
def same_person(name: str) -> str:
    """A key that is equal for two spellings of which a person would say that they are one name.

    Letter case, the spaces between words, invisible marks, and how an accent is encoded do not tell people apart; `Weiß` and `Weiss`,
    `Ada²` and `Ada2` do.
    """
    return " ".join(unicodedata.normalize("NFC", name.translate(_INVISIBLE).translate(_VARIANTS)).lower().split())


def head_of(line: str) -> tuple[str, str] | None:
    """(what stands before the first colon that a space or the end follows, what comes after it). A wide colon needs no space."""
    for match in _COLON.finditer(line, 0, _LONGEST):
        at = match.start()
        if at + 1 == len(line) or line[at + 1].isspace() or match[0] != ":":
            name = clean_name(line[:at])
            return (name, line[at + 1 :].strip()) if name else None
    return None


def form_of(name: str) -> Form:
    """Whether a head can be a name by how it is written: only with evidence of its own if it reads like the beginning of a sentence."""
    words = _BRACKETS.sub(" ", name).replace("\u2019s ", "'s ").split()
    if _is_no_name(name, words):
        return "never"
    if _SENTENCE_MARK.search(name) or (len(words) == 1 and _is_long_without_spaces(name)):
        return "sentence"
    return "sentence" if len(words) > 1 and any(map(_is_plain, words)) else "name"


def _is_no_name(name: str, words: Sequence[str]) -> bool:
    bare = name.strip("*_#-\u2013\u2014\u2022> ").lower()
    if "://" in name or _CLOCK.search(name) or bare in _OPENERS or any(word in _SENTENCE_WORDS for word in words[1:]):
        return True
    return not any(letter.isalnum() or unicodedata.category(letter) == "So" for letter in name)


def _is_long_without_spaces(name: str) -> bool:
    """Whether it is more than a name in a writing that has no spaces, such as Chinese and Japanese."""
    return len(name) > 4 and (_SENTENCE_LETTERS.search(name) is not None or (len(name) > _LONGEST_CJK and name[0] >= "\u3040"))


def _is_plain(word: str) -> bool:
    """A word in small letters that names do not have: no digit or sign in it, no particle, no device."""
    core = word.strip(".,'\u2019\"")
    return core.isalpha() and core[0].islower() and core.lower() not in _WITHIN


class Speakers:
    """Which heads of a file are people. Evidence: the name is known or tagged, it is repeated, or nearly every caption has such a head."""

    _HEADED = 0.5
    _OFTEN = 3
    _SHARE = 0.2

    def __init__(self, openings: Sequence[str], continuations: Iterable[str] = (), known: Iterable[str] = ()) -> None:
        """`openings`: the first line of each caption without a voice tag; `continuations`: their other lines."""
        known_keys = {same_person(name) for name in known}
        opening_names, later_names = _head_names(openings), _head_names(continuations)
        first = Counter(map(same_person, opening_names))
        count = first + Counter(map(same_person, later_names))
        # How a name is written first, in the openings before the other lines.
        spelled = {same_person(name): name for name in reversed(opening_names + later_names)}
        forms = {key: form_of(name) for key, name in spelled.items()}
        likely = sum(number for key, number in first.items() if key in known_keys or _is_likely(forms[key], number))
        headed = bool(openings) and likely >= self._HEADED * len(openings)
        often = max(self._OFTEN, self._SHARE * len(openings))
        proven = {key for key, form in forms.items() if _is_proven(form, first[key], count[key], often, headed=headed)}
        self._people = known_keys | proven
        self._repeated = known_keys | {key for key, number in count.items() if number > 1}

    def split(self, line: str) -> tuple[str, str] | None:
        """(name, words) of a line that a proven speaker's name begins, or None for a line of words.

        A line that ends with the colon has no words: only a name that is there more than once makes it a speaker's.
        """
        head = head_of(line)
        proven = self._people if head and head[1] else self._repeated & self._people
        return head if head and same_person(head[0]) in proven else None


def _head_names(lines: Iterable[str]) -> list[str]:
    return [head[0] for head in map(head_of, lines) if head]


def _is_likely(form: Form, count: int) -> bool:
    return form == "name" or (form == "sentence" and count > 1)


def _is_proven(form: Form, first: int, count: int, often: float, *, headed: bool) -> bool:
    """`first`: how many captions begin with it; `count`: how many lines do; `headed`: most captions begin with a head."""
    if form == "name":
        return count > 1 or (headed and first > 0)
    return form == "sentence" and (count >= often or (headed and first > 1))
