"""What a recogniser makes of speech over a telephone, kept, so that it is heard once.

Real errors are not like drawn ones: a recogniser writes words that sound alike and
fit its language model.  Two sources of speech with known words:

* Korean clips of ``ko`` with their scripts, under any condition of a line;
* English test texts spoken by a synthesiser that the machine has (``flite``, else
  ``espeak-ng``), as no English corpus of emotional words comes with speech.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.errors import ModelError
from voicebot.events import Pcm
from voicebot.speech.engines import open_engine
from voicebot.speech.evaluation import read_clip, transcribe
from voicebot.speech.recognizer import SpeechEngine, SttParams
from voicebot.training.acoustic_predictions import heard
from voicebot.training.augmentation import Condition
from voicebot.training.report import Progress
from voicebot.training.score_cache import digest_of, keep_json, kept_json
from voicebot.training.speech_corpora import Clip

RATE: Final = 8000
"""Hz; mu-law, as on the telephone"""
_FLITE_VOICES: Final = ("slt", "rms", "awb")
_ESPEAK_VOICES: Final = ("en-us", "en-gb", "en-us+f3")
_CODE: Final = ("voicebot.speech.engines", "voicebot.training.augmentation")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised."""

    text: str
    confidence: float
    """mean over utterances, 0-1; 0 where nothing was recognised"""


def recognise_clips(
    data: Path,
    clips: Sequence[Clip],
    condition: Condition,
    *,
    seed: int,
    cache: Path,
    progress: Progress,
) -> list[Heard]:
    """Recognise clips of one language under a condition of the line.

    Raises:
        ModelError: a clip cannot be read, or no recogniser is installed for the language.
        OutputError: the cache cannot be written.
    """
    if not clips:
        return []
    sounds = [_clip_sound(data, clip, condition, seed) for clip in clips]
    causes = [(c.file, c.path.stat().st_size) for c in clips], condition, seed
    return _recognise(clips[0].language, sounds, causes, cache, progress)


def recognise_spoken(texts: Sequence[str], *, cache: Path, progress: Progress) -> list[Heard]:
    """Have English texts spoken and recognised.

    Raises:
        ModelError: no synthesiser or recogniser is installed.
        OutputError: the cache cannot be written.
    """
    program, voices = synthesiser()
    sounds = [
        _spoken_sound(program, voices[number % len(voices)], text)
        for number, text in enumerate(texts)
    ]
    return _recognise("en", sounds, (program, voices, list(texts)), cache, progress)


def synthesiser() -> tuple[str, tuple[str, ...]]:
    """The program that speaks English here, and its voices.

    Raises:
        ModelError: there is none.
    """
    for program, voices in (("flite", _FLITE_VOICES), ("espeak-ng", _ESPEAK_VOICES)):
        if shutil.which(program):
            return program, voices
    raise ModelError("no program speaks English here", "apt-get install flite")


def _clip_sound(data: Path, clip: Clip, condition: Condition, seed: int) -> Callable[[], Pcm]:
    return lambda: heard(data, clip, condition, seed)


def _spoken_sound(program: str, voice: str, text: str) -> Callable[[], Pcm]:
    return lambda: speak(program, voice, text)


def speak(program: str, voice: str, text: str) -> Pcm:
    """A text as spoken by a synthesiser, at 8 kHz, once through mu-law.

    Raises:
        ModelError: the program fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        words, sound = Path(folder, "words.txt"), Path(folder, "sound.wav")
        words.write_text(text + "\n", encoding="utf-8")
        out, given = ("-o", "-f") if program == "flite" else ("-w", "-f")
        how = "-voice" if program == "flite" else "-v"
        command = [program, how, voice, out, str(sound), given, str(words)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as err:
            raise ModelError(f"{program} cannot speak: {err}", "try it by hand") from err
        return read_clip(sound, RATE)


def _recognise(
    language: str,
    sounds: Sequence[Callable[[], Pcm]],
    causes: object,
    cache: Path,
    progress: Progress,
) -> list[Heard]:
    engine = open_engine(language, SttParams())
    assert engine is not None
    try:
        path = cache / f"recognised-{digest_of([], _CODE, engine.name, language, causes)}.json"
        kept = kept_json(path)
        if not isinstance(kept, list) or len(kept) != len(sounds):
            kept = [_listen(engine, sound, index / len(sounds), progress)
                    for index, sound in enumerate(sounds)]  # fmt: skip
            keep_json(path, kept)
        return [Heard(str(text), float(confidence)) for text, confidence in kept]
    finally:
        engine.close()


def _listen(
    engine: SpeechEngine, sound: Callable[[], Pcm], share: float, progress: Progress
) -> tuple[str, float]:
    progress(f"recognition {engine.language}", share)
    words, sure = transcribe(engine, sound(), RATE)
    return words, float(np.mean(sure)) if sure else 0.0
