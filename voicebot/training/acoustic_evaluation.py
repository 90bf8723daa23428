"""How good an acoustic model is on unseen speakers: what is scored, and under which conditions."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voicebot.audio.pcm import to_float
from voicebot.emotion.acoustic import AcousticModel
from voicebot.errors import ModelError
from voicebot.training import left_out
from voicebot.training.acoustic_predictions import Request, predict
from voicebot.training.acoustic_report import BASE, CONDITIONS, HARD, LOUD, Heard, report
from voicebot.training.augmentation import CLEAN, active_rms
from voicebot.training.breakdown import HAPPY, LEAST, loudest_quarter
from voicebot.training.evaluation_report import PartReport
from voicebot.training.predictions import join
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import Clip, read_clip, read_manifest


def evaluate(
    data: Path,
    model: Path,
    *,
    split: str = "test",
    left_out_models: Path | None = None,
    seed: int,
    cache: Path,
    workers: int,
    progress: Progress,
    draw: bool,
) -> PartReport:
    """Measure an acoustic model.

    Args:
        data: Has ``speech/`` and ``noise/``.
        model: Model folder.
        split: Whose speakers are judged.
        left_out_models: Has the models trained without one corpus each; None leaves them out.
        seed: Of all chance.
        cache: Where scores are kept.
        workers: Processes.
        progress: Told how far it is.
        draw: Whether to make pictures too.

    Raises:
        ModelError: data or a model is missing or broken, or there is nothing to measure.
        OutputError: the cache cannot be written.
        VoicebotError: there is no matplotlib to draw with.
    """
    began = time.monotonic()
    AcousticModel.load(model)  # a broken one is told before the work
    heard = hear(
        data, model, split=split, left_out_models=left_out_models, seed=seed, cache=cache,
        workers=workers, progress=progress,
    )  # fmt: skip
    found = report(heard, split, draw=draw, began=began)
    return replace(found, notes=(*found.notes, *known_sentences(read_manifest(data), split)))


def known_sentences(clips: Sequence[Clip], split: str) -> list[str]:
    """Sentences on corpora whose words give the emotion away and are the same in training.

    A model that hears words can know such a sentence again, so its figures for unseen speakers
    of that corpus flatter it; those with the corpus left out do not.
    """
    moods: dict[tuple[str, str], set[int]] = defaultdict(set)
    trained: set[tuple[str, str]] = set()
    for clip in clips:
        moods[clip.corpus, clip.text].add(clip.emotion)
        if clip.split == "train":
            trained.add((clip.corpus, clip.text))
    out = []
    for corpus in sorted({c.corpus for c in clips}):
        mine = [c for c in clips if c.corpus == corpus and c.split == split and c.text]
        told = [
            c for c in mine
            if (corpus, c.text) in trained and len(moods[corpus, c.text]) == 1
        ]  # fmt: skip
        if split != "train" and len(told) > len(mine) / 2:
            out.append(
                f"In {corpus}, {len(told)} of {len(mine)} {split} clips speak a sentence that "
                "training speakers say too, always with the same emotion: a model that hears "
                "words may know the sentence and not the mood. Only the figures with the corpus "
                "left out are free of this."
            )
    return out


def hear(
    data: Path,
    model: Path,
    *,
    split: str,
    left_out_models: Path | None,
    seed: int,
    cache: Path,
    workers: int,
    progress: Progress,
) -> Heard:
    """Score everything that the report needs; arguments and errors as :func:`evaluate`."""
    every = read_manifest(data)
    clips = tuple(c for c in every if c.split == split)
    _check(clips, data, split)
    wanted = [Request(model, clips, condition) for condition in CONDITIONS.values()]
    wanted.append(Request(model, _loudest_happy(clips), LOUD))
    wanted.append(Request(model, tuple(c for c in every if c.split == "dev"), CLEAN))
    unseen = {} if left_out_models is None else {
        name: left_out.requests(left_out_models, every, CONDITIONS[name]) for name in (BASE, HARD)
    }  # fmt: skip
    wanted += [request for some in unseen.values() for request in some]
    found = iter(predict(data, wanted, seed=seed, cache=cache, workers=workers, progress=progress))
    return Heard(
        {name: next(found) for name in CONDITIONS},
        next(found),
        next(found),
        {name: join([next(found) for _ in some]) for name, some in unseen.items()},
    )


def _check(clips: Sequence[Clip], data: Path, split: str) -> None:
    """Refuse a split of which nothing can be said."""
    for corpus in {c.corpus for c in clips}:
        angry = [c.angry for c in clips if c.corpus == corpus]
        if min(angry.count(True), angry.count(False)) >= LEAST:
            return
    raise ModelError(
        f"{data}: no corpus has {LEAST} angry and {LEAST} other clips in the split {split!r}: "
        "nothing can be measured",
        "add clips, or put more speakers into that split of the manifest",
    )


def _loudest_happy(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """The loudest quarter of each speaker's happy clips, by the level of their recordings."""
    happy = [c for c in clips if c.emotion == HAPPY]
    levels = [active_rms(to_float(read_clip(c.path))) for c in happy]
    loud = loudest_quarter([c.speaker for c in happy], levels)
    return tuple(c for c, chosen in zip(happy, loud, strict=True) if chosen)
