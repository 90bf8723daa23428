from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.media.dtmf import DIGITS, DtmfReceiver, event_payload


class Keys:
    def __init__(self) -> None:
        self.pressed: list[tuple[str, float]] = []
        self.receiver = DtmfReceiver(lambda digit, seconds: self.pressed.append((digit, seconds)))

    def press(
        self,
        digit: str,
        timestamp: int,
        *,
        now: float,
        units: int = 800,
        clock: int = 8000,
        updates: int = 4,
        ends: int = 3,
        ssrc: int = 1,
    ) -> None:
        packets = [event_payload(digit, units * n // 5, end=False) for n in range(1, updates + 1)]
        packets += [event_payload(digit, units, end=True)] * ends
        for packet in packets:
            assert self.receiver.push(packet, ssrc, timestamp, clock, now)


@pytest.mark.parametrize("digit", DIGITS)
def test_every_digit_once(digit: str) -> None:
    keys = Keys()
    keys.press(digit, 1000, now=1.0)
    assert keys.pressed == [(digit, 0.1)]
    assert keys.receiver.deadline is None


@pytest.mark.parametrize("clock", [8000, 16000, 48000])
def test_durations_at_every_clock(clock: int) -> None:
    keys = Keys()
    keys.press("7", 1000, now=1.0, units=clock // 4, clock=clock)
    assert keys.pressed == [("7", 0.25)]


def test_the_same_digit_twice() -> None:
    keys = Keys()
    keys.press("5", 1000, now=1.0)
    keys.press("5", 3000, now=1.25)
    assert [digit for digit, _ in keys.pressed] == ["5", "5"]


def test_lost_ends() -> None:
    keys = Keys()
    keys.press("1", 1000, now=1.0, ends=0)
    assert keys.pressed == []
    keys.press("2", 3000, now=1.25, ends=0)  # the next key ends it
    assert keys.pressed == [("1", 0.08)]
    assert keys.receiver.deadline == pytest.approx(1.45)
    keys.receiver.tick(1.3)
    assert len(keys.pressed) == 1
    keys.receiver.tick(1.46)  # so does time
    assert keys.pressed[1] == ("2", 0.08)
    keys.press("2", 3000, now=1.5)  # the ends that were only late
    assert len(keys.pressed) == 2


def test_lost_updates() -> None:
    keys = Keys()
    keys.press("1", 1000, now=1.0, updates=0, ends=1)
    assert keys.pressed == [("1", 0.1)]


def test_packets_out_of_order() -> None:
    keys = Keys()
    keys.press("1", 1000, now=1.0)
    keys.press("2", 3000, now=1.2, ends=0)
    keys.press("1", 1000, now=1.2)  # once more, late
    keys.press("2", 3000, now=1.2)
    assert keys.pressed == [("1", 0.1), ("2", 0.1)]


def test_timestamps_wrap_and_peers_begin_anew() -> None:
    keys = Keys()
    keys.press("1", 2**32 - 100, now=1.0)
    keys.press("2", 1500, now=1.2)
    keys.press("3", 5, now=2.0, ssrc=2)
    keys.press("4", 2**31, now=3.0, ssrc=2)
    keys.press("5", 2**31 - 10**6, now=4.0, ssrc=2)
    assert "".join(digit for digit, _ in keys.pressed) == "12345"


def test_a_key_held_for_longer_than_16_bits() -> None:
    keys = Keys()
    for timestamp, units in ((0, 0xFFFF), (0xFFFF, 0xFFFF)):
        for part in range(1, 4):
            payload = event_payload("9", units * part // 3, end=False)
            keys.receiver.push(payload, 1, timestamp, 8000, 1.0)
    keys.receiver.push(event_payload("9", 800, end=True), 1, 2 * 0xFFFF, 8000, 1.0)
    ((digit, seconds),) = keys.pressed
    assert digit == "9" and seconds == pytest.approx((2 * 0xFFFF + 800) / 8000)


def test_what_is_no_digit() -> None:
    keys = Keys()
    assert not keys.receiver.push(b"", 1, 0, 8000, 0.0)
    assert not keys.receiver.push(b"\1\2\3", 1, 0, 8000, 0.0)
    assert keys.receiver.push(b"\x10\x8a\x03\x20", 1, 0, 8000, 0.0)  # flash
    assert not keys.receiver.push(b"\x01\x8a\xff\xff", 1, 0, 1000, 0.0)  # a minute and more
    assert keys.pressed == []
    with pytest.raises(ValueError):
        event_payload("x", 1, end=False)


@given(
    st.lists(
        st.tuples(st.binary(max_size=6), st.integers(0, 2), st.integers(0, 2**32 - 1)), max_size=40
    )
)
def test_any_bytes(packets: list[tuple[bytes, int, int]]) -> None:
    keys = Keys()
    for payload, ssrc, timestamp in packets:
        keys.receiver.push(payload, ssrc, timestamp, 8000, 1.0)
    assert len(keys.pressed) <= len(packets)
