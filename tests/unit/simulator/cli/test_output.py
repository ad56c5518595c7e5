"""Log lines and troubles as a person sees them."""

import json

import pytest

from rtms_simulator.cli.output import log_line, table
from rtms_simulator.cli.play.outcome import BadInput, Failed
from rtms_simulator.cli.starting import StartLines, explained
from rtms_simulator.errors import ChildEndedError, FunctionSourceError, PortTakenError


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"severity":"INFO","message":"Done.","event":"x","n":1,"time":"t","a/b":"left out"}', "webhook: INFO     Done.  event=x n=1"),
        ('{"message":"two words","why":"a b","what":"ü\\n"}', 'webhook: DEFAULT  two words  why="a b" what="ü\\n"'),
        ("plain", "webhook: plain"),
        ("[1]", "webhook: [1]"),
        ("{broken", "webhook: {broken"),
    ],
)
def test_a_line_of_a_function(capsys, line, shown):
    log_line("webhook", line)
    assert capsys.readouterr().err == shown + "\n"


def test_a_table_shows_what_looks_like_markup_as_it_is(capsys):
    table(("a", "b"), [("[bold]x[/bold]", "[/nonsense]")])
    assert capsys.readouterr().out.split() == ["a", "b", "[bold]x[/bold]", "[/nonsense]"]


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        (PortTakenError("127.0.0.1", 80, "the webhook"), BadInput, "port 80 on 127.0.0.1 is taken"),
        (ChildEndedError("worker", 2, ["  - STATE_URL is not set"]), BadInput, "STATE_URL is not set"),
        (ChildEndedError("worker", 1, ["Traceback", "last words"]), Failed, "last words"),
        (ChildEndedError("worker", -9, []), Failed, "killed by SIGKILL"),
        (FunctionSourceError("install it"), Failed, "install it"),
        (TimeoutError("did not answer"), Failed, "did not answer"),
    ],
)
def test_what_goes_wrong_while_running_is_explained(trouble, kind, says):
    with pytest.raises(kind, match=says), explained():
        raise trouble


def test_a_setting_that_came_of_an_option_is_named_by_it():
    refused = ChildEndedError("worker", 2, ["  - STATE_URL is 'x'; expected y", "  - RECALL_TIMEOUT_S is 'z'"])
    with pytest.raises(BadInput) as raised, explained({"STATE_URL": "--state"}):
        raise refused
    assert "- --state is 'x'; expected y" in str(raised.value)
    assert "STATE_URL" not in str(raised.value)
    assert "- RECALL_TIMEOUT_S is 'z'" in str(raised.value)


def test_what_the_functions_say_while_they_start_is_shown_once(capsys):
    shown = []
    lines = StartLines(lambda who, line: shown.append((who, line)))
    with lines.until_started():
        lines("worker", "a")
        assert shown == []
    lines("worker", "b")
    assert shown == [("worker", "a"), ("worker", "b")]


@pytest.mark.parametrize(("trouble", "left"), [(ChildEndedError("worker", 2, ["a"]), []), (TimeoutError(), ["a"])])
def test_what_was_held_is_shown_when_nothing_else_will_show_it(trouble, left):
    shown = []
    lines = StartLines(lambda _who, line: shown.append(line))

    def start():
        lines("worker", "a")
        raise trouble

    with pytest.raises(type(trouble)), lines.until_started():
        start()
    assert shown == left


def test_a_log_line_is_one_line_whatever_it_says(capsys):
    log_line("worker", json.dumps({"message": "a\nwebhook: INFO forged", "evil": "x\nwebhook: INFO forged"}))
    assert len(capsys.readouterr().err.splitlines()) == 1
