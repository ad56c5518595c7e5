"""Every small mistake that could be made in a module, one at a time. Pure: source in, mutants out.

Left alone: docstrings, annotations, type aliases, texts meant for people (any string with a space, whatever stands in an f-string or
in the words of an exception), because changing words breaks no promise.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
TWINS = {"min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith", "endswith": "startswith"}
CHECKED = (ast.Compare, ast.BoolOp)
"""Conditions that are mutated themselves, so need not be negated as a whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """One change that can be made. `line` counts from 1; `code` is that line as it is; `what` names the change."""

    line: int
    code: str
    what: str


@dataclass(frozen=True, slots=True)
class Mutant(Place):
    """A changed module, whole."""

    source: str


@dataclass(frozen=True, slots=True)
class _Change:
    where: tuple[int, int]
    what: str
    target: ast.AST
    make: Callable[[], object]


def places(source: str) -> list[Place]:
    """Every change that can be made in a module, in the order of its lines."""
    return [place for place, _ in _all(source)[1]]


def mutants(source: str, every: int = 1, lines: Collection[int] | None = None) -> Iterator[Mutant]:
    """Every mutant of a module's source, or every n-th; `lines`: of those only."""
    tree, changes = _all(source)
    chosen = [one for one in changes if lines is None or one[0].line in lines]
    for place, change in chosen[::every]:
        target = change.target
        kind, fields = target.__class__, {name: list(value) if isinstance(value, list) else value for name, value in vars(target).items()}
        change.make()
        yield Mutant(place.line, place.code, place.what, ast.unparse(ast.fix_missing_locations(tree)))
        target.__class__ = kind
        vars(target).clear()
        vars(target).update(fields)


def functions(source: str, line: int) -> list[int]:
    """The first lines of the functions around a line, innermost first, as Python counts them: with their decorators. The line of a `def`,
    with its defaults, is not inside: it runs when what is around it does."""
    found = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and _inside(node, line)
    ]
    found.sort(key=lambda node: node.lineno, reverse=True)
    return [min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) for node in found]


def _inside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, line: int) -> bool:
    first = node.body.lineno if isinstance(node, ast.Lambda) else node.body[0].lineno
    return first <= line <= (node.end_lineno or 0)


def _all(source: str) -> tuple[ast.Module, list[tuple[Place, _Change]]]:
    tree, lines = ast.parse(source), source.splitlines()
    walk = _Walk()
    walk.visit(tree)
    changes = sorted(walk.found, key=lambda change: change.where)
    return tree, [(Place(change.where[0], lines[change.where[0] - 1].strip(), change.what), change) for change in changes]


class _Walk(ast.NodeVisitor):
    """Notes everything that can be changed below a node."""

    def __init__(self) -> None:
        self.found: list[_Change] = []

    def _note(self, node: ast.expr | ast.stmt, what: str, make: Callable[[], object], target: ast.AST | None = None) -> None:
        self.found.append(_Change((node.lineno, node.col_offset), what, target or node, make))

    # What is left alone

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._body(node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)):
            self.visit(default)
        self._body(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def _body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not _is_text(statement):
                self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "TypeVar":
            return
        # A capitalised name without a value of its own is an alias of types: State = Literal[...], Event = A | B.
        if isinstance(node.value, (ast.Subscript, ast.BinOp)) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.istitle():
            return
        self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        return

    def visit_Import(self, node: ast.Import) -> None:
        return

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return

    # What is changed

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                self._note(node, f"{_name(operator)} became {_name(other())}", lambda i=index, o=other: node.ops.__setitem__(i, o()))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        self._note(node, f"{_name(node.op)} became {_name(other())}", lambda: setattr(node, "op", other()))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        other = OPERATORS.get(type(node.op))
        if other is not None:
            self._note(node, f"{_name(node.op)} became {_name(other())}", lambda: setattr(node, "op", other()))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        other = OPERATORS.get(type(node.op))
        if other is not None:
            self._note(node, f"{_name(node.op)}= became {_name(other())}=", lambda: setattr(node, "op", other()))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not) and not isinstance(node.operand, CHECKED):
            self._note(node, "not became bool", lambda: _become(node, ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._note(node, f"{value} became {not value}", lambda: setattr(node, "value", not value))
        elif isinstance(value, int | float):
            self._note(node, f"{value} became {value + 1}", lambda: setattr(node, "value", value + 1))
        elif isinstance(value, str | bytes) and " " not in _text(value):
            other = value + ("XX" if isinstance(value, str) else b"XX")  # ty: ignore[unsupported-operator]
            self._note(node, f"{value!r} became {other!r}", lambda: setattr(node, "value", other))

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
        if name in TWINS:
            attribute = "id" if isinstance(function, ast.Name) else "attr"
            self._note(node, f"{name} became {TWINS[name]}", lambda: setattr(function, attribute, TWINS[name]), function)
        self.visit(node.func)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(argument)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self._note(node, "returns None", lambda: setattr(node, "value", ast.Constant(None)))
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._note(node, "does not raise", lambda: _become(node, ast.Pass()))

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self._note(node, "is not done", lambda: _become(node, ast.Pass()))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return  # those imports are for the type checker, which is no test
        self._negate(node)
        self.visit(node.test)
        self._body(node.body)
        self._body(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node)
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._note(node, "break became continue", lambda: _become(node, ast.Continue()))

    def visit_Continue(self, node: ast.Continue) -> None:
        self._note(node, "continue became break", lambda: _become(node, ast.Break()))

    def _negate(self, node: ast.If | ast.IfExp) -> None:
        test = node.test
        if not isinstance(test, CHECKED) and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            self._note(test, "the condition is negated", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test)), node)


def _become(node: ast.AST, other: ast.AST) -> None:
    """Turn a node into another one in its place."""
    replacement = copy.copy(other)
    node.__class__ = replacement.__class__
    node.__dict__.update(replacement.__dict__)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _name(operator: ast.AST) -> str:
    return type(operator).__name__
