"""The recordings that are labelled: finding them, and reading one with its speech."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.audio.files import open_file
from voicebot.errors import AudioError, LabelError
from voicebot.events import Leg, Pcm
from voicebot.speech.endpointing import Closed, Endpointer, EndpointingParams
from voicebot.speech.vad import VadParams, open_detector

SUFFIXES: Final = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".au"}
)
"""What counts as a recording when a folder is searched; a file that is named is always taken."""
MAX_SECONDS: Final = 4 * 3600.0
"""s; a longer recording is no single call, and is not read into memory"""


@dataclass(frozen=True, slots=True)
class CallAudio:
    """A recording, read whole."""

    rate: int
    """Hz"""
    legs: Mapping[Leg, Pcm]
    """samples of each leg, all of one length; the caller is always there"""
    speech: tuple[tuple[float, float], ...]
    """s, start and end of the caller's utterances, in order"""
    warnings: tuple[str, ...]
    """what is odd about the recording, a sentence each"""

    @property
    def caller(self) -> Pcm:
        """The caller's samples."""
        return self.legs[Leg.CALLER]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.caller) / self.rate


def find_calls(paths: Iterable[Path]) -> dict[str, Path]:
    """Find recordings.

    Args:
        paths: Folders, which are searched through and through, and files.

    Returns:
        Call to file, in order.  The call is the path below the folder that was named, with
        ``/``; of a file that was named itself, its name.

    Raises:
        LabelError: nothing is there, or two recordings have one name.
    """
    calls: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            found = {p.relative_to(path).as_posix(): p for p in inside if p.is_file()}
            if not found:
                raise LabelError(f"{path}: no recordings in it", "name a folder of WAV files")
        elif path.exists():
            found = {path.name: path}
        else:
            raise LabelError(f"{path}: no such file or folder", "check the path")
        for call, file in found.items():
            if call in calls and not calls[call].samefile(file):
                raise LabelError(
                    f"{file} and {calls[call]}: both would be the call {call!r}",
                    "name the folder that holds both",
                )
            calls.setdefault(call, file)
    return calls


def read_call(path: Path, legs: Sequence[Leg | None] | None = None) -> CallAudio:
    """Read a recording whole, and find the caller's utterances in it.

    Args:
        path: Anything :func:`voicebot.audio.files.open_file` reads.
        legs: One leg a channel; by default mono is the caller and stereo caller and agent.

    Raises:
        AudioError: it cannot be read, is too long, or has no caller.
    """
    with open_file(path, legs=legs) as source:
        if Leg.CALLER not in source.legs:
            raise AudioError(f"{path}: no leg is the caller's", "name the caller's with --legs")
        if source.seconds is not None and source.seconds > MAX_SECONDS:
            raise AudioError(
                f"{path}: {source.seconds / 3600:.1f} h is too long for one call",
                "cut it into calls",
            )
        rate = source.rate
        endpointer = Endpointer(open_detector(VadParams(), rate), EndpointingParams(), rate)
        pieces: dict[Leg, list[Pcm]] = {leg: [] for leg in source.legs}
        events = []
        for block in source.blocks():
            for leg, frame in block.items():
                pieces[leg].append(frame.pcm)
            events += endpointer.push(block[Leg.CALLER])
            if block[Leg.CALLER].end > MAX_SECONDS:
                raise AudioError(f"{path}: too long for one call", "cut it into calls")
        events += endpointer.flush()
        warnings = tuple(source.warnings)
    speech = tuple((e.start, e.end) for e in events if isinstance(e, Closed))
    whole = {leg: np.concatenate(pcm) for leg, pcm in pieces.items() if pcm}
    if not whole:
        raise AudioError(f"{path}: holds no audio", "record or export it again")
    return CallAudio(rate, whole, speech, warnings)


def loudness(pcm: Pcm, points: int) -> list[float]:
    """The outline of a waveform, to draw it.

    Args:
        pcm: Samples.
        points: How many values; fewer if there are not as many samples.

    Returns:
        Largest magnitude in each of ``points`` equal stretches, 0-1.
    """
    edges = np.linspace(0, len(pcm), max(1, min(points, len(pcm))) + 1).astype(int)[:-1]
    if not len(pcm):
        return []
    size = np.abs(pcm.astype(np.int32))
    return [round(float(v) / 32768, 4) for v in np.maximum.reduceat(size, edges)]
