from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from voicebot.cli.main import configure_logging


class Screen(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_logged_error_says_where_but_not_who_called(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        caller = "+49 30 " + "1234567"  # put together, or its own source line would show it
        raise RuntimeError("broken" if caller else "")

    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    configure_logging("info")
    try:
        fail()
    except RuntimeError:
        structlog.get_logger().exception("call_failed", call_id="c1")
    text = screen.getvalue()
    assert "RuntimeError" in text and "broken" in text and "test_main.py" in text
    assert "+49 30 1234567" not in text
