"""What has to be closed is closed, whatever happens."""

from __future__ import annotations

import pytest

from voicebot.closing import Closing


class Door(Closing):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_with_block_closes_at_its_end_and_on_errors() -> None:
    with Door() as door:
        assert door.closed == 0
    assert door.closed == 1
    with pytest.raises(ValueError, match="oh"), Door() as door:
        raise ValueError("oh")
    assert door.closed == 1


def test_close_has_to_be_written() -> None:
    with pytest.raises(TypeError):
        Closing()  # type: ignore[abstract]
