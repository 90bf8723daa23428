"""One table of the families of models: same clips, same lines, same seed, same balance.

Each family is judged twice, on training and dev clips alone, over a µ-law line at 8 kHz:
on the dev speakers by a model of the training speakers, and on each corpus by a model
that never saw it.  The test speakers are left for the final figures.

A family and what it is judged on make a cell; each is kept as soon as it is known, under a
name that digests all that it depends on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from voicebot.emotion.frames import RATE
from voicebot.errors import ModelError
from voicebot.training.acoustic import training_tables
from voicebot.training.augmentation import CLEAN, LINE, Condition
from voicebot.training.evaluation import aucs_by
from voicebot.training.evaluation_report import PartReport
from voicebot.training.families_report import DEV, Cell, report
from voicebot.training.family_models import FAMILIES, Family, Indices, Material, Model
from voicebot.training.feature_cache import default_cache
from voicebot.training.report import Progress
from voicebot.training.score_cache import digest_of, keep_json, kept_json
from voicebot.training.spectrograms import spectrograms
from voicebot.training.speech_corpora import Clip, for_training, read_clip
from voicebot.training.speech_encoder import encoder_file
from voicebot.training.text_encoder import need_torch

CONDITIONS: Final = (CLEAN, LINE)
"""How each clip is heard in training; the first is the µ-law line that all are judged on."""
TIMED_SECONDS: Final = 3
_REPEATS: Final = 15


def evaluate(
    data: Path,
    *,
    seed: int,
    progress: Progress,
    cache: Path | None = None,
    features: Path | None = None,
    workers: int = 1,
    draw: bool = False,
    families: Mapping[str, Family] = FAMILIES,
    conditions: Sequence[Condition] = CONDITIONS,
) -> PartReport:
    """Compare the families.

    Args:
        data: Has ``speech/`` and ``noise/``.
        seed: Of all chance.
        progress: Told how far it is.
        cache: Where cells and spectrograms are kept; None takes the user's cache.
        features: Where the trainer keeps its features; None takes the user's cache.
        workers: Processes that compute features; families are fitted in this one.
        draw: Whether to make a picture too.
        families: Name to what is fitted.
        conditions: How each clip is heard; the first is what is judged.

    Raises:
        ModelError: data is missing or unusable, the ``train`` extra or Whisper is not installed.
        OutputError: a cache cannot be written.
        VoicebotError: there is no matplotlib to draw with.
    """
    began = time.monotonic()
    cache = cache or families_cache()
    missing = _missing() if any(f.sees_spectra for f in families.values()) else None
    able = {n: f for n, f in families.items() if missing is None or not f.sees_spectra}
    material = gather(
        data, seed=seed, cache=cache, features=features, workers=workers, progress=progress,
        conditions=conditions, with_spectra=any(f.sees_spectra for f in able.values()),
    )  # fmt: skip
    cells = {
        name: _cells(name, family, material, seed, cache, progress) for name, family in able.items()
    }
    notes = []
    if missing is not None:
        absent = ", ".join(name for name in families if name not in able)
        notes.append(f"Not measured: {absent}: {missing.what}. Mend: {missing.mend}")
    return report(
        {name: cells.get(name, {}) for name in families}, material.clips, notes, draw=draw,
        seconds=time.monotonic() - began,
    )  # fmt: skip


def families_cache() -> Path:
    """Where cells are kept by default, beside the features."""
    return default_cache().parent / "families"


def gather(
    data: Path,
    *,
    seed: int,
    cache: Path,
    features: Path | None,
    workers: int,
    progress: Progress,
    conditions: Sequence[Condition],
    with_spectra: bool,
) -> Material:
    """What all families look at: training and dev clips; arguments and errors as :func:`evaluate`.

    The features are those that `voicebot train acoustic` computes, and come from its cache.
    """
    encoder = encoder_file(features or default_cache())
    every, tables = training_tables(
        data, conditions, seed=seed, cache=features, workers=workers, progress=progress,
        encoder=encoder,
    )  # fmt: skip
    known = [i for i, clip in enumerate(every) if clip.split != "test"]
    clips = [every[i] for i in known]
    _check(clips, data)
    spectra = [
        spectrograms(
            data, clips, condition, for_training, seed=seed, cache=cache, workers=workers,
            progress=_part(progress, "spectrograms", number, len(conditions)),
        )
        for number, condition in enumerate(conditions if with_spectra else ())
    ]  # fmt: skip
    return Material(clips, tables[:, known], encoder, spectra)


def _check(clips: Sequence[Clip], data: Path) -> None:
    """Refuse clips on which no family can be judged."""
    corpora = {clip.corpus for clip in clips}
    if len(corpora) < 2:
        raise ModelError(
            f"{data}: only one corpus ({min(corpora)}): none can be left out",
            "add speech of another source, with its own name in the manifest's column corpus",
        )
    if len({clip.angry for clip in clips if clip.split == "dev"}) < 2:
        raise ModelError(
            f"{data}: the split 'dev' needs both angry and other clips",
            "put more speakers into that split of the manifest",
        )


def _missing() -> ModelError | None:
    """What the networks on spectrograms lack, if anything."""
    try:
        need_torch()
    except ModelError as err:
        return err
    return None


def _cells(
    name: str, family: Family, material: Material, seed: int, cache: Path, progress: Progress
) -> dict[str, Cell]:
    """All cells of a family, from the cache where they are there."""
    corpus = np.array([clip.corpus for clip in material.clips])
    split = np.array([clip.split for clip in material.clips])
    judged = {DEV: (split == "train", split == "dev")}
    judged |= {str(left): (corpus != left, corpus == left) for left in np.unique(corpus)}
    content = _content(family, material)
    out: dict[str, Cell] = {}
    for number, (fold, (fitted_on, judged_on)) in enumerate(judged.items()):
        key = digest_of(family.code, (), family, fold, seed, _versions(family), content)
        path = cache / f"{key}.json"
        found = kept_json(path)
        if found is None:
            found = _cell(
                family, material, np.flatnonzero(fitted_on), np.flatnonzero(judged_on), seed,
                _part(progress, name, number, len(judged)), timed=fold == DEV,
            )  # fmt: skip
            keep_json(path, found)
        out[fold] = found
        progress(name, (number + 1) / len(judged))
    return out


def _cell(
    family: Family,
    material: Material,
    fitted_on: Indices,
    judged_on: Indices,
    seed: int,
    progress: Callable[[float], None],
    *,
    timed: bool,
) -> dict[str, Any]:
    began = time.process_time()
    model = family.fit(material, fitted_on, seed, progress)
    scores = model.scores(material, judged_on)
    clips = [material.clips[i] for i in judged_on]
    angry = np.array([clip.angry for clip in clips])
    aucs = aucs_by(np.array([clip.corpus for clip in clips]), scores, angry)
    found = {"auc": aucs, "cpu_seconds": time.process_time() - began}
    if timed:
        found |= {"bytes": model.size(), "ms": milliseconds(model, clips[0])}
    return found


def milliseconds(model: Model, clip: Clip) -> float:
    """CPU time for three seconds of a voice on one core, from samples to score; median."""
    pcm = np.resize(read_clip(clip.path), TIMED_SECONDS * RATE)
    model.hear(pcm)  # what is loaded once is no matter of a window
    spent = []
    for _ in range(_REPEATS):
        began = time.process_time()
        model.hear(pcm)
        spent.append(time.process_time() - began)
    return 1000 * float(np.median(spent))


def _content(family: Family, material: Material) -> str:
    """Digest of what a family is given: its numbers, and what is known of the clips."""
    digest = hashlib.sha256()
    for clip in material.clips:
        digest.update(f"{clip.file} {clip.corpus} {clip.split} {clip.emotion}\n".encode())
    if family.sees_spectra:
        for one in material.spectra:
            digest.update(one.steps.tobytes() + one.starts.tobytes())
    else:
        digest.update(np.ascontiguousarray(material.tables).tobytes())
        digest.update(material.encoder.read_bytes())
    return digest.hexdigest()


def _versions(family: Family) -> str:
    """Libraries whose next release may fit otherwise."""
    return version("torch" if family.sees_spectra else "scikit-learn")


def _part(progress: Progress, what: str, number: int, count: int) -> Callable[[float], None]:
    """Progress of one of several equal parts."""
    return lambda share: progress(what, (number + share) / count)
