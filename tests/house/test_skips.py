"""What a skip means: a notice on a developer's machine, a failure where nothing may be skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import tree

SKIPPING = """
import pytest

@pytest.mark.debian("no-such-program")
def test_that_needs_a_missing_program():
    raise AssertionError

@pytest.mark.skip(reason="by hand")
def test_that_is_skipped_by_hand():
    raise AssertionError

@pytest.mark.debian("sh")
def test_that_needs_a_program_that_is_there():
    pass
"""


@pytest.mark.parametrize(
    ("require_all", "exit_code", "counts"),
    [("0", 0, "1 passed, 3 skipped"), ("1", 1, "1 passed, 3 errors")],
)
def test_a_skip_is_a_failure_only_where_nothing_may_be_skipped(
    tmp_path: Path, require_all: str, exit_code: int, counts: str
) -> None:
    """Skips by marker, by hand and of whole modules pass at home and fail under LIGHTMETER_REQUIRE_ALL=1."""
    shutil.copy(tree.ROOT / "tests/conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    (tmp_path / "test_module.py").write_text('import pytest\npytest.skip("all", allow_module_level=True)\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = debian\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
    ]
    surroundings = {
        "LIGHTMETER_REQUIRE_ALL": require_all,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert counts in result.stdout
    assert exit_code == result.returncode
    assert "no-such-program from Debian's packages" in result.stdout
