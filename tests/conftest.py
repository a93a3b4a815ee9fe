"""What may be skipped, and what a skip means: options and hooks only, no fixtures of the product.

`@pytest.mark.debian("haproxy")` marks a test that needs a program of Debian's packages. Where it is
missing the test is skipped and says so. With LIGHTMETER_REQUIRE_ALL=1 (CI) every skip is a failure.
"""

import os
import shutil
from collections.abc import Generator

import pytest

NOTHING_MAY_BE_SKIPPED = os.environ.get("LIGHTMETER_REQUIRE_ALL") == "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose Debian programs are missing."""
    programs = [program for mark in item.iter_markers("debian") for program in mark.args]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} from Debian's packages (apt-get install)")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (NOTHING_MAY_BE_SKIPPED and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: nothing may be skipped under LIGHTMETER_REQUIRE_ALL=1. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure where nothing may be skipped."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failure where nothing may be skipped."""
    report = yield
    _refuse_skip(report)
    return report
