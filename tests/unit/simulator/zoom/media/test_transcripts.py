"""Transcripts as people have them: what is a speaker, what is a sentence, when it is said, and what of it is lost."""

# ruff: noqa: RUF001  # letters of many writings

import time

import pytest

from rtms_simulator.errors import MediaFileError
from rtms_simulator.scenario import LONGEST_S, load
from rtms_simulator.zoom.media import MediaSource
from rtms_simulator.zoom.media.transcripts import Transcript, parse, read_transcript
from rtms_simulator.zoom.media.transcripts.names import same_person

VTT = "WEBVTT\n\n"


def cues_of(*texts: str) -> str:
    """A WebVTT file with a caption a second."""
    return VTT + "".join(f"00:{n // 60:02}:{n % 60:02}.000 --> 00:{n // 60:02}:{n % 60:02}.900\n{text}\n\n" for n, text in enumerate(texts))


def read(text: str | bytes, suffix: str = ".vtt") -> Transcript:
    return parse(text if isinstance(text, bytes) else text.encode(), suffix)


def said(text: str | bytes, suffix: str = ".vtt") -> list[tuple[str | None, str]]:
    return [(cue.speaker, cue.text) for cue in read(text, suffix).cues]


def starts(text: str, suffix: str = ".txt") -> list[int]:
    return [cue.start_ms for cue in read(text, suffix).cues]


# --- speakers

