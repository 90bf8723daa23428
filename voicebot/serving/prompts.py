"""What the caller hears from us: recorded prompts, one WAV each and language."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import numpy as np
import structlog

from voicebot.audio.files import open_file
from voicebot.audio.pcm import resample
from voicebot.audio.source import NARROW, WIDE
from voicebot.errors import AudioError
from voicebot.events import Pcm
from voicebot.params import Params, key

log = structlog.get_logger()

LONGEST_SECONDS = 60.0
"""s; a longer file is no prompt but a mistake"""


class Prompt(StrEnum):
    """What can be said."""

    SOOTHE = "soothe"
    """the caller begins to lose patience"""
    CONNECT = "connect"
    """a human takes over"""
    UNAVAILABLE = "unavailable"
    """nobody could be reached"""


class PromptsParams(Params):
    """Where the prompts are."""

    folder: str = key(
        "~/.local/share/voicebot/prompts",
        "Folder with a folder for each language, in which there are soothe.wav, connect.wav and "
        "unavailable.wav. scripts/make_prompts writes them in a synthetic voice; put recordings "
        "of your own in their place.",
    )
    enabled: bool = key(True, "Whether prompts are played at all, on lines that can be spoken to.")
    barge_in: bool = key(
        True, "Whether a caller who speaks while being soothed is let finish: the prompt stops."
    )


class Prompts:
    """The prompts of one language, at any rate that a line has.

    A prompt that is missing or broken is told in the log, once, and not played.

    Args:
        params: Where they are.
        language: ISO 639-1.
    """

    def __init__(self, params: PromptsParams, language: str) -> None:
        self._sounds: Mapping[tuple[Prompt, int], Pcm] = {}
        if not params.enabled:
            return
        folder = Path(params.folder).expanduser() / language
        missing = []
        sounds: dict[tuple[Prompt, int], Pcm] = {}
        for prompt in Prompt:
            path = folder / f"{prompt.value}.wav"
            try:
                pcm, recorded = _read(path)
                for rate in (NARROW, WIDE):
                    sounds[prompt, rate] = resample(pcm, recorded, rate)
            except AudioError as err:
                missing.append(str(path))
                if path.exists():
                    log.warning("prompt_unusable", error=err.what, mend=err.mend)
        self._sounds = sounds
        if missing:
            log.warning("prompts_missing", files=missing, mend="scripts/make_prompts")

    def at(self, prompt: Prompt, rate: int) -> Pcm | None:
        """The sound of a prompt at a rate in Hz, 8000 or 16000; None where there is none."""
        return self._sounds.get((prompt, rate))


def _read(path: Path) -> tuple[Pcm, int]:
    """Read a prompt; its first channel.

    Raises:
        AudioError: there is no such file, it is no audio, or far too long.
    """
    with open_file(str(path)) as source:
        if source.seconds is not None and source.seconds > LONGEST_SECONDS:
            raise AudioError(f"{path}: {source.seconds:.0f} s is too long for a prompt", "cut it")
        leg = source.legs[0]
        pieces = [block[leg].pcm for block in source.blocks()]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int16), source.rate
