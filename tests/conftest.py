"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared corpora beside the checkout; the test is skipped where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/data (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The small files committed for tests."""
    return ROOT / "tests" / "data"