NAMES = [
    "Ada Lovelace",
    "(ext) Ada",
    "\U0001f98a Ada",
    "Ada \U0001f469\u200d\U0001f4bb",
    "+49 123 456****",
    "16505551234",
    "[IT] Grace",
    "_ada_",
    "@host",
    "# Ada",
    "Ada (she/her), ACME",
    "Dr. Ada Byron, PhD",
    "Lovelace, Ada",
    "J.R.R. Tolkien",
    "O'Neil",
    "Leonardo da Vinci",
    "iPhone von Oma",
    "Conference Room 3",
    "N" * 70,
    "Maria de los Angeles Fernandez Garcia de la Torre y Quintana Roo del Rio",
    "محمد علي",
    "\u200fעמר",
    "山田太郎",
    "Ada & Grace",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_speaker_in_every_form(name):
    escaped = name.replace("&", "&amp;")
    shown = name.strip("\u200f")
    assert said(cues_of(f"{escaped}: hello", f"{escaped}: again")) == [(shown, "hello"), (shown, "again")]
    assert said(cues_of(f"<v {escaped}>hello")) == [(shown, "hello")]
    assert said(cues_of(f"{escaped}: once", "Somebody Else: twice", "Somebody Else: thrice"))[0] == (shown, "once")
    assert said(f"[{name}] 00:00:01\nhello\n", ".txt") == [(shown, "hello")]


SENTENCES = [
    "Note: bring tea",
    "10:30 Meeting: starts now",
    "At 14:05: lunch",
    "https://example.org/a: see this",
    "So I said to her, and this is a rather long sentence: no.",
    "There are two things: a and b.",
    "The answer is simple: no",
    "One more thing: tea",
    "Ratio 3:1 it is",
    "Remember this: be kind",
    "Hinweis: es gibt Tee",
    "...: well",
    "mailto: nobody",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_with_a_colon_is_a_sentence(sentence):
    assert said(cues_of(sentence)) == [(None, sentence)]
    assert (None, sentence) in said(cues_of("Ada: One", sentence, "Ada: two", "Ada: three"))
    assert said(cues_of("we begin", sentence, "we go on", "we end"))[1] == (None, sentence)


def test_one_head_in_a_file_without_speakers_is_no_evidence():
    assert {speaker for speaker, _ in said(cues_of("hello there", "we go", "Paris: a city", "bye"))} == {None}
    assert said(cues_of("hello there", "Ada: hi", "we go", "Ada: bye", "so it is"))[1] == ("Ada", "hi")


def test_a_caption_without_a_speaker_is_said_by_who_spoke_before(tmp_path):
    path = tmp_path / "x.vtt"
    path.write_text(cues_of("we begin", ">> Ada: hi", "and more", ">> Grace: yo", "go on", "and on", ">> Ada: bye"))
    source = MediaSource(load("stand-up"), transcript_file=path)
    assert [(packet.user_name, packet.data.decode()) for packet in source.transcript({})] == [
        *(("Ada", said) for said in ("we begin", "hi", "and more")),
        *(("Grace", said) for said in ("yo", "go on", "and on")),
        ("Ada", "bye"),
    ]


def test_several_speakers_in_one_caption_share_its_time():
    both = [("Ada", "Hi there"), ("Grace Hopper", "Yo")]
    assert said(cues_of("<v Ada>Hi there</v>\n<v Grace Hopper>Yo</v>")) == both
    assert said(cues_of("Ada: Hi there\nGrace Hopper: Yo")) == both
    first, second = read(cues_of("<v Ada>Hi there</v> <v Grace Hopper>Yo")).cues
    assert 0 == first.start_ms < first.end_ms == second.start_ms < second.end_ms == 900


def test_a_list_in_a_caption_is_no_company():
    assert said(cues_of("Ada: the list\nmilk is two litres: at least\nand eggs", "Ada: ok")) == [
        ("Ada", "the list milk is two litres: at least and eggs"),
        ("Ada", "ok"),
    ]


def test_a_name_may_go_over_two_lines():
    assert said(cues_of("<v Ada\nLovelace>hi")) == [("Ada Lovelace", "hi")]
    assert said(cues_of("Ada Lovelace: one", "Ada\nLovelace: two"))[1] == ("Ada Lovelace", "two")
    assert said("[Ada\nLovelace] 00:00:01\nhi\n", ".txt") == [("Ada Lovelace", "hi")]


def test_zooms_identifiers_name_the_speaker():
    vtt = VTT + '1 "Erik R" (4209263872)\n00:00:01.000 --> 00:00:02.000\nGood.\n\n'
    assert said(vtt) == [("Erik R", "Good.")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ADA LOVELACE", "Ada Lovelace", True),
        ("Ada  Lovelace", "Ada\u00a0Lovelace", True),
        ("Zoe\u0308", "Zoë", True),
        ("\u200fعمر", "عمر", True),
        ("\u2764\ufe0f Ada", "\u2764 Ada", True),
        ("Weiß", "Weiss", False),
        ("Ada", "Adà", False),
        ("Ada²", "Ada2", False),
        ("Ada", "# Ada", False),
        ("Ada (1)", "Ada (2)", False),
        ("\U0001f98a Ada", "\U0001f9a9 Ada", False),
    ],
)
def test_names_are_equal_only_when_a_person_would_say_so(one, other, same):
    assert (same_person(one) == same_person(other)) is same


# --- times


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("00:00:01.5", 1500),
        ("00:00:01,46", 1460),
        ("00:00:01.4567", 1457),
        ("00:01", 1000),
        ("1:02.5", 62_500),
        ("0:00:01,000", 1000),
        ("75:00.000", 4_500_000),
        ("00:00:01:500", 1500),
        ("100:00:00.000", None),
    ],
)
def test_moments_of_any_form(written, ms):
    read_cues = read(f"{VTT}{written} --> 99:00:00.000\nhi\n").cues
    assert [cue.start_ms for cue in read_cues] == ([] if ms is None else [ms])


