"""The locks name exactly what the projects ask for, with hashes and without addresses."""

import json
import re
import tomllib
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house import tree

RUN, DEV, UV = "requirements/run.txt", "requirements/dev.txt", "requirements/uv.txt"
FOCUS = "requirements/focus.txt"


@cache
def _locked(path: str) -> dict[str, set[Version]]:
    """Versions per package in a lock; more than one where markers split it."""
    versions: dict[str, set[Version]] = {}
    for line in tree.text(path).splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", line):
            versions.setdefault(canonicalize_name(match[1]), set()).add(Version(match[2]))
    return versions


def _asked(*, dev: bool) -> list[Requirement]:
    service = tomllib.loads(tree.text("pyproject.toml"))
    client = tomllib.loads(tree.text("clients/python/pyproject.toml"))
    lines = [*service["project"]["dependencies"], *client["project"]["dependencies"]]
    lines += client["project"]["optional-dependencies"]["cli"]
    if dev:
        lines += service["dependency-groups"]["dev"]
    requirements = [Requirement(line) for line in lines]
    return [requirement for requirement in requirements if requirement.name != "lightmeter"]


@pytest.mark.parametrize(("lock", "dev"), [(RUN, False), (DEV, True)])
def test_a_lock_satisfies_what_the_projects_ask_for(lock: str, dev: bool) -> None:
    """A dependency that was added or raised without `make lock` shows up here, without any network."""
    locked = _locked(lock)
    faults = [
        f"{requirement} (locked: {sorted(map(str, locked.get(canonicalize_name(requirement.name), ())))})"
        for requirement in _asked(dev=dev)
        if not any(
            requirement.specifier.contains(version, prereleases=True)
            for version in locked.get(canonicalize_name(requirement.name), ())
        )
    ]
    assert [] == faults, "run `make lock`"


def test_what_runs_is_what_was_tested() -> None:
    """The image's lock is a part of the lock that the tests run with: same versions, same hashes."""
    run, dev = _locked(RUN), _locked(DEV)
    assert run == {name: dev.get(name) for name in run}
    hashes = re.compile(r"sha256:[0-9a-f]{64}")
    assert set() == set(hashes.findall(tree.text(RUN))) - set(hashes.findall(tree.text(DEV)))


@pytest.mark.parametrize(("lock", "dev"), [(RUN, False), (DEV, True)])
def test_a_dependency_that_was_dropped_leaves_the_lock(lock: str, dev: bool) -> None:
    """An entry that the lock ascribes to one of our projects is asked for by that project."""
    asked = {canonicalize_name(requirement.name) for requirement in _asked(dev=dev)}
    entries = re.split(r"\n(?=[A-Za-z0-9])", tree.text(lock))
    ours = [entry for entry in entries if re.search(r"# (via )? *lightmeter[\w-]* \(", entry)]
    assert ours
    assert set() == {canonicalize_name(re.split(r"[=\[]", entry)[0].strip()) for entry in ours} - asked


@pytest.mark.parametrize("lock", [RUN, DEV, UV, FOCUS])
def test_every_locked_package_has_hashes(lock: str) -> None:
    """An entry without a hash would be installed unseen."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", tree.text(lock).strip())
    assert [] == [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_locks_name_no_addresses() -> None:
    """A lock works with whatever index the machine is set up for."""
    locks = [path for path in tree.files() if path.endswith(("package-lock.json", "uv.lock"))]
    locks += [path for path in tree.files() if re.fullmatch(r"(.*/)?requirements[\w/-]*\.txt", path)]
    assert {RUN, DEV, UV, FOCUS} <= set(locks)
    faults = tree.found(r"https?://", [path for path in locks if path.endswith(".txt")])
    for path in locks:
        if path.endswith(".json"):
            packages = json.loads(tree.text(path)).get("packages", {})
            faults += [f"{path}: {name}" for name, package in packages.items() if "resolved" in package]
    assert [] == faults
