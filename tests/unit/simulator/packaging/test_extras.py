"""The table of extras is what pyproject.toml asks for."""

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rtms_simulator.packaging import extras

PROJECT = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_an_extra_s_modules_are_those_of_its_requirements(extra):
    asked = {canonicalize_name(Requirement(line).name) for line in PROJECT["optional-dependencies"][extra]} - {"rtmskit"}
    brought = importlib.metadata.packages_distributions()
    assert {canonicalize_name(name) for module in extras.EXTRAS[extra] for name in brought[module]} == asked


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "simulator", ("json", "no_such_module"))
    assert extras.missing("simulator") == ("no_such_module",)
    assert extras.missing("test") == ()
