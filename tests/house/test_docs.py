"""What the pages promise exists."""

import json
import re

from tests.house import tree

ARCHITECTURE_LINES_MAX = 150
_SHELL_BLOCK = re.compile(r"^```(?:sh|shell|bash|console|text)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _pages() -> list[str]:
    return [path for path in tree.files() if path.endswith(".md")]


def test_the_architecture_page_stays_a_walk() -> None:
    """docs/architecture.md has at most 150 lines: it leads to the signs, it does not repeat them."""
    page = "docs/architecture.md"
    lines = len(tree.text(page).splitlines()) if page in tree.files() else 0
    assert lines <= ARCHITECTURE_LINES_MAX


def test_every_verb_in_the_docs_is_a_verb() -> None:
    """A `make …` command in a page, a comment or a script names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", tree.text("Makefile"), re.MULTILINE))
    faults = []
    for path in _pages():
        commands = [line for block in _SHELL_BLOCK.findall(tree.text(path)) for line in block.splitlines()]
        commands += re.findall(r"`(make [^`]*)`", tree.text(path))
        for command in commands:
            match = re.match(r"(?:\$ )?make((?: +[\w=./-]+)*)", command.strip())
            verbs = [word for word in match[1].split() if "=" not in word] if match else []
            faults += [f"{path}: make {verb}" for verb in verbs if verb not in targets]
    assert [] == faults


def test_every_link_between_pages_leads_somewhere() -> None:
    """A relative link in a page names a file or folder of the tree."""
    faults = []
    for path in _pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", tree.text(path)):
            place = target.split("#")[0]
            outside = re.match(r"[a-z]+:", target) or target.startswith("#")
            if not outside and not (tree.ROOT / path).parent.joinpath(place).exists():
                faults.append(f"{path}: {target}")
    assert [] == faults


def test_help_describes_every_verb() -> None:
    """Each phony target of the Makefile has its line in `make help`."""
    makefile = tree.text("Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))


def test_measurements_are_one_flat_object() -> None:
    """benchmarks/results.json maps dotted names to numbers, so that every measurement can join it."""
    results = "benchmarks/results.json"
    measured = json.loads(tree.text(results)) if results in tree.files() else {}
    assert [] == [name for name, figure in measured.items() if type(figure) not in (int, float)]
    assert [] == [name for name in measured if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", name)]
