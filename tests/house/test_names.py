"""Names say what is inside: no bucket rooms, signs at every door, properties on every test."""

import ast
from pathlib import PurePosixPath

from tests.house import tree

BUCKETS = {"utils", "common", "helpers", "misc", "base", "types", "models", "manager", "handlers"}
BUCKETS |= {"util", "helper", "managers", "handler"}
SHIPPED = ("service/", "sandbox/", "clients/python/lightmeter/")
SIGN_CHARACTERS_MIN = 80


def test_no_room_is_a_bucket() -> None:
    """No file and no folder of code has a name that could hold anything."""
    faults = []
    for path in tree.code():
        parts = PurePosixPath(path).with_suffix("").parts
        if BUCKETS & {part.strip("_").lower() for part in parts}:
            faults.append(path)
    assert [] == faults


def test_every_package_has_a_sign() -> None:
    """The __init__.py of a package says what lives there, what never does, and who may come in."""
    faults = []
    for folder in sorted(
        {PurePosixPath(path).parent for path in tree.python(*SHIPPED, "tests/", "benchmarks/")}
    ):
        if "migrations" in folder.parts:
            continue  # Alembic loads them by path; they are no package
        sign = (folder / "__init__.py").as_posix()
        if sign not in tree.files():
            faults.append(f"{sign}: missing")
        elif len(ast.get_docstring(tree.syntax(sign)) or "") < (
            SIGN_CHARACTERS_MIN if sign.startswith(SHIPPED) else 1
        ):
            faults.append(f"{sign}: says too little")
    assert [] == faults


def test_every_test_states_its_property() -> None:
    """A test has a docstring, or a name of at least four words after `test_`."""
    faults = []
    for path in tree.python("tests/"):
        for name, function in tree.functions(path):
            words = function.name.removeprefix("test_").split("_")
            is_test = function.name.startswith("test_")
            if is_test and len(words) < 4 and not ast.get_docstring(function):
                faults.append(f"{path}: {name}")
    assert [] == faults


def test_no_two_tests_of_a_module_share_a_name() -> None:
    """A second test of the same name in the same place would silently replace the first."""
    faults = []
    for path in tree.python("tests/"):
        names = [name for name, function in tree.functions(path) if function.name.startswith("test_")]
        faults += [f"{path}: {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    assert [] == faults
