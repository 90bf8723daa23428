from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests import signals
from voicebot.events import Frame, Pcm
from voicebot.speech.endpointing import (
    Closed,
    CloseReason,
    Continued,
    Endpoint,
    Endpointer,
    EndpointingParams,
    Opened,
    VadState,
)
from voicebot.speech.vad import Decision, VadParams, open_detector

RATE = 8000
SIZE = 160  # samples a frame of the scripted detector, 20 ms


class Scripted:
    """Calls a frame speech where its first sample says so."""

    frame_samples = SIZE

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._rest: Pcm = np.empty(0, np.int16)

    def push(self, pcm: Pcm) -> list[Decision]:
        joined = np.concatenate((self._rest, pcm))
        whole = len(joined) // SIZE * SIZE
        self._rest = joined[whole:]
        return [Decision(bool(x > 0), float(x > 0)) for x in joined[:whole:SIZE]]


def script(*stretches: tuple[int, float]) -> Pcm:
    """Voiced (1) and unvoiced (0) stretches of so many seconds; every sample is another."""
    voiced = np.concatenate([np.full(round(s * RATE), v) for v, s in stretches])
    number = np.arange(1, len(voiced) + 1) % 30000 + 1
    return np.where(voiced > 0, number, -number).astype(np.int16)


def run(
    pcm: Pcm,
    params: EndpointingParams | None = None,
    *,
    sizes: tuple[int, ...] = (800,),
    start: float = 0.0,
) -> list[Endpoint]:
    endpointer = Endpointer(Scripted(), params or EndpointingParams(), RATE)
    events: list[Endpoint] = []
    at = number = 0
    while at < len(pcm):
        size = sizes[number % len(sizes)]
        events += endpointer.push(Frame(pcm[at : at + size], RATE, start + at / RATE))
        at, number = at + size, number + 1
    return events + endpointer.flush()


def closed(events: list[Endpoint]) -> list[Closed]:
    return [event for event in events if isinstance(event, Closed)]


def sample(t: float) -> int:
    return round(t * RATE)


def same(a: list[Endpoint], b: list[Endpoint]) -> bool:
    def plain(event: Endpoint) -> tuple[object, ...]:
        fields = {k: getattr(event, k) for k in event.__slots__}
        return (type(event), fields.pop("pcm").tobytes(), sorted(fields.items()))

    return [plain(e) for e in a] == [plain(e) for e in b]


# ------------------------------------------------- one utterance


def test_one_utterance() -> None:
    pcm = script((0, 1.0), (1, 2.0), (0, 2.0))
    events = run(pcm)
    opened, *between, last = events
    assert isinstance(opened, Opened) and isinstance(last, Closed)
    assert all(isinstance(event, Continued) for event in between)
    assert opened.start == pytest.approx(1.0 - 0.3)  # pre-roll
    assert opened.t == pytest.approx(1.2)  # start_seconds
    assert last.start == opened.start and last.end == pytest.approx(3.0)
    assert last.t == pytest.approx(3.8)  # stop_seconds
    assert last.speech_seconds == pytest.approx(2.0)
    assert last.reason is CloseReason.ENDPOINT
    np.testing.assert_array_equal(last.pcm, pcm[sample(0.7) : sample(3.8)])


def test_states() -> None:
    endpointer = Endpointer(Scripted(), EndpointingParams(), RATE)
    seen = []
    pcm = script((0, 0.2), (1, 0.1), (0, 0.3), (1, 0.4), (0, 0.4), (1, 0.1), (0, 1.0))
    for at in range(0, len(pcm), SIZE):
        endpointer.push(Frame(pcm[at : at + SIZE], RATE, at / RATE))
        seen.append(endpointer.state)
    changes = [seen[0], *(b for a, b in pairwise(seen) if a is not b)]
    quiet, starting, speaking, stopping = VadState
    assert changes == [
        quiet, starting, quiet, starting, speaking, stopping, speaking, stopping, quiet,
    ]  # fmt: skip
    assert endpointer.t == pytest.approx(len(pcm) / RATE)


def test_clicks_open_nothing() -> None:
    assert run(script((0, 1), (1, 0.1), (0, 1), (1, 0.18), (0, 1), (1, 0.1))) == []


def test_a_stutter_opens_from_its_first_sound() -> None:
    (utterance,) = closed(run(script((0, 1), (1, 0.1), (0, 0.1), (1, 0.1), (0, 2))))
    assert utterance.start == pytest.approx(0.7)
    assert utterance.end == pytest.approx(1.3)
    assert utterance.speech_seconds == pytest.approx(0.2)