@pytest.mark.parametrize(
    ("first", "second", "later_ms"),
    [
        ("12:59:58", "01:00:02", 4000),
        ("11:59:58 AM", "12:00:02 PM", 4000),
        ("11:59:58 PM", "12:00:02 AM", 4000),
        ("12:59:59 pm", "1:00:01 pm", 2000),
        ("23:59:58", "00:00:02", 4000),
        ("2:03:04\u202fPM", "2:03:08\u202fPM", 4000),
        ("2:03:04 p.m.", "2:03:08 p.m.", 4000),
        ("下午 02:03:04", "下午 02:03:08", 4000),
        ("10:00:01.5", "10:00:02,25", 750),
    ],
)
def test_clocks_run_on_over_noon_and_midnight(first, second, later_ms):
    text = f"[A] {first}\nx\n\n[B] {second}\ny\n"
    assert starts(text) == [0, later_ms]
    backwards = f"[B] {second}\ny\n\n[A] {first}\nx\n"
    assert [(cue.start_ms, cue.text) for cue in read(backwards, ".txt").cues] == [(0, "x"), (later_ms, "y")]


def test_a_head_inside_a_sentence_is_part_of_it():
    text = "[A] 00:00:01\nhe said [B] 00:00:03 was wrong\n[B] 00:00:09 is it\n\n[B] 00:00:12\nok\n"
    assert said(text, ".txt") == [("A", "he said [B] 00:00:03 was wrong [B] 00:00:09 is it"), ("B", "ok")]


def test_other_text_forms_are_read():
    assert said("00:01:02 Ada: hello\n00:01:05 Ada: bye\n", ".txt") == [("Ada", "hello"), ("Ada", "bye")]
    assert said("[Ada] 00:00:01 hello\n[Grace] 00:00:03 you\n", ".txt") == [("Ada", "hello"), ("Grace", "you")]
    assert said("Ada 00:01\nhello\n\nGrace 00:05\nyo\n", ".txt") == [("Ada", "hello"), ("Grace", "yo")]


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_is_read_with_and_without_a_mark(encoding):
    assert said(cues_of("Zoë: naïve \U0001f642 مرحبا").encode(encoding)) == [("Zoë", "naïve \U0001f642 مرحبا")]


def test_mixed_encodings_are_read_letter_by_letter_and_told():
    mixed = cues_of("Zoë: naïve").encode() + cues_of("Zoë: café \u2013").removeprefix(VTT).encode("cp1252")
    assert said(mixed) == [("Zoë", "naïve"), ("Zoë", "café \u2013")]
    assert [(remark.kind, remark.line) for remark in read(mixed).remarks if "1252" in remark.what] == [("repaired", 7)]


