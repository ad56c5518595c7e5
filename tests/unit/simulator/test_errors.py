"""`rtms_simulator.errors`: one tree, shown at the top of the file, with stable codes."""

import re

from rtms_simulator import errors
from rtms_simulator.errors import SimulatorError


def tree():
    """{class name: parent's name} as the docstring draws it."""
    parents, path = {}, {}
    for line in (errors.__doc__ or "").splitlines():
        if drawn := re.match(r"    ((?:\|   |    )*)(\|-- |`-- )?(\w+)(?: {2,}\S|$)", line):
            depth = len(drawn[1]) // 4 + bool(drawn[2])
            path[depth] = drawn[3]
            parents[drawn[3]] = path.get(depth - 1)
    return parents


def classes():
    return {name: value for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__}


def test_the_tree_at_the_top_is_the_tree_of_the_classes():
    drawn = tree()
    assert drawn.pop("SimulatorError") is None
    defined = {name: kind.__bases__[0].__name__ for name, kind in classes().items() if kind is not SimulatorError}
    assert len(defined) > 20
    assert drawn == defined


def test_every_name_ends_in_error_and_every_code_is_its_own():
    codes = [kind.code for kind in classes().values()]
    assert [name for name in classes() if not name.endswith("Error")] == []
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []
    assert len(set(codes)) == len(codes)


def test_every_class_says_what_it_means():
    assert [name for name, kind in classes().items() if not (kind.__doc__ or "").strip()] == []