def test_pauses_shorter_than_the_stop_belong_to_it() -> None:
    (utterance,) = closed(run(script((1, 1), (0, 0.7), (1, 1), (0, 2))))
    assert utterance.speech_seconds == pytest.approx(2.0)
    assert utterance.end == pytest.approx(2.7)
    first, second = closed(run(script((1, 1), (0, 0.9), (1, 1), (0, 2))))
    assert first.end == pytest.approx(1.0) and second.start == pytest.approx(1.6)


def test_speech_at_once_has_no_pre_roll() -> None:
    (utterance,) = closed(run(script((1, 1), (0, 2)), start=5.0))
    assert utterance.start == 5.0 and utterance.end == pytest.approx(6.0)


def test_pre_roll_never_reaches_into_speech_before() -> None:
    params = EndpointingParams(stop_seconds=0.1, pre_roll_seconds=1.0)
    first, second = closed(run(script((1, 1), (0, 0.2), (1, 1), (0, 1)), params))
    assert second.start == pytest.approx(first.end)


# ------------------------------------------------- too long, and the end


def test_cut_at_the_maximum_loses_and_doubles_nothing() -> None:
    pcm = script((1, 40.0), (0, 2.0))
    utterances = closed(run(pcm))
    assert [u.reason for u in utterances] == [CloseReason.MAX_LENGTH] * 2 + [CloseReason.ENDPOINT]
    assert all(len(u.pcm) <= sample(15.0) for u in utterances)
    assert all(a.t == b.start for a, b in pairwise(utterances))
    joined = np.concatenate([u.pcm for u in utterances])
    np.testing.assert_array_equal(joined, pcm[: len(joined)])
    assert sum(u.speech_seconds for u in utterances) == pytest.approx(40.0)


def test_a_long_one_is_cut_at_a_short_pause() -> None:
    pcm = script((1, 8), (0, 0.3), (1, 5), (0, 0.3), (1, 5), (0, 2))
    first, second = closed(run(pcm))
    assert first.reason is CloseReason.MAX_LENGTH
    assert first.end == pytest.approx(13.3)  # not at 8.0: that is before 80 % of the maximum
    assert first.t == second.start == pytest.approx(13.5)
    assert second.end == pytest.approx(18.6)
    hard = closed(run(pcm, EndpointingParams(cut_after=1.0)))
    assert hard[0].t == pytest.approx(15.0)


def test_a_short_word_after_the_cut_is_kept() -> None:
    first, second = closed(run(script((1, 15.0), (0, 0.1), (1, 0.06), (0, 2))))
    assert first.t == second.start == pytest.approx(15.0)
    assert second.speech_seconds == pytest.approx(0.06)
    # but not much later, when it is a click like any other
    assert len(closed(run(script((1, 15.0), (0, 0.5), (1, 0.06), (0, 2))))) == 1


def test_flush_closes_and_gives_the_last_samples() -> None:
    pcm = script((0, 1), (1, 1))[: 2 * RATE - 61]
    (utterance,) = closed(run(pcm))
    assert utterance.reason is CloseReason.FLUSH
    np.testing.assert_array_equal(utterance.pcm, pcm[sample(0.7) :])
    assert utterance.t == pytest.approx(len(pcm) / RATE)
    assert utterance.end == pytest.approx(2.0 - 0.02)  # the last whole frame


def test_flush_at_a_given_time_and_again() -> None:
    endpointer = Endpointer(Scripted(), EndpointingParams(), RATE)
    endpointer.push(Frame(script((1, 1)), RATE, 0.0))
    *_, last = endpointer.flush(1.5)
    assert isinstance(last, Closed) and last.t == 1.5 and last.end == pytest.approx(1.0)
    assert endpointer.flush() == []
    assert endpointer.state is VadState.QUIET


def test_flush_before_any_audio() -> None:
    assert Endpointer(Scripted(), EndpointingParams(), RATE).flush() == []


# ------------------------------------------------- the stream


def test_a_hole_closes_and_the_clock_goes_on() -> None:
    endpointer = Endpointer(Scripted(), EndpointingParams(), RATE)
    events = endpointer.push(Frame(script((1, 1)), RATE, 0.0))
    events += endpointer.push(Frame(script((1, 1), (0, 1)), RATE, 3.0))
    first, second = closed(events)
    assert first.reason is CloseReason.FLUSH and first.end == pytest.approx(1.0)
    assert second.start == 3.0 and second.end == pytest.approx(4.0)


