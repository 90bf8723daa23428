from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.events import Transcript
from voicebot.speech.bundled_recognizer import BundledEngine, split_at_pauses
from voicebot.speech.evaluation import Clip, evaluate_stt, read_clip

Clips = dict[str, list[Clip]]


@pytest.mark.parametrize("rate", [16000, 8000])
def test_english_is_understood(english: BundledEngine, clips: Clips, rate: int) -> None:
    result = evaluate_stt(clips["en"], english, rate)
    assert (result.measure, result.clips) == ("WER", 3)
    assert result.errors.rate < 0.10, "measured .03 at both rates"
    assert result.confidence > 0.8


def test_partials_come_at_most_once_an_interval_and_grow(
    english: BundledEngine, clips: Clips
) -> None:
    pcm = read_clip(clips["en"][0].path, 16000)
    utterance = english.open(16000, 50.0)
    partials = []
    for at in range(0, len(pcm), 1600):
        if hypothesis := utterance.accept(pcm[at : at + 1600]):
            partials.append(hypothesis)
    final = utterance.finish()
    seconds = len(pcm) / 16000
    assert 2 <= len(partials) <= seconds
    ends = [partial.end for partial in partials]
    assert ends == sorted(ends) and ends[0] > 50.9 and ends[-1] <= 50.0 + seconds + 1e-6
    assert "waiting" in partials[-1].text.lower()
    assert final.engine == "moonshine:tiny-en" and final.language == "en"


def test_an_utterance_over_is_over(english: BundledEngine) -> None:
    utterance = english.open(8000, 0.0)
    assert utterance.finish() == Transcript("", 0.0, "en", english.name)
    with pytest.raises(RuntimeError, match="over"):
        utterance.finish()
    utterance.abandon()
    with pytest.raises(ValueError, match="not 0"):
        english.open(0, 0.0)


def test_the_callers_buffer_may_be_used_again(english: BundledEngine, clips: Clips) -> None:
    pcm = read_clip(clips["en"][1].path, 16000)
    utterance, buffer = english.open(16000, 0.0), np.zeros(1600, np.int16)
    for at in range(0, len(pcm) - 1600, 1600):
        buffer[:] = pcm[at : at + 1600]
        utterance.accept(buffer)
    assert "manager" in utterance.finish().text


def test_threads_share_the_model(english: BundledEngine, clips: Clips) -> None:
    pcms = [read_clip(clip.path, 16000) for clip in clips["en"]]
    alone = [english.read(pcm, 16000) for pcm in pcms]
    together: dict[int, tuple[str, float]] = {}

    def work(number: int) -> None:
        together[number] = english.read(pcms[number], 16000)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[n] for n in range(3)] == alone


@given(st.integers(0, 30_000), st.integers(1, 4))
def test_pieces_joined_are_the_whole(length: int, longest: int) -> None:
    pcm = np.random.default_rng(length).integers(-99, 99, length).astype(np.int16)
    pieces = split_at_pauses(pcm, 1000, longest)
    assert all(0 < len(piece) <= longest * 1000 for piece in pieces)
    whole = np.concatenate(pieces) if pieces else pcm[:0]
    assert np.array_equal(whole, pcm)


def test_the_cut_is_in_the_pause() -> None:
    pcm = np.full(30_000, 1000, np.int16)
    pcm[15_000:15_600] = 0
    first, _ = split_at_pauses(pcm, 1000, 20.0)
    assert 15_000 <= len(first) <= 15_600
