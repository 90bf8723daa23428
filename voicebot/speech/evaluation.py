"""How well and how fast an engine hears: error rate, real-time factor, memory.

The measure is taken over a manifest (CSV with ``file``, ``language``,
``text``; files relative to it), at 16 kHz or as over a telephone: 8 kHz,
mu-law.  Long recordings are cut at pauses, as the endpointer would.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from voicebot.audio import g711
from voicebot.audio.pcm import resample, to_int16
from voicebot.errors import VoicebotError
from voicebot.events import Pcm
from voicebot.speech.bundled_recognizer import split_at_pauses
from voicebot.speech.recognizer import SpeechEngine
from voicebot.speech.second_pass import SecondPass
from voicebot.speech.text_metrics import UNSPACED_LANGUAGES, ErrorRate, error_rate

_LONGEST = 15.0
"""s of one utterance"""
_BLOCK = 0.1
"""s of one frame"""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording and what is said in it."""

    path: Path
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class SttResult:
    """One row of the table."""

    language: str
    engine: str
    rate: int
    """Hz; 8000 is a telephone line, mu-law"""
    clips: int
    audio_seconds: float
    errors: ErrorRate
    """by character for languages without spaces, else by word"""
    confidence: float
    """mean over utterances, 0-1"""
    cpu_seconds: float
    rss_mb: float
    """megabytes of the process when it was done"""

    @property
    def measure(self) -> str:
        """``CER`` or ``WER``."""
        return "CER" if self.language in UNSPACED_LANGUAGES else "WER"

    @property
    def real_time_factor(self) -> float:
        """CPU seconds per second of audio."""
        return self.cpu_seconds / self.audio_seconds if self.audio_seconds else 0.0


def read_manifest(manifest: Path, language: str, limit: int | None = None) -> list[Clip]:
    """The clips of one language, at most ``limit`` spread over all of them.

    Raises:
        VoicebotError: No such file, a column is missing, or no clip of the language.
    """
    try:
        with manifest.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        clips = [
            Clip(manifest.parent / row["file"], row["language"], row["text"])
            for row in rows
            if row["language"] == language
        ]
    except OSError as err:
        raise VoicebotError(f"{manifest}: {err.strerror}", "name it with --manifest") from None
    except KeyError as err:
        raise VoicebotError(
            f"{manifest}: no column {err}", "it needs file, language and text"
        ) from None
    if not clips:
        raise VoicebotError(f"{manifest}: no clip in the language '{language}'")
    if limit is not None and limit < len(clips):
        return [clips[i * len(clips) // limit] for i in range(limit)]
    return clips


def read_clip(path: Path, rate: int) -> Pcm:
    """A recording as mono at ``rate``; at 8 kHz once through mu-law, as on the telephone.

    Raises:
        VoicebotError: It cannot be read.
    """
    try:
        samples, given = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as err:
        raise VoicebotError(f"{path}: cannot be read ({err})") from None
    pcm = resample(to_int16(samples.mean(axis=1)), given, rate)
    if rate == 8000:
        return g711.decode_mulaw(g711.encode_mulaw(pcm))
    return pcm


def transcribe(
    engine: SpeechEngine, pcm: Pcm, rate: int, second_pass: SecondPass | None = None
) -> tuple[str, list[float]]:
    """Transcribe a recording utterance by utterance; text and the confidence of each."""
    texts, confidences = list[str](), list[float]()
    start = 0.0
    for piece in split_at_pauses(pcm, rate, _LONGEST):
        utterance = engine.open(rate, start)
        for block in np.split(piece, range(int(rate * _BLOCK), len(piece), int(rate * _BLOCK))):
            utterance.accept(block)
        heard = utterance.finish()
        if second_pass is not None:
            heard = second_pass.reread(piece, rate, engine.language)
        texts.append(heard.text)
        confidences.append(heard.confidence)
        start += len(piece) / rate
    return " ".join(texts), confidences


def evaluate_stt(
    clips: Iterable[Clip], engine: SpeechEngine, rate: int, second_pass: SecondPass | None = None
) -> SttResult:
    """Measure an engine.

    Args:
        clips: All in the engine's language.
        engine: Loaded; loading does not count.
        rate: Hz, 16000 or 8000.
        second_pass: Whose text counts, if given; the time is that of both.

    Raises:
        VoicebotError: A clip cannot be read.
    """
    pairs, confidences = list[tuple[str, str]](), list[float]()
    seconds = cpu = 0.0
    for clip in clips:
        pcm = read_clip(clip.path, rate)
        before = time.process_time()
        text, sure = transcribe(engine, pcm, rate, second_pass)
        cpu += time.process_time() - before
        seconds += len(pcm) / rate
        pairs.append((clip.text, text))
        confidences += sure
    name = engine.name if second_pass is None else f"{engine.name} + {second_pass.name}"
    return SttResult(
        language=engine.language,
        engine=name,
        rate=rate,
        clips=len(pairs),
        audio_seconds=seconds,
        errors=error_rate(engine.language, pairs),
        confidence=float(np.mean(confidences)) if confidences else 0.0,
        cpu_seconds=cpu,
        rss_mb=rss_mb(),
    )


def rss_mb() -> float:
    """Resident memory of this process in megabytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
