from __future__ import annotations

import itertools

import pytest

from voicebot.telephony.media.sdp_types import Crypto, Direction, LocalMedia, Origin, direction


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(Direction, Direction)))
def test_directions(ours: Direction, theirs: Direction) -> None:
    assert ours.reverse.reverse is ours
    assert direction(ours.sends, ours.receives) is ours
    both = ours.within(theirs.reverse)
    assert both.sends == (ours.sends and theirs.receives)
    assert both.receives == (ours.receives and theirs.sends)


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(Crypto(1, "AES_CM_128_HMAC_SHA1_80", b"secret"))
    assert "secret" not in repr(LocalMedia("192.0.2.1", 1, 2, b"secret"))


def test_versions_rise() -> None:
    assert Origin("192.0.2.1", 5).next().next() == Origin("192.0.2.1", 5, 3)
