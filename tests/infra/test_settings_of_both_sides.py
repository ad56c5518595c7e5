"""One table of settings: a value that `pulumi up` takes is a value that the functions start with, and the other way round.

The texts come from tests/setting_cases.py, to which the functions' own checks are held as well.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtms_infra.config import ConfigError, parse
from rtms_infra.function_settings import BY_VARIABLE, NOT_DEPLOYED
from rtms_infra.keys import KEYS, Key
from rtms_infra.regions import PAIRED
from rtms_relay import settings
from tests import setting_cases as cases
from tests.infra.deployment import SECRET_NAMES, Runner, configured, example

pytestmark = pytest.mark.xdist_group("infra")

OF_BOTH = [key for key in KEYS if key.variable]
WHOLE = re.compile(r"-?[0-9]{1,12}")


def taken_by_pulumi(key: Key, text: str) -> bool:
    """Whether the program takes this text for the key; what two keys must fulfil together is left out."""
    names = {*SECRET_NAMES, key.full_name} if key.secret else SECRET_NAMES
    try:
        parse({**configured(), key.full_name: text}, names, "prod")
    except ConfigError as error:
        return not any(paragraph.splitlines()[0] == key.full_name for paragraph in error.problems)
    return True


def taken_by_the_functions(key: Key, text: str) -> bool:
    return settings.problem(BY_VARIABLE[key.variable], text) is None


def agreed(key: Key, text: str) -> None:
    """Both take it or neither does. An integer key takes whole numbers only: of those the same ones."""
    theirs = taken_by_the_functions(key, text) and (key.kind != "integer" or WHOLE.fullmatch(text) is not None)
    assert taken_by_pulumi(key, text) == theirs, f"{key.name} and {key.variable} differ about {text[:80]!a}"


@pytest.mark.parametrize("key", OF_BOTH, ids=lambda key: key.name)
def test_both_sides_say_the_same_of_every_known_case(key: Key) -> None:
    for text in (*cases.TAKEN.get(key.variable, ()), *cases.REFUSED.get(key.variable, ())):
        agreed(key, text)


@given(data=st.data())
def test_both_sides_say_the_same_of_values_near_the_known_cases(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([key for key in OF_BOTH if key.variable in cases.TAKEN]))
    agreed(key, data.draw(cases.near(key.variable)))


@given(key=st.sampled_from([key for key in OF_BOTH if key.kind == "integer"]), number=st.integers(-3, 100_000))
def test_both_sides_have_the_same_limits(key: Key, number: int) -> None:
    agreed(key, str(number))


@given(key=st.sampled_from(OF_BOTH), text=st.text(min_size=1, max_size=40).filter(str.strip))
def test_both_sides_say_the_same_of_any_text(key: Key, text: str) -> None:
    agreed(key, text)


HOSTILE = (
    *("[" * 100_000, '{"a":' * 100_000, '"\ud83e"', '["\ud83e"]', '["\\ud83e@example.com"]', '["a@example.com", ' + "[" * 100_000),
    *("NaN", "9" * 5_000, "\u0666\u0660", "5_700", " 60", "6\x000"),
)
"""Deep nesting, half a character pair, numbers that are none."""


def refusals(values: dict[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parse(values, names, "prod")
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_hostile_text_is_refused_by_name_and_never_a_crash(key: Key) -> None:
    for text in HOSTILE:
        problems = refusals({**configured(), key.full_name: text}, (*SECRET_NAMES, key.full_name))
        own = [problem for problem in problems if problem.startswith(key.full_name)]
        "".join(problems).encode()
        assert all(len(problem) < 1_500 for problem in problems)
        if not own:  # then it is an ordinary value of this key
            assert key.refusal(int(text) if key.kind == "integer" else text) is None
            text.encode()


def test_the_defaults_are_the_functions_own() -> None:
    for key in OF_BOTH:
        there = BY_VARIABLE[key.variable]
        assert key.secret == there.secret
        if key.name not in ("recallRegion", "recallRecordingConfig"):  # the first is asked for; the second empty is the functions' default
            assert there.default is None or str(key.default) == there.default, key.name
    assert tuple(PAIRED) == settings.REGIONS


def test_every_variable_has_a_key_or_a_resource_or_a_reason(runner: Runner) -> None:
    """Nothing of the functions' settings is out of reach of a deployment unless the table says why."""
    filled: set[str] = set()
    for name in ("production", "minimal"):
        for role in ("webhook", "worker"):
            service = runner.run(example(name)).named(role).inputs["serviceConfig"]
            filled |= {*service["environmentVariables"], *(entry["key"] for entry in service.get("secretEnvironmentVariables", []))}
    by_key = {key.variable for key in OF_BOTH}
    assert by_key | filled | set(NOT_DEPLOYED) == set(BY_VARIABLE)
    assert not set(NOT_DEPLOYED) & (by_key | filled)
