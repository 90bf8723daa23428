"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Where a change is judged, the same examples are drawn every time, so that a verdict is about the
# change; at a desk they are new ones each time, and find what nobody thought of.  Neither has a
# deadline: on a shared machine it would judge the neighbours.
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

ROOT = Path(__file__).resolve().parents[1]

# What somebody has activated on this machine must not decide what the tests see.
os.environ["VOICEBOT_EMOTION_STORE"] = str(ROOT / "tests" / ".no-store")


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
