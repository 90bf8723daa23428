"""Looking over a folder of labelled speech before anything is trained on it.

Everything that is wrong is named at once, with file or row and the mend.  A
problem is fatal if no model, or no honest figure, can come from the folder as it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voicebot.errors import ModelError
from voicebot.events import EMOTIONS
from voicebot.training.licences import licences_of
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import SPLITS, Clip, Problem, read_clip, scan_manifest

_OFF_SECONDS: Final = 0.25
"""s by which a manifest's length may be off"""


@dataclass(frozen=True, slots=True)
class Summary:
    """One corpus of a data folder."""

    corpus: str
    languages: tuple[str, ...]
    speakers: int
    clips: int
    hours: float
    emotions: tuple[tuple[str, int], ...]
    """emotion and its clips, most first"""
    splits: tuple[tuple[str, int], ...]
    """split and its clips"""
    licence: str


def summaries(clips: Sequence[Clip]) -> list[Summary]:
    """What a data folder holds, corpus by corpus.

    Raises:
        ModelError: the list of licences cannot be read.
    """
    licences = licences_of(clips)
    by_corpus: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_corpus[clip.corpus].append(clip)
    return [
        Summary(
            corpus,
            tuple(sorted({c.language for c in mine})),
            len({c.speaker for c in mine}),
            len(mine),
            sum(c.seconds for c in mine) / 3600,
            tuple(Counter(EMOTIONS[c.emotion] for c in mine).most_common()),
            tuple((split, sum(c.split == split for c in mine)) for split in SPLITS),
            licences[corpus],
        )
        for corpus, mine in sorted(by_corpus.items())
    ]


def check(data: Path, progress: Progress) -> tuple[list[Clip], list[Problem]]:
    """Read every clip of a data folder and look for all that is wrong with it.

    Args:
        data: Has ``speech/manifest.csv``.
        progress: Told how far it is.

    Returns:
        The clips of the sound rows of the manifest, and the problems, fatal ones first.

    Raises:
        ModelError: there is no manifest at all, or it cannot be read.
    """
    clips, problems = scan_manifest(data)
    hashes: dict[str, list[Clip]] = defaultdict(list)
    for number, clip in enumerate(clips):
        progress("clips", number / len(clips))
        try:
            pcm = read_clip(clip.path)
        except ModelError as err:
            problems.append(Problem(err.what, err.mend))
            continue
        hashes[hashlib.sha256(pcm.tobytes()).hexdigest()].append(clip)
        if abs(len(pcm) / 8000 - clip.seconds) > _OFF_SECONDS:
            problems.append(
                Problem(
                    f"{clip.path}: {len(pcm) / 8000:.2f} s long, but {clip.seconds:g} s in the "
                    "manifest",
                    "put the true length there, or the right file here",
                    fatal=False,
                )
            )
    progress("clips", 1.0)
    for same in hashes.values():
        if len(same) > 1:
            problems.append(_duplicates(same))
    problems += _speakers(data, clips)
    problems += _classes(data, clips)
    return clips, sorted(problems, key=lambda problem: not problem.fatal)


def _duplicates(same: Sequence[Clip]) -> Problem:
    """Clips of the same sound: fatal where they flatter a figure or contradict each other."""
    what = "the same sound: " + ", ".join(str(clip.path) for clip in same)
    if len({clip.split for clip in same}) > 1:
        splits = ", ".join(sorted({clip.split for clip in same}))
        return Problem(f"{what}, in the splits {splits}", "keep only one of them")
    if len({clip.angry for clip in same}) > 1:
        return Problem(f"{what}, once angry and once not", "keep only the right one")
    return Problem(what, "keep only one of them", fatal=False)


def _speakers(data: Path, clips: Sequence[Clip]) -> list[Problem]:
    """Too few speakers to learn from, or to be judged on."""
    of: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        of[clip.corpus].add(clip.speaker)
    if len({clip.speaker for clip in clips}) == 1:
        return [
            Problem(
                f"{data}: only one speaker ({clips[0].speaker})",
                "add speech of others: nothing can be said of a voice that was not heard",
            )
        ]
    problems = [
        Problem(
            f"{data}: corpus {corpus} has only one speaker",
            "add speech of others: the corpus teaches one voice, and its line",
            fatal=False,
        )
        for corpus, speakers in sorted(of.items())
        if len(speakers) == 1
    ]
    if len(of) == 1:
        problems.append(
            Problem(
                f"{data}: only one corpus ({clips[0].corpus})",
                "add another, such as a public one: a model is calibrated on a corpus left out",
                fatal=False,
            )
        )
    return problems


def _classes(data: Path, clips: Sequence[Clip]) -> list[Problem]:
    """Splits without angry or without other clips."""
    problems = []
    for split in SPLITS:
        angry = {clip.angry for clip in clips if clip.split == split}
        for wanted, name in ((True, "angry"), (False, "other")):
            if wanted not in angry:
                problems.append(
                    Problem(
                        f"{data}: no {name} clips in the split {split!r}",
                        "add some, or move a speaker of another split there",
                        fatal=split != "dev",  # without a dev split a model can still be trained
                    )
                )
    return problems