def test_wrong_streams_are_refused() -> None:
    endpointer = Endpointer(Scripted(), EndpointingParams(), RATE)
    with pytest.raises(ValueError, match="expected 8000 Hz, got 16000"):
        endpointer.push(Frame(script((1, 1)), 16000, 0.0))
    endpointer.push(Frame(script((1, 1)), RATE, 0.0))
    with pytest.raises(ValueError, match="again"):
        endpointer.push(Frame(script((1, 1)), RATE, 0.5))


PATTERN = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.02, 0.1, 0.2, 0.34, 0.9, 2.5])), max_size=25
)
SHORT = EndpointingParams(max_utterance_seconds=3.0, stop_seconds=0.4)


@settings(deadline=None)
@given(pattern=PATTERN, sizes=st.lists(st.integers(20, 3000), min_size=1, max_size=4))
@example(pattern=[(1, 2.5), (1, 2.5)], sizes=[33])
def test_invariants(pattern: list[tuple[int, float]], sizes: list[int]) -> None:
    pcm = script(*pattern) if pattern else np.empty(0, np.int16)
    events = run(pcm, SHORT, sizes=tuple(sizes))
    assert same(events, run(pcm, SHORT))  # whatever the size of the blocks
    given_: list[Pcm] = []
    last_end = last_t = 0.0
    previous: Closed | None = None
    for event in events:
        assert event.t >= last_t
        last_t = event.t
        begin = sample(event.start)
        np.testing.assert_array_equal(event.pcm, pcm[begin : begin + len(event.pcm)])
        match event:
            case Opened():
                assert not given_
                given_ = [event.pcm]
                assert event.start >= last_end - 1e-9
                if previous is not None and previous.reason is CloseReason.MAX_LENGTH:
                    assert event.start >= previous.t - 1e-9  # nothing twice
            case Continued():
                assert given_
                given_.append(event.pcm)
            case Closed():
                np.testing.assert_array_equal(np.concatenate(given_), event.pcm)
                given_, last_end, previous = [], event.end, event
                assert event.start < event.end <= event.t + 1e-9
                assert 0 < event.speech_seconds <= event.end - event.start + 1e-9
                assert len(event.pcm) <= sample(SHORT.max_utterance_seconds)
    assert not given_


def test_pieces_are_about_100_ms() -> None:
    events = run(script((1, 5), (0, 2)), sizes=(37,))
    lengths = [len(e.pcm) for e in events if isinstance(e, Continued)]
    assert set(lengths[:-1]) == {800} and 0 < lengths[-1] <= 800


def test_parameters_that_leave_no_room() -> None:
    with pytest.raises(ValidationError, match="leave no room"):
        EndpointingParams(max_utterance_seconds=2.0, pre_roll_seconds=1.5, start_seconds=0.5)


# ------------------------------------------------- with the real detectors


@pytest.mark.parametrize("rate", [8000, 16000])
def test_finds_the_sentences_of_a_call(rate: int) -> None:
    from voicebot.audio.pcm import resample

    sentences = [signals.speech(f"speech_{name}") for name in ("en_1", "en_2", "ko_1")]
    parts, truth, at = [signals.silence(1.0, dbfs=-60)], [], 1.0
    for sentence in sentences:
        truth.append((at, at + len(sentence) / 8000))
        at = truth[-1][1] + 1.5
        parts += [sentence, signals.silence(1.5, dbfs=-60)]
    pcm = resample(np.concatenate(parts), 8000, rate)
    endpointer = Endpointer(open_detector(VadParams(), rate), EndpointingParams(), rate)
    events = []
    for begin in range(0, len(pcm), rate // 10):
        events += endpointer.push(Frame(pcm[begin : begin + rate // 10], rate, begin / rate))
    utterances = closed(events + endpointer.flush())
    assert len(utterances) == len(truth)
    for utterance, (start, end) in zip(utterances, truth, strict=True):
        assert start - 0.45 < utterance.start < start - 0.1  # the pre-roll holds the onset
        assert end - 0.2 < utterance.end < end + 0.3
        assert utterance.speech_seconds > 0.75 * (end - start)
        assert utterance.reason is CloseReason.ENDPOINT


def test_noise_and_music_open_nothing() -> None:
    pcm = np.concatenate(
        [signals.white(4), signals.pink(4), signals.music(8), signals.dtmf(), signals.silence(2)]
    )
    endpointer = Endpointer(open_detector(VadParams(), 8000), EndpointingParams(), 8000)
    assert endpointer.push(Frame(pcm, 8000, 0.0)) == []
    assert endpointer.flush() == []
