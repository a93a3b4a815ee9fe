"""The tree as the house tests see it: which files are ours, and their text and syntax, read once."""

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = "clients/python/lightmeter/v1/"
_CODE = {".py", ".ts", ".js", ".mjs", ".go", ".proto", ".sh", ".sql", ".mako"}
_TEXT = _CODE | {".md", ".yaml", ".yml", ".toml", ".txt", ".cfg", ".ini", ".json", ".html", ".css", ""}
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "build", "dist"}
_SKIPPED_AT_TOP = {"var", "demo"}
_KEPT_DOT_FOLDERS = {".ci"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[str, ...]:
    """Paths of our own text files, relative to the root, with forward slashes; generated stubs left out."""
    return tuple(sorted(path for path in _walk() if not path.startswith(GENERATED)))


def _walk() -> Iterator[str]:
    for folder, inner, names in os.walk(ROOT):
        at_top = Path(folder) == ROOT
        inner[:] = [
            name
            for name in inner
            if name not in _SKIPPED_FOLDERS
            and not name.endswith(".egg-info")
            and not (at_top and name in _SKIPPED_AT_TOP)
            and not (name.startswith(".") and name not in _KEPT_DOT_FOLDERS)
        ]
        for name in names:
            file = Path(folder) / name
            if file.suffix in _TEXT and file.is_file() and (file.suffix or _is_text(file)):
                yield file.relative_to(ROOT).as_posix()


def _is_text(file: Path) -> bool:
    with file.open("rb") as stream:
        return b"\0" not in stream.read(1024)


def code(*prefixes: str) -> list[str]:
    """Files of program code (any language) below one of the prefixes; all of them without a prefix."""
    return [path for path in files() if Path(path).suffix in _CODE and path.startswith(prefixes or ("",))]


def python(*prefixes: str) -> list[str]:
    """Python files below one of the prefixes; all of them without a prefix."""
    return [path for path in code(*prefixes) if path.endswith(".py")]


@cache
def text(path: str) -> str:
    """The file's text; bytes that are no text become replacement characters."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


@cache
def syntax(path: str) -> ast.Module:
    """The file's syntax tree; a syntax error fails the test that asked, with the file's name."""
    return ast.parse(text(path), filename=path)


def functions(path: str) -> Iterator[tuple[str, Function]]:
    """Every function of a file with its dotted name inside the file, the nested ones too."""
    for name, node in _all_named(path):
        if isinstance(node, Function):
            yield name, node


def classes(path: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of a file with its dotted name inside the file."""
    for name, node in _all_named(path):
        if isinstance(node, ast.ClassDef):
            yield name, node


@cache
def _all_named(path: str) -> tuple[tuple[str, ast.AST], ...]:
    return tuple(_named(syntax(path), ""))


def _named(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue  # no definition hides in an expression
        inner = prefix
        if isinstance(child, Function | ast.ClassDef):
            inner = f"{prefix}.{child.name}".lstrip(".")
            yield inner, child
        yield from _named(child, inner)


def found(pattern: str, paths: list[str]) -> list[str]:
    """`path:line: text` for each line of the files in which the regular expression occurs."""
    seeker = re.compile(pattern, re.MULTILINE)
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in paths
        if seeker.search(text(path))
        for number, line in enumerate(text(path).splitlines(), start=1)
        if seeker.search(line)
    ]
