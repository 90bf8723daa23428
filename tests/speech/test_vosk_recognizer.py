"""Vosk on real Korean; each trap of the library has its test."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from voicebot.events import Pcm, Transcript, Word
from voicebot.speech.evaluation import Clip, evaluate_stt, read_clip
from voicebot.speech.recognizer import SttParams
from voicebot.speech.recognizer_pool import BusyError
from voicebot.speech.vosk_model import VoskModel
from voicebot.speech.vosk_recognizer import (
    Conditioner,
    VoskEngine,
    _babble,
    _Decoder,
    _warm,
    mean_confidence,
)

Clips = dict[str, list[Clip]]


def hear(engine: VoskEngine, pcm: Pcm, rate: int = 16000, start: float = 0.0) -> Transcript:
    utterance = engine.open(rate, start)
    for at in range(0, len(pcm), rate // 10):
        utterance.accept(pcm[at : at + rate // 10])
    return utterance.finish()


def fingerprint(transcript: Transcript) -> str:
    return hashlib.sha256(repr(transcript).encode()).hexdigest()


# ---------------------------------------------------------------- it works


def test_korean_is_understood(korean: VoskEngine, clips: Clips) -> None:
    result = evaluate_stt(clips["ko"], korean, 16000)
    assert result.measure == "CER"
    assert result.errors.rate < 0.30, "measured .16"
    assert 0.6 < result.confidence <= 1.0


@pytest.mark.shared
def test_real_korean_is_understood(korean: VoskEngine, shared_data: Path) -> None:
    from voicebot.speech.evaluation import read_manifest

    real = read_manifest(shared_data / "stt" / "manifest.csv", "ko", limit=12)
    assert evaluate_stt(real, korean, 16000).errors.rate < 0.40


def test_partials_grow_and_words_lie_on_the_audio_clock(korean: VoskEngine, clips: Clips) -> None:
    pcm = read_clip(clips["ko"][1].path, 16000)
    utterance = korean.open(16000, 100.0)
    partials = []
    for at in range(0, len(pcm), 1600):
        if hypothesis := utterance.accept(pcm[at : at + 1600]):
            partials.append(hypothesis)
    final = utterance.finish()
    assert len(partials) >= 3
    assert all(a.text != b.text for a, b in itertools.pairwise(partials))
    assert all(100.0 < p.end <= 100.0 + len(pcm) / 16000 + 1e-6 for p in partials)
    assert final.text == " ".join(word.text for word in final.words)
    assert (final.language, final.engine) == ("ko", korean.name)
    times = [time for word in final.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 100.2 < times[0] < 101.0, "0.3 s of silence come first"
    assert times[-1] <= 100.0 + len(pcm) / 16000
    assert all(0.0 <= word.confidence <= 1.0 for word in final.words)
    assert final.confidence == mean_confidence(final.words)


def test_a_telephone_call_gets_words_too(korean: VoskEngine, clips: Clips) -> None:
    result = evaluate_stt(clips["ko"], korean, 8000)
    assert result.errors.rate < 0.85, "measured .74; a wideband model on a telephone"


# ---------------------------------------------------------------- traps


def test_rate_zero_does_not_hang(korean: VoskEngine) -> None:
    before = korean.pool.idle
    with pytest.raises(ValueError, match="not 0"):
        korean.open(0, 0.0)
    assert korean.pool.idle == before, "nothing was leased"


def test_bytes_that_are_not_samples_are_refused_and_the_lease_survives(
    korean: VoskEngine, clips: Clips
) -> None:
    pcm = read_clip(clips["ko"][0].path, 16000)
    utterance = korean.open(16000, 0.0)
    with pytest.raises(ValueError, match="mono int16"):
        utterance.accept(np.frombuffer(pcm.tobytes()[:-1], np.uint8))
    for at in range(0, len(pcm), 1600):
        utterance.accept(pcm[at : at + 1600])
    assert utterance.finish() == hear(korean, pcm)


def test_a_view_with_a_stride_is_heard_as_it_is(korean: VoskEngine, clips: Clips) -> None:
    pcm = read_clip(clips["ko"][0].path, 16000)
    stereo = np.stack([pcm, np.zeros_like(pcm)], axis=1)
    assert hear(korean, stereo[:, 0]) == hear(korean, pcm)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_any_cutting_into_frames_loses_no_sample(rate: int) -> None:
    pcm = np.random.default_rng(3).integers(-9000, 9000, rate + 7).astype(np.int16)
    lengths = []
    for sizes in ([rate + 7], [1] * 11 + [rate - 4], [160, 161, 7, rate - 321]):
        condition = Conditioner(rate, 16000)
        edges = np.cumsum([0, *sizes])
        heard = [condition.push(pcm[a:b]) for a, b in itertools.pairwise(edges)]
        heard.append(condition.flush())
        lengths.append(sum(len(piece) for piece in heard))
    assert set(lengths) == {round(len(pcm) * 16000 / rate)}


def test_word_confidences_are_there_which_alternatives_would_remove(
    korean_model: VoskModel, korean: VoskEngine, clips: Clips
) -> None:
    pcm = read_clip(clips["ko"][0].path, 16000)
    assert hear(korean, pcm).words
    raw = korean_model.recognizer()
    raw.SetMaxAlternatives(2)
    raw.AcceptWaveform(pcm.tobytes())
    best = json.loads(raw.FinalResult())["alternatives"][0]
    assert "conf" not in best["result"][0], "the trap is gone: alternatives could be used"


def test_silence_gives_no_words(korean: VoskEngine) -> None:
    for rate in (8000, 16000):
        heard = hear(korean, np.zeros(5 * rate, np.int16), rate)
        assert (heard.text, heard.words, heard.confidence) == ("", (), 0.0)


@pytest.mark.parametrize("samples", [0, 1, 99, 400, 799])
def test_next_to_nothing_is_no_trouble(korean: VoskEngine, samples: int) -> None:
    for rate in (8000, 16000):
        assert hear(korean, np.full(samples, 77, np.int16), rate).text == ""


def test_one_callers_voice_never_changes_what_the_next_is_heard_to_say(
    korean: VoskEngine, clips: Clips
) -> None:
    """The i-vector adapts to a speaker; a recogniser that was used must be as new."""
    pcms = [read_clip(clip.path, 16000) for clip in clips["ko"]]
    loud = np.clip(pcms[1].astype(np.int32) * 5, -32768, 32767).astype(np.int16)
    before = [hear(korean, pcm) for pcm in pcms]
    assert korean.pool.alive == 1, "all this was heard by the same recogniser"
    hear(korean, loud)
    assert [hear(korean, pcm) for pcm in reversed(pcms)][::-1] == before


def test_reset_instead_of_final_result_would_leak_the_voice(
    korean_model: VoskModel, clips: Clips
) -> None:
    """Why the lease ends as it does: with Result and Reset, history shows in the next result."""
    model = korean_model
    pcms = [read_clip(clip.path, 16000).tobytes() for clip in clips["ko"]]

    def words(recognizer: object, pcm: bytes) -> list[tuple[str, float]]:
        kaldi = recognizer
        kaldi.AcceptWaveform(pcm)  # type: ignore[attr-defined]
        result = json.loads(kaldi.Result())  # type: ignore[attr-defined]
        kaldi.Reset()  # type: ignore[attr-defined]
        return [(word["word"], word["conf"]) for word in result.get("result", ())]

    fresh = words(model.recognizer(), pcms[2])
    used = model.recognizer()
    for pcm in (pcms[0], pcms[1]):
        words(used, pcm)
    assert words(used, pcms[2]) != fresh


def test_an_abandoned_utterance_leaves_nothing_behind(korean: VoskEngine, clips: Clips) -> None:
    pcm, other = (read_clip(clips["ko"][i].path, 16000) for i in (0, 1))
    expected = hear(korean, pcm)
    idle = korean.pool.idle
    utterance = korean.open(16000, 0.0)
    utterance.accept(other[:20000])
    utterance.abandon()
    utterance.abandon()
    assert korean.pool.idle == idle
    assert hear(korean, pcm) == expected
    with pytest.raises(RuntimeError, match="over"):
        utterance.accept(pcm)


_CHILD = """
import hashlib, sys
from pathlib import Path
from tests.speech.test_vosk_recognizer import fingerprint, hear
from voicebot.speech.bundled_recognizer import BundledEngine
from voicebot.speech.evaluation import read_clip
from voicebot.speech.recognizer import SttParams
from voicebot.speech.vosk_recognizer import VoskEngine
english = BundledEngine(SttParams())
engine = VoskEngine(Path(sys.argv[1]), "ko", SttParams(pool_size=1))
print(fingerprint(hear(engine, read_clip(Path(sys.argv[2]), int(sys.argv[3])), int(sys.argv[3]))))
"""


@pytest.mark.parametrize("rate", [8000, 16000])
def test_another_process_hears_the_same(
    korean: VoskEngine, korean_folder: Path, clips: Clips, rate: int
) -> None:
    # The other one opens an onnxruntime session first, which moves the library's last digits.
    path = clips["ko"][2].path
    here = fingerprint(hear(korean, read_clip(path, rate), rate))
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(korean_folder), str(path), str(rate)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert child.stdout.split()[-1] == here
    assert "LOG (VoskAPI" not in child.stderr


def test_with_dither_two_recognisers_disagree(korean_folder: Path, clips: Clips) -> None:
    """Why the model is loaded through a view without dither."""
    import vosk

    vosk.SetLogLevel(-1)
    if "--dither=0" in (korean_folder / "conf" / "mfcc.conf").read_text():
        pytest.skip("this model has no dither of its own")
    model = vosk.Model(str(korean_folder))
    pcm = read_clip(clips["ko"][2].path, 16000).tobytes()
    results = set()
    for _ in range(3):
        kaldi = vosk.KaldiRecognizer(model, 16000.0)
        kaldi.SetWords(True)
        kaldi.AcceptWaveform(pcm)
        results.add(kaldi.FinalResult())
    assert len(results) > 1


def test_a_warmed_recogniser_spares_its_first_caller_the_cold_start(
    korean_model: VoskModel,
) -> None:
    model = korean_model
    speech = _babble(16000)[:16000]

    def cost(decoder: _Decoder) -> float:
        before = time.thread_time()
        decoder.accept(speech)
        decoder.kaldi.FinalResult()
        return time.thread_time() - before

    cold, warm = _Decoder(model), _Decoder(model)
    _warm(warm)
    assert cost(warm) < 0.7 * cost(cold)


def test_an_old_recogniser_is_replaced(korean_folder: Path, clips: Clips) -> None:
    pcm = read_clip(clips["ko"][0].path, 16000)
    engine = VoskEngine(
        korean_folder, "ko", SttParams(pool_size=1, pool_limit=2, recycle_after_seconds=2.5)
    )
    first = engine.open(16000, 0.0)
    old = first._decoder
    for at in range(0, len(pcm), 1600):
        first.accept(pcm[at : at + 1600])
    heard = first.finish()
    end = time.monotonic() + 20
    while not engine.pool.idle and time.monotonic() < end:
        time.sleep(0.02)
    second = engine.open(16000, 0.0)
    assert second._decoder is not old
    second.abandon()
    assert hear(engine, pcm) == heard
    engine.close()


def test_legs_heard_at_once_do_not_disturb_each_other(korean: VoskEngine, clips: Clips) -> None:
    pcms = [read_clip(clip.path, 16000) for clip in clips["ko"]]
    alone = [hear(korean, pcm) for pcm in pcms]
    together: dict[int, Transcript] = {}

    def listen(number: int) -> None:
        together[number] = hear(korean, pcms[number])

    threads = [threading.Thread(target=listen, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[n] for n in range(3)] == alone


def test_when_all_are_leased_it_says_busy(korean_folder: Path) -> None:
    engine = VoskEngine(
        korean_folder, "ko", SttParams(pool_size=1, pool_limit=2, pool_wait_seconds=0.0)
    )
    held = [engine.open(16000, 0.0), engine.open(16000, 0.0)]
    with pytest.raises(BusyError):
        engine.open(16000, 0.0)
    for utterance in held:
        utterance.abandon()
    engine.open(16000, 0.0).abandon()
    engine.close()


def test_mean_confidence_is_weighted_by_duration() -> None:
    words = (Word("a", 0.0, 3.0, 1.0), Word("b", 3.0, 4.0, 0.2))
    assert mean_confidence(words) == pytest.approx(0.8)
    assert mean_confidence(()) == 0.0
