"""A set of calls, assembled and heard once, kept in the cache.

The set is cut into shards of a few calls, each computed by one of several processes and
kept under a key of everything it depends on: a longer set, or one that was
interrupted, takes up where the last one ended.  What comes after the scores
(fusion, baseline, evidence, policy) is not part of the key, for it is replayed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import voicebot
from voicebot.bench import silent
from voicebot.calls import store
from voicebot.calls.assemble import PATTERN, Role, assemble, cast
from voicebot.calls.listen import hear, settled_only
from voicebot.calls.record import Heard
from voicebot.config import Config
from voicebot.emotion.acoustic import AcousticModel
from voicebot.emotion.frames import RATE
from voicebot.emotion.onnx_model import CARD_FILE, models_dir
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
_CODE: Final = (
    "audio/pcm.py", "audio/g711.py", "call.py", "calls/assemble.py", "calls/listen.py",
    "calls/record.py", "calls/store.py", "emotion", "speech/endpointing.py", "speech/vad.py",
    "training/augmentation.py", "training/low_rate_codec.py", "training/packet_loss.py",
    "training/rooms.py", "training/tempo.py", "training/speech_corpora.py",
)  # fmt: skip
"""What the scores depend on, below ``voicebot/``."""
_AFTER: Final = ("baseline.py", "fusion.py")
"""Modules of ``emotion`` that come after the scores."""


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
    """model folder; None for the one of voicebot"""
    config: Config = field(default_factory=Config)
    cache: Path | None = None
    """folder for everything cached; None for ``~/.cache/voicebot``"""

    @property
    def cache_folder(self) -> Path:
        """Where everything cached is kept."""
        return self.cache if self.cache is not None else default_cache().parent


@dataclass(frozen=True, slots=True)
class _Setting:
    """What a worker needs to hear calls; told apart by its key alone."""

    key: str
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
    setting = _Setting(_key(calls, clips, models), calls, models)
    roles = cast(clips, -(-calls.count // SHARD) * SHARD)
    folder = calls.cache_folder / "calls"
    paths = [folder / f"{setting.key}-{n:04d}.npz" for n in range(len(roles) // SHARD)]
    shards = {path: kept for path in paths if (kept := store.load(path)) is not None}
    jobs = [
        (path, n * SHARD, tuple(roles[n * SHARD : (n + 1) * SHARD]))
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
    path, first, roles = job
    engine, models, noises = _opened(setting)
    heard = []
    for number, role in enumerate(roles, start=first):
        made = assemble(role, number, setting.calls.seed, _read, noises)
        model = models[role.clips[0].corpus]
        heard.append(hear(engine, model, made.facts, made.pcm, RATE))
    store.save(path, heard)
    return path


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
        folder = calls.acoustic if calls.acoustic is not None else models_dir() / "acoustic"
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


def _key(calls: CallSet, clips: Sequence[Clip], models: Mapping[str, Path]) -> str:
    """Digest of everything that the observations depend on."""
    digest = hashlib.sha256()
    for path in _sources(words=calls.language != NO_LANGUAGE):
        digest.update(path.read_bytes())
    for corpus, folder in sorted(models.items()):
        digest.update(f"{corpus} ".encode() + _content(folder))
    if calls.language != NO_LANGUAGE:
        digest.update(_content(models_dir() / f"text-{calls.language}"))
    for clip in clips:
        size = clip.path.stat().st_size
        digest.update(f"{clip.file} {clip.speaker} {clip.emotion} {size}\n".encode())
    for noise in sorted((calls.data / "noise").glob("*.ogg")):
        digest.update(f"{noise.name} {noise.stat().st_size}\n".encode())
    config = calls.config
    heard = (config.vad, config.endpointing, config.emotion.windows, config.emotion.acoustic)
    said = (config.stt, config.emotion.text) if calls.language != NO_LANGUAGE else ()
    digest.update(repr((heard, said, calls.split, calls.seed, calls.language)).encode())
    return digest.hexdigest()[:16]


def _sources(words: bool) -> list[Path]:
    """The modules that the observations depend on."""
    root = Path(voicebot.__file__).parent
    named = [root / name for name in (*_CODE, *(("speech",) if words else ()))]
    files = {f for path in named for f in (path.glob("*.py") if path.is_dir() else (path,))}
    return sorted(
        f for f in files if f.is_file() and not (f.parent.name == "emotion" and f.name in _AFTER)
    )


def _content(folder: Path) -> bytes:
    """Digest of a model folder, its card apart."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file() and path.name != CARD_FILE:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()
