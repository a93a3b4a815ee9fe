"""Nothing grows past what a reader holds in mind: modules, functions, classes, and ports."""

import ast
from collections.abc import Iterator

import pytest

from tests.house import tree

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PUBLIC_METHODS_MAX = 8
PORT_METHODS_MAX = 7

# (path, dotted name or "" for the module) -> (its size today, why it may be larger).
# An exception may only shrink: the size must be the size of today.
EXCEPTIONS: dict[tuple[str, str], tuple[int, str]] = {
    ("service/domain/world.py", "World"): (
        17,
        "loads, puts and reads per table; in two classes one batch would have two sights",
    ),
    ("service/database/dialect.py", "Dialect"): (
        10,
        "every difference between the engines is a named method of this one class",
    ),
    ("service/database/loader.py", "_Load"): (
        10,
        "the steps of the lock order, one method each, in the order in which they run",
    ),
    ("tests/support/orders.py", "Steps"): (9, "one method per step that a test may order"),
    ("tests/unit/domain/desk.py", "Desk"): (
        27,
        "the tests' short words for commands, one per command and look",
    ),
}

_NO_METHODS = {"property", "cached_property", "setter", "getter", "deleter", "overload"}


def _decorators(function: tree.Function) -> set[str]:
    names = set()
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""))
    return names


def _lines(function: tree.Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        total -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return total


def _public_methods(node: ast.ClassDef) -> int:
    """Public methods: no properties (they read as fields), no tests (a suite has as many as it needs)."""
    return sum(
        isinstance(member, tree.Function)
        and not member.name.startswith(("_", "test_"))
        and not _decorators(member) & _NO_METHODS
        for member in node.body
    )


def _oversized() -> Iterator[tuple[tuple[str, str], int]]:
    for path in tree.code():
        if path.endswith((".py", ".ts", ".sh")):
            lines = len(tree.text(path).splitlines())
            if lines > MODULE_LINES_MAX:
                yield (path, ""), lines
    for path in tree.python():
        for name, function in tree.functions(path):
            if (lines := _lines(function)) > FUNCTION_LINES_MAX:
                yield (path, name), lines
        for name, node in tree.classes(path):
            if (methods := _public_methods(node)) > PUBLIC_METHODS_MAX:
                yield (path, name), methods


def test_no_module_function_or_class_is_larger_than_its_limit() -> None:
    """At most 400 lines a module, 60 a function without its docstring, 8 public methods a class."""
    excess = {key: size for key, size in _oversized() if key not in EXCEPTIONS}
    assert {} == excess


def test_exceptions_only_shrink() -> None:
    """Each exception is still needed, at exactly the size written down, and has a reason."""
    sizes = dict(_oversized())
    assert {key: size for key, (size, _) in EXCEPTIONS.items()} == {key: sizes.get(key) for key in EXCEPTIONS}
    assert [] == [key for key, (_, reason) in EXCEPTIONS.items() if len(reason.split()) < 4]


def _ports() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in tree.python("service/ports"):
        for name, node in tree.classes(path):
            bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
            if any(getattr(base, "id", getattr(base, "attr", "")) == "Protocol" for base in bases):
                yield name, node


def test_ports_are_small_and_say_what_an_implementation_must_do() -> None:
    """A port has at most seven methods, each with a docstring, and the word MUST stands in each port."""
    faults = []
    for name, node in _ports():
        methods = [member for member in node.body if isinstance(member, tree.Function)]
        if len(methods) > PORT_METHODS_MAX:
            faults.append(f"{name}: {len(methods)} methods")
        words = [ast.get_docstring(node) or "", *(ast.get_docstring(method) or "" for method in methods)]
        if not all(words):
            faults.append(f"{name}: a docstring is missing")
        if not any("MUST" in word for word in words):
            faults.append(f"{name}: nothing says MUST")
    assert [] == faults


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    return 1\n", 2),
        ('def f():\n    """One\n\n    two.\n    """\n    return 1\n', 2),
        ("@decorated\ndef f(\n    a,\n):\n    return 1\n", 4),
    ],
)
def test_docstrings_and_decorators_do_not_count_as_lines(source: str, lines: int) -> None:
    """A function is not made longer by explaining itself."""
    function = ast.parse(source).body[0]
    assert isinstance(function, tree.Function)
    assert lines == _lines(function)
