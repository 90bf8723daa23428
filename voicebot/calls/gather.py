"""A set of calls, assembled and heard once, kept in the cache.

The set is cut into shards of a few calls, each computed by one of several processes and kept under
a key of everything it depends on: a longer set, or one that was interrupted, takes up where
the last one ended.  Utterances are kept apart from scores, so that another model hears the same
calls at half the cost; what comes after the scores (fusion, baseline, evidence, policy) is replayed
and no part of a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from voicebot.bench import silent
from voicebot.calls import keys, store
from voicebot.calls.assemble import assemble
from voicebot.calls.casting import PATTERN, Role, cast
from voicebot.calls.listen import Utterance, find_utterances, hear, settled_only
from voicebot.calls.record import Heard
from voicebot.config import Config
from voicebot.emotion.acoustic import AcousticModel
from voicebot.emotion.frames import RATE
from voicebot.engine import NO_LANGUAGE, Engine
from voicebot.errors import ModelError, OutputError
from voicebot.events import Pcm
from voicebot.training.feature_cache import default_cache
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import (
    Clip,
    for_testing,
    for_training,
    read_clip,
    read_manifest,
    read_noises,
)

SHARD: Final = len(PATTERN)
"""Calls computed and kept together."""


@dataclass(frozen=True, slots=True)
class CallSet:
    """Which calls, heard with what."""

    data: Path
    """has ``speech/`` and ``noise/``"""
    split: str = "dev"
    """whose speakers: ``dev`` or ``test``; ``train`` only with models that never heard them"""
    count: int = 200
    seed: int = 0
    language: str = NO_LANGUAGE
    """ISO 639-1 of the words that are read too; ``none`` for the voice alone"""
    left_out: bool = False
    """listen to each corpus with a model that was trained without it"""
    acoustic: Path | None = None
    """model folder; None for the active one"""
    config: Config = field(default_factory=Config)
    cache: Path | None = None
    """folder for everything cached; None for ``~/.cache/voicebot``"""

    @property
    def cache_folder(self) -> Path:
        """Where everything cached is kept."""
        return self.cache if self.cache is not None else default_cache().parent


@dataclass(frozen=True, slots=True)
class _Setting:
    """What a worker needs to hear calls; told apart by its keys alone."""

    key: str
    """of the observations"""
    utterances_key: str
    """of the utterances, which do not depend on the emotion models"""
    calls: CallSet = field(compare=False)
    models: Mapping[str, Path] = field(compare=False)
    """corpus to the model that listens to it"""


def gather(calls: CallSet, progress: Progress, workers: int = 2) -> list[Heard]:
    """Assemble and hear a set of calls, or fetch it from the cache.

    Args:
        calls: Which.
        progress: Told how far it is.
        workers: Processes; 1 works in this one.

    Returns:
        The calls in order.

    Raises:
        ModelError: the data or a model is missing or broken, or no speaker can act a call.
        OutputError: the cache cannot be written.
    """
    clips = _clips(calls)
    models = _models(calls, {c.corpus for c in clips})
    utterances_key = keys.of_utterances(calls.data, clips, calls.config, calls.seed)
    key = keys.of_observations(utterances_key, models, calls.config, calls.language)
    setting = _Setting(key, utterances_key, calls, models)
    roles = cast(clips, -(-calls.count // SHARD) * SHARD)
    paths = [_path(calls, key, n) for n in range(len(roles) // SHARD)]
    shards = {path: kept for path in paths if (kept := store.load(path)) is not None}
    jobs = [
        (path, n, tuple(roles[n * SHARD : (n + 1) * SHARD]))
        for n, path in enumerate(paths)
        if path not in shards
    ]
    for done, path in enumerate(_map(setting, jobs, workers), start=1):
        shards[path] = _loaded(path)
        progress("calls", done / len(jobs))
    heard = [call for path in paths for call in shards[path]][: calls.count]
    return [call.fused_again(calls.config.emotion.fusion) for call in heard]


_Job = tuple[Path, int, tuple[Role, ...]]


def _map(setting: _Setting, jobs: Sequence[_Job], workers: int) -> Iterator[Path]:
    work = partial(_run, setting)
    if workers == 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, jobs)


def _run(setting: _Setting, job: _Job) -> Path:
    """Hear the calls of one shard and keep them."""
    path, shard, roles = job
    engine, models, noises = _opened(setting)
    calls = setting.calls
    made = [
        assemble(role, shard * SHARD + n, calls.seed, _read, noises) for n, role in enumerate(roles)
    ]
    known: Sequence[tuple[Utterance, ...] | None] = [None] * len(made)
    if calls.language == NO_LANGUAGE:
        where = _path(calls, f"utterances-{setting.utterances_key}", shard)
        found = store.load_utterances(where)
        if found is None:
            found = [find_utterances(calls.config, one.pcm, RATE) for one in made]
            store.save_utterances(where, found)
        known = found
    heard = [
        hear(engine, models[one.facts.corpus], one.facts, one.pcm, RATE, utterances)
        for one, utterances in zip(made, known, strict=True)
    ]
    store.save(path, heard)
    return path


def _path(calls: CallSet, key: str, shard: int) -> Path:
    return calls.cache_folder / "calls" / f"{key}-{shard:04d}.npz"


def _loaded(path: Path) -> list[Heard]:
    """A shard that was just written: read, so that the first run is told what later ones are."""
    heard = store.load(path)
    if heard is None:
        raise OutputError(f"{path}: cannot be read back", "choose another --cache")
    return heard


@lru_cache(maxsize=1)
def _opened(setting: _Setting) -> tuple[Engine, dict[str, AcousticModel], list[Pcm]]:
    """Models and noises, opened once by each process."""
    calls = setting.calls
    engine = Engine(settled_only(silent(calls.config)), calls.language)
    params = calls.config.emotion.acoustic
    loaded = {path: AcousticModel.load(path, params) for path in set(setting.models.values())}
    keep = for_testing if calls.split == "test" else for_training
    return (
        engine,
        {corpus: loaded[path] for corpus, path in setting.models.items()},
        read_noises(calls.data, keep),
    )


@lru_cache(maxsize=1024)
def _read(path: Path) -> Pcm:
    return read_clip(path)


def _clips(calls: CallSet) -> list[Clip]:
    """The clips of the set's speakers."""
    splits = ("dev", "test", "train") if calls.left_out else ("dev", "test")
    if calls.split not in splits:
        raise ModelError(
            f"--split {calls.split}: the model has heard these speakers"
            if calls.split == "train"
            else f"--split {calls.split}: unknown",
            f"use {' or '.join(splits)}" + ("" if calls.left_out else ", or add --left-out"),
        )
    clips = [c for c in read_manifest(calls.data) if c.split == calls.split]
    if calls.language != NO_LANGUAGE:
        from voicebot.training.bimodal import EMOTIONAL_SPEAKERS  # late: pulls in the trainers

        # Only where the words carry the mood as the voice does can both be judged.
        clips = [
            c
            for c in clips
            if c.language == calls.language and c.speaker.startswith(EMOTIONAL_SPEAKERS)
        ]
    if not clips:
        raise ModelError(
            f"{calls.data}: no {calls.split} speakers"
            + (
                ""
                if calls.language == NO_LANGUAGE
                else f" who mean what they say in {calls.language}"
            ),
            "choose another --split or --data",
        )
    return clips


def _models(calls: CallSet, corpora: set[str]) -> dict[str, Path]:
    """The model that listens to each corpus."""
    if not calls.left_out:
        folder = calls.acoustic or keys.active_model(calls.config.models.voice)
        return dict.fromkeys(corpora, folder)
    models = {}
    for corpus in sorted(corpora):
        models[corpus] = folder = calls.cache_folder / "left-out" / f"acoustic-{corpus}"
        if not folder.is_dir():
            raise ModelError(
                f"{folder}: no model that was trained without {corpus}",
                "`voicebot train acoustic` leaves such models there; run it with the same --cache",
            )
    return models
