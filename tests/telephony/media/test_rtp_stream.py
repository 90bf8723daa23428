"""Streams put together from scripted packets: no sockets, no clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signals import speech
from voicebot.audio.g711 import decode_mulaw, encode_mulaw
from voicebot.events import Pcm
from voicebot.telephony.media.codecs import make_coder
from voicebot.telephony.media.rtp import RtpPacket
from voicebot.telephony.media.rtp_stream import RtpStream

SIZE = 160
CODED = encode_mulaw(speech()[4000 : 4000 + 100 * SIZE])
SAID = decode_mulaw(CODED)


class Listener:
    """A stream, and what was heard of it."""

    def __init__(self, reorder: float = 0.06, most_gap: float = 60.0) -> None:
        self.pieces: list[tuple[Pcm, bool]] = []
        self.stream = RtpStream(
            lambda pcm, concealed: self.pieces.append((pcm, concealed)),
            reorder=reorder,
            most_gap=most_gap,
        )
        self.stream.configure({0: make_coder("PCMU")}, 13)

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([np.zeros(0, np.int16), *(pcm for pcm, _ in self.pieces)])

    @property
    def concealed(self) -> list[int]:
        """Lengths of concealed runs, in samples."""
        runs: list[int] = []
        before = False
        for pcm, concealed in self.pieces:
            if concealed and before:
                runs[-1] += len(pcm)
            elif concealed:
                runs.append(len(pcm))
            before = concealed
        return runs

    def push(
        self,
        number: int,
        *,
        at: float | None = None,
        sequence: int = 0,
        timestamp: int = 0,
        ssrc: int = 1,
        extra_ticks: int = 0,
    ) -> None:
        """Push packet ``number`` of the speech, at its own time unless told otherwise."""
        packet = RtpPacket(
            0,
            False,
            (sequence + number) & 0xFFFF,
            (timestamp + number * SIZE + extra_ticks) & 0xFFFFFFFF,
            ssrc,
            CODED[number * SIZE : (number + 1) * SIZE],
        )
        self.stream.push(packet, number * 0.02 if at is None else at)


def part(first: int, last: int) -> Pcm:
    """Packets ``first`` to below ``last``, as sent."""
    return SAID[first * SIZE : last * SIZE]


def test_a_clean_line_is_bit_exact() -> None:
    listener = Listener()
    for number in range(100):
        listener.push(number)
    assert np.array_equal(listener.pcm, SAID)
    stream = listener.stream
    assert (stream.packets, stream.lost, stream.late, stream.duplicates) == (100, 0, 0, 0)
    assert stream.jitter == pytest.approx(0.0, abs=1e-9)
    assert stream.deadline is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_within_the_window_and_any_duplicates_are_bit_exact(data: st.DataObject) -> None:
    # Packet n may be delayed by less than the window; each may come up to three times.
    delays = data.draw(st.lists(st.floats(0.0, 0.055), min_size=40, max_size=40))
    again = data.draw(st.lists(st.tuples(st.integers(0, 39), st.floats(0.0, 0.05)), max_size=30))
    sequence = data.draw(st.sampled_from([0, 1, 65500, 65535]))
    timestamp = data.draw(st.sampled_from([0, 2**32 - 1000, 2**31 - 500]))
    arrivals = [(n * 0.02 + delay, n) for n, delay in enumerate(delays)]
    arrivals += [(n * 0.02 + delays[n] + delay, n) for n, delay in again]
    listener = Listener()
    for at, number in sorted(arrivals):
        listener.push(number, at=at, sequence=sequence, timestamp=timestamp)
    listener.stream.flush()
    assert np.array_equal(listener.pcm, part(0, 40))
    assert not listener.concealed
    stream = listener.stream
    assert (stream.lost, stream.late, stream.duplicates) == (0, 0, len(again))


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(1, 58), max_size=50),
    st.lists(st.floats(0.0, 0.2), min_size=60, max_size=60),
)
def test_the_samples_heard_are_as_many_as_the_timestamps_say(
    lost: set[int], delays: list[float]
) -> None:
    # aiortp threw away a quarter of the audio at 5 % loss.
    listener = Listener()
    arrivals = sorted((n * 0.02 + delays[n], n) for n in range(60) if n not in lost)
    for at, number in arrivals:
        listener.stream.tick(at)
        listener.push(number, at=at)
    listener.stream.flush()
    stream = listener.stream
    span = (stream.highest - stream.first) & 0xFFFFFFFF
    assert span >= 1 and len(listener.pcm) == span * SIZE
    assert stream.packets == 60 - len(lost)
    # Every packet was heard, or is counted; those before the first that was heard count as
    # duplicates, since nobody knew that they were missing.
    heard = sum(len(pcm) for pcm, concealed in listener.pieces if not concealed) // SIZE
    assert heard + stream.late + stream.duplicates == stream.packets
    assert stream.concealed * 8000 == pytest.approx((stream.lost + stream.late) * SIZE)


def test_a_lost_packet_is_concealed_in_its_place() -> None:
    listener = Listener()
    for number in range(30):
        if number != 20:
            listener.push(number)
    assert len(listener.pcm) == 30 * SIZE
    assert np.array_equal(listener.pcm[: 20 * SIZE], part(0, 20))
    assert listener.concealed == [SIZE]
    made_up = listener.pcm[20 * SIZE : 21 * SIZE].astype(float)
    was = part(20, 21).astype(float)
    assert np.corrcoef(made_up, was)[0, 1] > 0.5  # voiced speech goes on in its period
    # It only blends into what follows, for 5 ms.
    assert np.array_equal(listener.pcm[21 * SIZE + 40 :], part(21, 30)[40:])
    assert (listener.stream.lost, listener.stream.late) == (1, 0)
    assert listener.stream.concealed == pytest.approx(0.02)


def test_a_long_loss_fades_to_silence_and_is_concealed_throughout() -> None:
    listener = Listener()
    for number in (*range(20), *range(40, 60)):
        listener.push(number)
    assert len(listener.pcm) == 60 * SIZE
    assert listener.concealed == [20 * SIZE]
    gap = listener.pcm[20 * SIZE : 40 * SIZE]
    assert np.any(gap[:400]) and not np.any(gap[480:])  # 60 ms
    assert listener.stream.lost == 20


def test_waiting_ends_by_the_clock() -> None:
    listener = Listener(reorder=0.06)
    for number in range(10):
        listener.push(number)
    listener.push(11, at=0.22)
    assert listener.stream.deadline == pytest.approx(0.28)
    listener.stream.tick(0.27)
    assert len(listener.pcm) == 10 * SIZE
    listener.stream.tick(0.281)
    assert len(listener.pcm) == 12 * SIZE
    assert listener.stream.deadline is None
    listener.push(10, at=0.3)
    listener.push(10, at=0.31)
    assert len(listener.pcm) == 12 * SIZE
    stream = listener.stream
    assert (stream.lost, stream.late, stream.duplicates) == (0, 1, 1)


def test_numbers_wrap() -> None:
    listener = Listener()
    for number in range(40):
        if number != 20:
            listener.push(number, sequence=65530, timestamp=2**32 - 3000)
    assert len(listener.pcm) == 40 * SIZE
    assert listener.stream.lost == 1
    assert listener.stream.highest == 65530 + 39  # extended


def test_a_peer_that_begins_anew_is_heard_from_its_first_packet() -> None:
    listener = Listener(reorder=0.02)
    for number in range(10):
        listener.push(number)
    for number in range(10, 30):
        listener.push(number, ssrc=9, sequence=40000, timestamp=12345678)
    assert np.array_equal(listener.pcm, part(0, 30))
    stream = listener.stream
    assert (stream.restarts, stream.lost, stream.strays, stream.ssrc) == (1, 0, 0, 9)
    # ... and with its old SSRC, but numbers that cannot follow
    for number in range(30, 50):
        listener.push(number, ssrc=9, sequence=10000, timestamp=99)
    assert np.array_equal(listener.pcm, part(0, 50))
    assert stream.restarts == 2


def test_a_single_packet_of_another_source_is_a_stray() -> None:
    listener = Listener(reorder=0.02)
    for number in range(20):
        listener.push(number)
        if number in (5, 9, 15):
            listener.push(number, ssrc=100 + number, sequence=7 * number)
    assert np.array_equal(listener.pcm, part(0, 20))
    assert listener.stream.strays == 2  # the last may still become a peer
    assert listener.stream.restarts == 0


def test_silence_that_was_not_sent_is_filled_and_not_lost() -> None:
    listener = Listener(reorder=0.02)
    for number in range(10):
        listener.push(number)
    for number in range(10, 20):
        listener.push(number, at=number * 0.02 + 1.5, extra_ticks=12000)
    assert len(listener.pcm) == 20 * SIZE + 12000
    assert not np.any(listener.pcm[10 * SIZE : 10 * SIZE + 12000])
    assert np.array_equal(listener.pcm[10 * SIZE + 12000 :], part(10, 20))
    assert not listener.concealed and listener.stream.lost == 0
    assert max(len(pcm) for pcm, _ in listener.pieces) <= 8000


def test_loss_within_a_silence_conceals_only_what_was_lost() -> None:
    listener = Listener(reorder=0.02)
    for number in range(10):
        listener.push(number)
    for number in range(12, 20):
        listener.push(number, at=number * 0.02 + 0.5, extra_ticks=4000)
    assert len(listener.pcm) == 20 * SIZE + 4000
    assert listener.concealed == [2 * SIZE]
    assert listener.stream.lost == 2


def test_comfort_noise_fills_the_silence() -> None:
    listener = Listener(reorder=0.02)
    for number in range(10):
        listener.push(number)
    listener.stream.push(RtpPacket(13, False, 10, 10 * SIZE, 1, b"\x32"), 0.2)  # -50 dBov
    for number in range(10, 20):
        packet = RtpPacket(
            0,
            False,
            number + 1,
            number * SIZE + 8000,
            1,
            CODED[number * SIZE : (number + 1) * SIZE],
        )
        listener.stream.push(packet, number * 0.02 + 1.0)
    assert len(listener.pcm) == 20 * SIZE + 8000
    noise = listener.pcm[10 * SIZE : 10 * SIZE + 8000].astype(float)
    level = 20 * np.log10(np.sqrt(np.mean(noise**2)) / 32768)
    assert level == pytest.approx(-50, abs=0.5)
    assert listener.stream.lost == 0 and listener.stream.concealed == 0


def test_only_noise_that_stands_for_a_long_pause_is_marked_as_made_up() -> None:
    """A live listener has put silence there by then, and must know what to leave out."""
    for pause, marked in ((1600, []), (8000, [8000])):
        listener = Listener(reorder=0.02)
        for number in range(10):
            listener.push(number)
        listener.stream.push(RtpPacket(13, False, 10, 10 * SIZE, 1, b"\x32"), 0.2)
        packet = RtpPacket(0, False, 11, 10 * SIZE + pause, 1, CODED[:SIZE])
        listener.stream.push(packet, 0.2 + pause / 8000)
        assert listener.concealed == marked
        assert len(listener.pcm) == 11 * SIZE + pause


def test_a_digit_leaves_silence_in_place_of_the_audio_it_replaced() -> None:
    listener = Listener(reorder=0.02)
    for number in range(10):
        listener.push(number)
    for step in range(5):  # all with the timestamp of the key press
        listener.stream.push(RtpPacket(101, False, 10 + step, 10 * SIZE, 1, b"\5\n\0\0"), 0.2)
    for number in range(15, 20):
        listener.push(number)
    assert len(listener.pcm) == 20 * SIZE
    assert listener.stream.lost == 0 and not listener.concealed


def test_timestamps_that_jump_are_no_hours_of_silence() -> None:
    listener = Listener(reorder=0.02)
    for number in range(10):
        listener.push(number)
    for number in range(10, 20):
        listener.push(number, extra_ticks=8000 * 3000)
    for number in range(20, 30):
        listener.push(number, at=number * 0.02 + 1.0, extra_ticks=-(10**9))
    # The second jump came with a second of silence by the clock.
    assert len(listener.pcm) == 30 * SIZE + 8000
    assert listener.stream.jumps == 2


def test_the_longest_silence_has_an_end() -> None:
    listener = Listener(reorder=0.02, most_gap=2.0)
    for number in range(10):
        listener.push(number)
    for number in range(10, 20):
        listener.push(number, at=number * 0.02 + 500.0, extra_ticks=8000 * 500)
    assert len(listener.pcm) == 20 * SIZE + 16000


def test_a_flood_is_heard_no_faster_than_time_goes_by() -> None:
    listener = Listener(reorder=0.02)
    for number in range(6000):  # two minutes of audio in two seconds, and silence in between
        packet = RtpPacket(0, False, number, number * 3000 & 0xFFFFFFFF, 1, b"\xff" * 160)
        listener.stream.push(packet, number / 3000)
    assert listener.stream.flooded > 5000
    assert len(listener.pcm) < 8000 * 13
    # A network that stood still for seconds is no flood.
    listener = Listener(reorder=0.02)
    for number in range(100):
        listener.push(number, at=2.0 + number * 0.0001)
    listener.stream.flush()
    assert np.array_equal(listener.pcm, SAID)


def test_hostile_numbers_fill_no_memory() -> None:
    listener = Listener()
    random = np.random.default_rng(3)
    for _ in range(20000):
        packet = RtpPacket(
            0,
            False,
            int(random.integers(0, 65536)),
            int(random.integers(0, 2**32)),
            int(random.integers(0, 3)),
            b"\xff" * 160,
        )
        listener.stream.push(packet, 1.0)
    stream = listener.stream
    assert len(stream._waiting) <= 129 and len(stream._gone) <= 256
    assert sum(len(pcm) for pcm, _ in listener.pieces) < 8000 * 12


def test_jitter_is_that_of_the_standard() -> None:
    listener = Listener()
    random = np.random.default_rng(1)
    expected, before = 0.0, None
    for number in range(100):
        at = number * 0.02 + float(random.uniform(0, 0.015))
        listener.push(number, at=at)
        transit = at * 8000 - number * SIZE
        if before is not None:
            expected += (abs(transit - before) - expected) / 16
        before = transit
    assert listener.stream.jitter == pytest.approx(expected / 8000)
    assert 0.003 < listener.stream.jitter < 0.008


def test_packets_of_every_length() -> None:
    for size in (80, 240, 320, 480):
        pieces: list[Pcm] = []
        stream = RtpStream(lambda pcm, _, to=pieces: to.append(pcm), reorder=0.0)  # type: ignore[misc]
        stream.configure({0: make_coder("PCMU")}, 13)
        for number in range(16000 // size):
            if number != 12:
                payload = CODED[number * size : (number + 1) * size]
                packet = RtpPacket(0, False, number, number * size, 1, payload)
                stream.push(packet, number * size / 8000)
        assert sum(map(len, pieces)) == 16000 // size * size
        assert stream.lost == 1
