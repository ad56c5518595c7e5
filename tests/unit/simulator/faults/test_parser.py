"""One grammar for every vendor: what can be written, what is refused and with which words, and that writing is the inverse of reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_simulator.faults import FAMILIES, FOREVER, OK, STATUS, FaultError, Occasion, parse_fault
from rtms_simulator.faults.grammar import Family, FaultWord, Setting, SettingType
from rtms_simulator.faults.reference import rows

EVERY_STEP = [(family, name) for family in FAMILIES for name in family.words]
DELIVERIES = ("zoom.webhook.*", "recall.webhook.*", "tasks.dispatch.*")


def plain(family: Family, name: str) -> str:
    """The shortest fault with this step."""
    target = family.words[name].only or (f"{family.prefix}.*" if family.name else family.prefix)
    return f"{target}: {'503' if name == STATUS else name}"


@pytest.mark.parametrize(("family", "name"), EVERY_STEP, ids=lambda value: value if isinstance(value, str) else value.prefix)
def test_every_step_can_be_written_by_its_word_alone_and_says_what_it_does(family: Family, name: str) -> None:
    fault = parse_fault(plain(family, name))
    assert fault.family is family
    assert str(fault) == plain(family, name)
    assert set(fault.steps[0].settings) == set(family.words[name].settings)
    assert family.words[name].says
    assert all(setting.says for setting in family.words[name].settings.values())


def test_the_same_misbehaviour_has_the_same_word_everywhere() -> None:
    words = ("late 30s", "duplicate copies=2 after=3s", "reorder 4s", "lost")
    written = [[parse_fault(f"{target}: {word}").steps for word in words] for target in DELIVERIES]
    assert written[0] == written[1] == written[2]
    for target in ("recall.create", "zoom.rtms.media", "tasks.dispatch.*"):
        assert parse_fault(f"{target}: 503").steps[0].number("status") == 503
        assert parse_fault(f"{target}: cut").steps[0].word == "cut"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("recall.create: 503 x2 then ok", [(STATUS, 2, {"status": 503}), (OK, 1, {})]),
        ("recall.*: 429 retry-after=7 stored", [(STATUS, 1, {"status": 429, "retry-after": 7, "stored": True})]),
        ("recall.list: slow 2.5s then hang x* ", [("slow", 1, {"seconds": 2.5}), ("hang", FOREVER, {})]),
        ("recall.create: 201 body='{\"id\": 1}'", [(STATUS, 1, {"status": 201, "body": '{"id": 1}'})]),
        ("recall.create: 500 body='a then b'", [(STATUS, 1, {"status": 500, "body": "a then b"})]),
        ("zoom.webhook.*.rtms_stopped: late 250ms x3", [("late", 3, {"seconds": 0.25})]),
        ("zoom.webhook.meeting.*: stale 2h", [("stale", 1, {"seconds": 7200.0})]),
        ("zoom.stream: drop-media video at=1.5s", [("drop-media", 1, {"media": "video", "at": 1.5})]),
        ("zoom.rtms.signaling: refuse 45", [("refuse", 1, {"status": 45})]),
        ("tasks.create.handoffs: refuse not-found x2", [("refuse", 2, {"status": "not-found"})]),
        ("tasks.queue.facts@europe-west4: stall 1m then slow 0.5", [("stall", 1, {"seconds": 60.0}), ("slow", 1, {"share": 0.5})]),
    ],
)
def test_a_fault_is_read(text: str, steps: list[tuple[str, int, dict[str, object]]]) -> None:
    fault = parse_fault(text)
    for step, (word, times, settings) in zip(fault.steps, steps, strict=True):
        assert (step.word, step.times) == (word, times)
        assert {key: step.settings[key] for key in settings} == settings
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the targets are zoom.webhook.<event>"),
        ("503", "the targets are"),
        ("nonsense: 503", "the targets are"),
        ("recal.create: 503", "did you mean recall.create?"),
        ("zoom.webhok.x: lost", "did you mean zoom.webhook?"),
        ("zoom.rtms.medai: hang", "did you mean media? allowed: media, signaling"),
        ("zoom.webhook.: lost", "the targets are"),
        ("zoom.webhook.a b: lost", "is not a target"),
        ("recall.create:", "a step is missing"),
        ("recall.create: ok then", "a step is missing"),
        ("recall.create: then ok", "a step is missing"),
        ("recall.create: slwo 5s", "did you mean slow?"),
        ("recall.create: lost", "allowed: <status>, slow, hang"),
        ("recall.create: 199", "allowed: 200 to 599"),
        ("recall.create: 99999999999999999999999", "allowed: 200 to 599"),
        ("recall.create: <status>", "there is no step"),
        ("recall.create: slow 5", "a duration such as 5s"),
        ("recall.create: slow -5s", "a duration such as 5s"),
        ("recall.create: slow nans", "a duration such as 5s"),
        ("recall.create: slow 5s 6s", "given seconds twice"),
        ("recall.create: 503 retry-after=1.5", "a whole number"),
        ("recall.create: 503 retry-aftr=1", "did you mean retry-after?"),
        ("recall.create: 503 stored=yes", "takes no 'stored=yes'"),
        ("recall.create: 503 x0", "x1 to x1000000"),
        ("recall.create: 503 x2 x3", "takes no 'x2'"),
        ("recall.create: 503 body='a", "no closing quotation"),
        ("recall.create: expired", "only recall.download"),
        ("recall.webhook.recording.done: 503", "allowed: late, duplicate, reorder, lost, ok"),
        ("zoom.webhook.*: style curly", "allowed: spaced"),
        ("zoom.stream: drop-media smell", "allowed: audio"),
        ("zoom.stream: drop-media x2", "a moment of the meeting"),
        ("zoom.stream: ok", "there is no step 'ok'"),
        ("zoom.rtms.media: refuse 48", "allowed: 0 to 47"),
        ("tasks.queue.handoffs: stall x2", "the time that it lasts"),
        ("tasks.create.handoffs: refuse unavailabel", "did you mean unavailable?"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_allowed(text: str, says: str) -> None:
    with pytest.raises(FaultError) as refused:
        parse_fault(text)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("late:seconds=4,event=*.rtms_stopped,times=2", "zoom.webhook.*.rtms_stopped: late 4s x2"),
        ("drop:times=0", "zoom.webhook.*: lost x*"),
        ("duplicate:copies=2,seconds=3", "zoom.webhook.*: duplicate copies=2 after=3s"),
        ("style:style=payload-first", "zoom.webhook.*: style payload-first"),
        ("refuse:status=45,socket=media", "zoom.rtms.media: refuse 45"),
        ("unreachable:status=502", "zoom.rtms.*: 502"),
        ("unreachable", "zoom.rtms.*: 503"),
        ("close-unanswered:code=1001", "zoom.rtms.*: cut code=1001"),
        ("drop-media:at=3,media=video", "zoom.stream: drop-media video at=3s"),
        ("keep-alive-silence:at=0.35", "zoom.stream: keep-alive-silence at=0.35s"),
        ("concurrency-limited:limit=3", "zoom.stream: concurrency-limited 3"),
        ("webhook.recording.done: dup x2", "recall.webhook.recording.done: duplicate x2"),
        ("webhook.*: swap", "recall.webhook.*: reorder"),
        ("recall.create: 429 retry-after 7", "recall.create: 429 retry-after=7"),
        ("recall.create: 503 html after 201", "recall.create: 503 html done"),
        ("recall.create: cut after 201 then reset", "recall.create: cut then reset"),
    ],
)
def test_an_old_spelling_is_refused_naming_the_new_one_which_can_be_read(old: str, new: str) -> None:
    with pytest.raises(FaultError) as refused:
        parse_fault(old)
    assert repr(new) in str(refused.value)
    assert parse_fault(new)


def setting_texts(setting: Setting) -> st.SearchStrategy[str]:
    if setting.allowed:
        return st.sampled_from(setting.allowed)
    least, most = int(setting.least), int(min(setting.most, 10_000))
    if setting.type is SettingType.WHOLE:
        return st.integers(least, most).map(str)
    if setting.type is SettingType.TEXT:
        return st.text(min_size=1, max_size=9).filter(lambda text: not text.isspace())
    most_ms = int(min(setting.most, 10_000) * 1000)
    number = st.integers(int(setting.least * 1000), most_ms).map(lambda thousandths: f"{thousandths / 1000:.3f}")
    return number.map(lambda text: f"{text}s") if setting.type is SettingType.DURATION else number


@st.composite
def faults(draw: st.DrawFn) -> str:
    import shlex

    family, name = draw(st.sampled_from(EVERY_STEP))
    word: FaultWord = family.words[name]
    parts = [str(draw(st.integers(200, 599))) if name == STATUS else name]
    for key, setting in word.settings.items():
        if (name, key) == (STATUS, "status") or not draw(st.booleans()):
            continue
        parts.append(key if setting.type is SettingType.FLAG else f"{key}={shlex.quote(draw(setting_texts(setting)))}")
    if family.occasion is Occasion.EACH and draw(st.booleans()):
        parts.append(draw(st.sampled_from(["x2", "x7", "x*"])))
    target = word.only or (f"{family.prefix}.*" if family.name else family.prefix)
    return f"{target}: {' '.join(parts)}"


@given(faults())
def test_writing_is_the_inverse_of_reading(text: str) -> None:
    fault = parse_fault(text)
    assert parse_fault(str(fault)) == fault


@given(st.text(max_size=60) | st.builds("{}: {}".format, st.sampled_from([f.prefix + ".x" for f in FAMILIES]), st.text(max_size=40)))
def test_whatever_is_given_it_is_read_or_refused(text: str) -> None:
    try:
        fault = parse_fault(text)
    except FaultError:
        return
    assert parse_fault(str(fault)) == fault


def test_the_table_for_people_has_every_step() -> None:
    assert len(rows()) == len(EVERY_STEP)
    for row in rows():
        assert str(parse_fault(row.example)) == row.example
