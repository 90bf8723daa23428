"""Peers are ended whatever happens, and their logs shown where a test fails."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

_MOST = 6000
"""characters of each log that are shown"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Whatever a test starts goes here."""
    with ExitStack() as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None] | pytest.TestReport:
    report: pytest.TestReport = yield  # type: ignore[misc,assignment]
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and report.failed and isinstance(folder, Path):
        for log in sorted(folder.rglob("*.log")):
            text = log.read_text(errors="replace")[-_MOST:]
            report.sections.append((str(log.relative_to(folder)), text))
    return report
