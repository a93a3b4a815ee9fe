"""What a room may import and catch, as far as import-linter and ruff don't know it."""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.house import tree

# The three addresses of blind catching.
BLIND_ADDRESSES = (
    "service/rpc/interceptor.py",  # what is unknown becomes INTERNAL with a fixed sentence
    "service/core/runner.py",  # one render that trips over a bug must not take the others along
    "service/__main__.py",  # the exit code
)
_BLIND = {"Exception", "BaseException"}


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def test_the_domain_knows_the_standard_library_only() -> None:
    """Decisions can be read, run and tested without anything installed."""
    faults = [
        f"{path}: {name}"
        for path in tree.python("service/domain/")
        for name in _imports(tree.syntax(path))
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("service.domain")
    ]
    assert [] == faults


def _blind_handlers(module: ast.Module) -> Iterator[int]:
    """Lines of handlers that catch everything and don't raise it on as their last act."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            blind = any(kind is None or getattr(kind, "id", "") in _BLIND for kind in kinds)
            if blind and not isinstance(node.body[-1], ast.Raise):
                yield node.lineno


def test_blind_catching_has_three_addresses() -> None:
    """Nobody else swallows what they don't know."""
    faults = [
        f"{path}:{line}"
        for path in tree.python("service/")
        if path not in BLIND_ADDRESSES
        for line in _blind_handlers(tree.syntax(path))
    ]
    assert [] == faults


@pytest.mark.parametrize(
    ("handler", "blind"),
    [
        ("except:\n    pass", True),
        ("except Exception:\n    log()", True),
        ("except (KeyError, BaseException) as error:\n    return", True),
        ("except Exception:\n    undo()\n    raise", False),
        ("except KeyError:\n    pass", False),
    ],
)
def test_blind_handlers_are_recognised(handler: str, blind: bool) -> None:
    """Catching everything is blind, unless it is raised on."""
    module = ast.parse(f"def f():\n    try:\n        g()\n    {handler.replace(chr(10), chr(10) + '    ')}\n")
    assert blind == bool(list(_blind_handlers(module)))


def test_loops_hand_out_neither_tasks_nor_time() -> None:
    """Ruff bans calls by name; this bans the side door to tasks without an owner and to the real clock."""
    pattern = r"get_(running|event)_loop\(\)\.(create_task|time)\("
    assert [] == tree.found(pattern, tree.python("service/"))