def test_a_nul_and_half_an_emoji_cost_one_character():
    assert said(cues_of("Ada: a\0b")) == [("Ada", "a\ufffdb")]
    halves = b"Ada: " + b"\xed\xa0\xbd\xed\xb9\x82" + b" x"
    assert said(cues_of("@").encode().replace(b"@", halves)) == [("Ada", "\U0001f642 x")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_one(end):
    assert said(cues_of("Ada: a\u2028b\x0bc", "Ada: d").replace("\n", end)) == [("Ada", "a b c"), ("Ada", "d")]


# --- what is kept, repaired and lost


def lost(text: str, suffix: str = ".vtt") -> list[tuple[int | None, str]]:
    return [(remark.line, " ".join(remark.lost_text.split())) for remark in read(text, suffix).remarks if remark.kind == "lost"]


def test_text_without_a_place_in_time_is_lost_with_its_line():
    assert lost(f"{VTT}hello you\n\n00:00:01.000 --> 00:00:02.000\nAda: x\n") == [(3, "hello you")]
    assert lost("hello you\n[A] 00:00:01\nx\n", ".txt") == [(1, "hello you")]


def test_words_where_an_identifier_stands_are_not_swallowed():
    text = cues_of("Ada: a", "Ada: b") + "Ada: between\n00:00:09.000 --> 00:00:10.000\nAda: c\n"
    assert lost(text) == [(9, "Ada: between")]


def test_words_on_the_line_of_the_times_are_speech():
    assert said(f"{VTT}00:00:01.000 --> 00:00:02.000 align:start Ada: hello\n") == [("Ada", "hello")]
    assert said(f"{VTT}00:00:01.000 --> 00:00:02.000 hello you\nand more\n") == [(None, "hello you and more")]


@pytest.mark.parametrize("space", [" ", "\t", "  ", " \t", "\u2028", "\u00a0", "\u3000"])
def test_a_setting_ends_at_any_space(space):
    timed = f"{VTT}00:00:01.000 --> 00:00:02.000{space}align:center{space}line:79%{space}hello{space}you\nand more\n"
    assert said(timed) == [(None, "hello you and more")]
    cut = f"{VTT}00:00:01.000 --> 00:00:{space}align:center{space}hello\n\n"
    read_back = read(cut)
    assert "hello" in " ".join([*(cue.text for cue in read_back.cues), *(remark.lost_text for remark in read_back.remarks)])


def test_a_spoken_number_is_no_index():
    srt = "1\n00:00:01,000 --> 00:00:02,000\ncount\n3\n\n2\n00:00:03,000 --> 00:00:04,000\n2\n"
    assert said(srt, ".srt") == [(None, "count 3"), (None, "2")]


def test_a_caption_of_a_hundred_megabytes_is_read_in_part_and_the_rest_counted(tmp_path):
    path = tmp_path / "x.vtt"
    words = 20_000_000
    with path.open("w") as file:
        file.write(f"{VTT}00:00:01.000 --> 00:00:02.000\n")
        for _ in range(1000):
            file.write("word " * (words // 1000))
    began = time.process_time()
    transcript = read_transcript(path)
    assert time.process_time() - began < 20
    assert sum(len(cue.text.split()) for cue in transcript.cues) + sum(remark.lost_words for remark in transcript.remarks) == words


def test_a_thousand_and_two_hundred_people_are_all_there(tmp_path):
    path = tmp_path / "x.vtt"
    path.write_text(cues_of(*(f"Person {n}: hello" for n in range(1200))))
    source = MediaSource(load("stand-up"), transcript_file=path)
    assert [packet.user_name for packet in source.transcript({})] == [f"Person {n}" for n in range(1200)]
    assert len({person.user_id for person in source.scenario.people}) == 1200


def test_what_lies_beyond_the_longest_meeting_is_lost_and_the_rest_is_played():
    text = f"{VTT}100:00:00.000 --> 100:00:02.000\nAda: late\n\n00:00:01.000 --> 00:00:02.000\nAda: x\n"
    assert said(text) == [("Ada", "x")]
    assert lost(text) == [(3, "Ada late")]
    assert max(cue.end_ms for cue in read(f"{VTT}17:59:59.000 --> 90:00:00.000\nx\n").cues) == LONGEST_S * 1000


def test_an_hour_is_read_in_a_tenth_of_a_second():
    people, words = ("Ada Lovelace", "Grace Hopper", "Ken"), "words that somebody says in three seconds of a meeting"
    text = VTT + "".join(
        f"{n + 1}\n{n * 3 // 3600:02}:{n * 3 // 60 % 60:02}:{n * 3 % 60:02}.000 --> "
        f"{n * 3 // 3600:02}:{n * 3 // 60 % 60:02}:{n * 3 % 60:02}.900\n{people[n % 3]}: {words}\n\n"
        for n in range(1200)
    )
    times: list[float] = []
    for _ in range(5):
        began = time.process_time()  # others on the machine do not count
        assert len(read(text).cues) == 1200
        times.append(time.process_time() - began)
    assert min(times) < 0.1


# --- more files of the same kinds


@pytest.mark.parametrize("second", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("first", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_of_two_encodings_one_behind_the_other_are_both_read(first, second):
    text = cues_of("Zoë: naïve \U0001f642", "山田: こんにちは世界")
    joined = text.encode(first) + text.replace("Zoë", "Ève").encode(second)
    assert said(joined) == [("Zoë", "naïve \U0001f642"), ("Ève", "naïve \U0001f642"), *[("山田", "こんにちは世界")] * 2]
    encodings = [encoding.removesuffix("-sig").removesuffix("-le") for encoding in (first, second)]
    told = [remark for remark in read(joined).remarks if "files were joined" in remark.what]
    assert [remark.line for remark in told] == ([] if encodings[0] == encodings[1] else [9])


def test_files_joined_without_an_end_of_line_lose_nothing():
    text = cues_of("Ada: one", "Zoë: deux")
    for first in ("utf-8", "utf-16-le", "utf-16-be"):
        for second in ("utf-8-sig", "utf-16"):
            joined = text.strip().encode(first) + text.encode(second)
            assert sorted(said(joined), key=str) == [*[("Ada", "one")] * 2, ("Zoë", "deux"), ("Zoë", "deuxWEBVTT")], (first, second)


def test_text_without_a_mark_in_utf_32_and_with_other_line_ends_is_read():
    assert said(cues_of("Zoë: x").encode("utf-32-be")) == said(cues_of("Zoë: x").encode("utf-32-le")) == [("Zoë", "x")]
    assert said(cues_of("Ada: x", "Ada: y").replace("\n", "\u2028")) == [("Ada", "x"), ("Ada", "y")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_zeros_where_a_file_was_not_written_to_its_end_are_no_speech(encoding):
    zeros = read((cues_of("Ada: one", "Ada: two") + "\0" * 4096).encode(encoding))
    assert [cue.text for cue in zeros.cues] == ["one", "two"]
    assert [(remark.kind, remark.line, remark.lost_words) for remark in zeros.remarks if remark.kind != "note"] == [("lost", 9, 1)]
    assert said(cues_of("Ada: one").strip() + "\0" * 9) == [("Ada", "one")]


def test_a_date_before_a_time_is_no_name_and_counts_the_days():
    two_days = "[Ada] 2026-11-29 08:00:00\nx\n\n[Grace Hopper] 2026-11-29 21:30\ny\n\n[Ada] 2026-11-30 00:00:01\nz\n"
    assert said(two_days, ".txt") == [("Ada", "x"), ("Grace Hopper", "y"), ("Ada", "z")]
    assert starts(two_days) == [0, 48_600_000, 57_601_000]
    assert starts("[A] 29/11/2026, 11:59:58 PM\nx\n\n[B] 30/11/2026, 12:00:02 AM\ny\n") == [0, 4000]


def test_a_saved_chat_is_spoken_by_those_who_wrote():
    old = (
        "14:00:03\t From Ada Lovelace : hello all\n14:00:09\t From Grace to Everyone : hi\n"
        "14:00:12\t From Grace to Ada(Direct Message) : psst\n"
    )
    new = "2026-11-29 14:00:03 From Ada Lovelace to Everyone:\n\thello all\n2026-11-29 14:00:09 From Grace to Everyone:\n\thi\n"
    assert said(old, ".txt") == [("Ada Lovelace", "hello all"), ("Grace", "hi"), ("Grace", "psst")]
    assert said(new, ".txt") == [("Ada Lovelace", "hello all"), ("Grace", "hi")]


@pytest.mark.parametrize("mark", ["- ", "\u2013 ", ">> ", ">>", "\uff1e\uff1e"])
def test_a_mark_of_a_change_of_speaker_is_no_part_of_a_name(mark):
    text = cues_of(f"{mark}Ada: hi\n{mark}Grace: yo", f"{mark}Ada: bye", f"{mark}so it is")
    assert said(text)[:3] == [("Ada", "hi"), ("Grace", "yo"), ("Ada", "bye")]
    assert said(text)[3] == (None, f"{mark}so it is")
    assert [remark.lost_words for remark in read(text).remarks] == [3]


def test_a_wide_colon_needs_no_space():
    assert said(cues_of("山田：こんにちは", "鈴木：はい", "山田：では")) == [("山田", "こんにちは"), ("鈴木", "はい"), ("山田", "では")]
    assert said(cues_of("山田：好", "我们有三个问题：一", "山田：好"))[1] == (None, "我们有三个问题：一")


@pytest.mark.parametrize("sentence", ["The point is: yes", "What I mean is: no", "Das Problem ist: Tee", "Le problème est: thé"])
def test_a_sentence_that_is_said_twice_is_still_one(sentence):
    text = cues_of(sentence, "Ada: ok", sentence, "Grace: hm", "Ada: fine", "Grace: well")
    assert [speaker for speaker, _ in said(text)] == [None, "Ada", None, "Grace", "Ada", "Grace"]


def test_a_name_in_small_letters_is_one_when_it_comes_again():
    assert said(cues_of("ada lovelace: hi", "grace hopper: yo", "ada lovelace: bye", "grace hopper: ok"))[0] == ("ada lovelace", "hi")


def test_a_name_may_have_a_line_of_its_own():
    heads = cues_of("Ada:\nhello", "Grace:\nyo", "Ada:\nbye")
    assert said(heads) == [("Ada", "hello"), ("Grace", "yo"), ("Ada", "bye")]
    assert said(cues_of("Ada: one", "Remember:\nbe kind", "Ada: two"))[1] == (None, "Remember: be kind")
    assert said("Speaker 1 (00:12):\nHello.\n\nSpeaker 2 (00:15):\nHi.\n", ".txt") == [("Speaker 1", "Hello."), ("Speaker 2", "Hi.")]


def test_a_style_sheet_among_captions_is_not_spoken():
    text = cues_of("Ada: a") + "STYLE\n::cue { color: red }\n\nREGION\nid:fred\nwidth:40%\n\n" + cues_of("Ada: b").removeprefix(VTT)
    assert said(text) == [("Ada", "a"), ("Ada", "b")]
    assert said(cues_of("Ada: a") + "STYLE\nis what he has\n") == [("Ada", "a STYLE is what he has")]


def test_lines_of_one_moment_follow_each_other():
    assert starts("[A] 00:00:01\nx\n\n[A] 00:00:01\ny\n\n[B] 00:00:01\nz\n") == [1000, 2000, 3000]
    assert starts("[A] 00:00:01\nx\n\n[B] 00:00:01\ny\n\n[B] 00:00:02\nz\n") == [1000, 1500, 2000]


def test_subrip_with_points_is_subrip():
    srt = "1\n00:00:01.000 --> 00:00:02.000\nAda: x\n"
    assert (read(srt, ".srt").form, read(srt, ".srt").remarks) == ("SubRip", ())
    arabic = "١\n٠٠:٠٠:٠١٬٥٠٠ --> ٠٠:٠٠:٠٢٬٠٠٠\nأحمد: مرحبا\n\n٢\n٠٠:٠٠:٠٣٬٠٠٠ --> ٠٠:٠٠:٠٤٬٠٠٠\nأحمد: نعم\n"
    assert [(cue.start_ms, cue.speaker, cue.text) for cue in read(arabic, ".srt").cues] == [(1500, "أحمد", "مرحبا"), (3000, "أحمد", "نعم")]


PAGES = {
    b"\xef\xbb\xbf\n <HTML lang=en><body>Sign in": "a web page",
    "<!DOCTYPE html><p>Sign in".encode("utf-16"): "a web page",
    "<!DOCTYPE html><p>Sign in".encode("utf-16-le"): "a web page",
    b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C">': "a web page",
    b"<!-- saved from url -->\n<title>Sign in</title>": "a web page",
    b'<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml"><p>': "captions in TTML",
    b"\xff\xfe": "it is empty",
    b"\xef\xbb\xbf\n\n": "it is empty",
}


@pytest.mark.parametrize("content", PAGES)
@pytest.mark.parametrize("suffix", [".vtt", ".srt", ".txt"])
def test_a_page_saved_as_a_transcript_is_called_one(tmp_path, content, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(MediaFileError) as refused:
        read_transcript(path)
    assert PAGES[content] in str(refused.value)
    assert refused.value.do


def test_a_directory_is_called_one(tmp_path):
    (tmp_path / "x.vtt").mkdir()
    with pytest.raises(MediaFileError, match="it is a directory"):
        read_transcript(tmp_path / "x.vtt")
