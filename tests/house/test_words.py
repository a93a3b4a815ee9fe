"""Words that have no place in the tree, or only one."""

import re

from tests.house import tree

# This folder spells the words out that it looks for.
HERE = "tests/house/"


def _others(paths: list[str]) -> list[str]:
    return [path for path in paths if not path.startswith(HERE)]


def test_nothing_is_left_for_later_and_nothing_is_patched() -> None:
    """Unfinished work is an issue, not a comment; a double is a fake that passes its contract, not a mock."""
    words = (
        r"\b(TODO|FIXME|XXX|NotImplementedError)\b|unittest\.mock|from unittest import mock|\bmonkeypatch\b"
    )
    assert [] == tree.found(words, _others(tree.code()))


def test_every_suppression_says_why() -> None:
    """What silences a linter or a type checker has its reason on the same line; protos silence nothing."""
    bare = r"# (noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\]|pragma: no cover)\s*$|buf:lint:ignore"
    assert [] == tree.found(bare, _others(tree.code()))


def test_every_ignored_rule_says_why() -> None:
    """In pyproject.toml a comment stands beside each rule, warning or untyped module that is let through."""
    bare = r'^\s+"[A-Z]+\d*",?\s*$|^"[^"]+" = \[[^\]]*\]\s*$|^\s+"ignore:[^#]*$|^ignore_\w+ = true\s*$'
    assert [] == tree.found(bare, ["pyproject.toml"])


def test_no_path_of_somebodys_machine() -> None:
    """The tree works wherever it is cloned."""
    assert [] == tree.found(
        r"(?<![\w.:/-])/(work|root|tmp)/|(?<![\w.:/-])/home/\w", _others(list(tree.files()))
    )


def test_no_address_of_a_package_registry() -> None:
    """Packages come from whatever index the machine is set up for."""
    hosts = r"(pypi|pythonhosted|npmjs|yarnpkg)\.(org|com|io)\b|proxy\.golang\.org"
    assert [] == tree.found(hosts, _others(list(tree.files())))


def test_every_page_stands_alone() -> None:
    """Nothing refers to pages that are not in the tree."""
    pages = {path.rsplit("/", 1)[-1] for path in tree.files() if path.endswith(".md")}
    foreign = {"design.md", "store.md", "api.md", "style.md"} - pages
    names = "|".join(re.escape(page) for page in sorted(foreign))
    pattern = rf"\.\./shared\b|(?<![\w/-])facts/\w|(?<![\w/-])({names})\b"
    assert [] == tree.found(pattern, _others(list(tree.files())))


# Where the names of the two SQL dialects may stand.
DIALECT_ROOMS = (
    "service/database/dialect.py",
    "service/database/engine.py",
    "service/settings.py",  # the default address
    "service/database/migrations/",  # triggers are written once per dialect
)


def test_dialects_are_named_in_one_place() -> None:
    """Whoever wants to know what differs on SQLite reads dialect.py and nothing else."""
    rooms = [path for path in tree.python("service/") if not path.startswith(DIALECT_ROOMS)]
    assert [] == tree.found(r"sqlite|postgresql", rooms)


def test_the_ledger_only_grows() -> None:
    """No statement updates or deletes a transfer or an entry of the budgets' audit."""
    grown = r"(transfers|budget_changes)\b"
    patterns = [
        rf"(?i)\b(update|delete)\(\s*(\w+\.)*{grown}",
        rf"(?i)\b(?:\w+\.)*{grown}\.(update|delete)\(",
        rf"(?i)\b(update|delete\s+from|truncate(\s+table)?)\s+{grown}",
    ]
    lines = [line for pattern in patterns for line in tree.found(pattern, tree.code("service/"))]
    assert [] == lines


def test_there_is_one_commit_line() -> None:
    """Who commits rows? One line, in service/database; only the schema's migrations have a transaction of their own."""
    rooms = [path for path in tree.python("service/") if "migrat" not in path]
    lines = tree.found(r"\.commit\(|[\"']COMMIT\b|engine\.begin\(", rooms)
    assert [] == [line for line in lines if not line.startswith("service/database/")]
    assert len(lines) <= 1, lines
