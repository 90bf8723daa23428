"""What heard calls depend on, as digests: the names of what is cached."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import voicebot
from voicebot.calls.store import FORMAT
from voicebot.config import Config
from voicebot.emotion.onnx_model import CARD_FILE
from voicebot.emotion.pointer import ModelId
from voicebot.emotion.store import Store
from voicebot.engine import NO_LANGUAGE
from voicebot.training.speech_corpora import Clip

_LENGTH: Final = 16
_AUDIO: Final = (
    "audio/pcm.py", "audio/g711.py", "calls/assemble.py", "calls/casting.py", "calls/listen.py",
    "speech/endpointing.py", "speech/vad.py", "training/augmentation.py",
    "training/low_rate_codec.py",
    "training/packet_loss.py", "training/rooms.py", "training/tempo.py",
    "training/speech_corpora.py",
)  # fmt: skip
"""Code that decides what is said in a call and where its utterances lie."""
_SCORES: Final = ("call.py", "emotion")
"""Code that decides what is heard in an utterance."""
_BESIDE: Final = frozenset(
    {
        "baseline.py", "fusion.py", "comparison.py", "intake.py", "ledger.py", "live_models.py",
        "model_card.py", "opening.py", "pointer.py", "store.py",
    }
)  # fmt: skip
"""Modules of ``emotion`` that come after the scores, or only move models about."""


def of_utterances(data: Path, clips: Sequence[Clip], config: Config, seed: int) -> str:
    """Digest of all that the audio of a set of calls, and its utterances, depend on.

    Args:
        data: Has ``noise/``.
        clips: Of the speakers.
        config: Voice activity and endpointing.
        seed: Of the set.
    """
    digest = hashlib.sha256(_code(_AUDIO))
    for clip in clips:
        size = clip.path.stat().st_size
        digest.update(f"{clip.file} {clip.speaker} {clip.emotion} {clip.split} {size}\n".encode())
    for noise in sorted((data / "noise").glob("*.ogg")):
        digest.update(f"{noise.name} {noise.stat().st_size}\n".encode())
    digest.update(repr((config.vad, config.endpointing, seed, FORMAT)).encode())
    return digest.hexdigest()[:_LENGTH]


def of_observations(
    utterances: str, models: Mapping[str, Path], config: Config, language: str
) -> str:
    """Digest of all that the observations depend on.

    Args:
        utterances: From :func:`of_utterances`.
        models: Corpus to the folder of the model that listens to it.
        config: When to score; recogniser and text model if there is a language.
        language: ISO 639-1, or ``none``.
    """
    words = language != NO_LANGUAGE
    digest = hashlib.sha256(utterances.encode())
    digest.update(_code((*_SCORES, *(("speech",) if words else ()))))
    for corpus, folder in sorted(models.items()):
        digest.update(f"{corpus} ".encode() + _content(folder))
    if words:
        digest.update(_content(active_model(f"text-{language}")))
    said = (config.stt, config.emotion.text) if words else ()
    heard = (config.emotion.windows, config.emotion.acoustic)
    digest.update(repr((heard, said, language)).encode())
    return digest.hexdigest()[:_LENGTH]


def active_model(name: str) -> Path:
    """Folder of the version of a model that calls are heard with.

    Raises:
        ModelError: it is missing.
    """
    models = Store()
    return models.locate(ModelId(name, models.pointer().version(name)))


def _code(names: Sequence[str]) -> bytes:
    """Digest of modules and of folders of them, by their place below ``voicebot/``."""
    root = Path(voicebot.__file__).parent
    files = {f for n in names for f in ((root / n).glob("*.py") if "." not in n else (root / n,))}
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file() and not (file.parent.name == "emotion" and file.name in _BESIDE):
            digest.update(file.read_bytes())
    return digest.digest()


def _content(folder: Path) -> bytes:
    """Digest of a model folder, its card apart."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file() and path.name != CARD_FILE:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()
