"""A company's own calls, labelled by ear, in place of assembled ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voicebot.bench import silent
from voicebot.calls import keys, store
from voicebot.calls.listen import hear, settled_only
from voicebot.calls.record import Facts, Heard, Kind, Span
from voicebot.config import Config
from voicebot.emotion.acoustic import AcousticModel
from voicebot.engine import Engine
from voicebot.errors import LabelError, OutputError
from voicebot.events import Leg
from voicebot.labelling.calls import find_calls, read_call
from voicebot.labelling.gold import gold_spans
from voicebot.labelling.spans import Label
from voicebot.labelling.spans import Span as Gold
from voicebot.training.report import Progress

PERSISTS_SECONDS: Final = 12.0
"""s of angry speech from which a call should have been alerted; less is an outburst."""
_KNOWN: Final = 0.9
"""Share of the caller's speech that the raters must agree on, for a call to be used."""


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """What came of a folder of calls."""

    heard: tuple[Heard, ...]
    left_out: tuple[str, ...]
    """calls of which too little is labelled or agreed on"""


def hear_own(
    calls: Path,
    labels: Path,
    config: Config,
    language: str,
    cache: Path,
    progress: Progress,
    legs: Sequence[Leg | None] | None = None,
) -> OwnCalls:
    """Hear a folder of labelled calls, or fetch from the cache what was heard.

    Each call counts as a caller of its own, for nobody says who calls twice.

    Args:
        calls: Recordings.
        labels: As written by ``voicebot label``.
        config: Settings.
        language: ISO 639-1, or ``none`` to judge the voice alone.
        cache: Folder for everything cached.
        progress: Told how far it is.
        legs: One leg a channel; by default mono is the caller, stereo caller and agent.

    Raises:
        LabelError: there are no labels, or none of a recording that is there.
        AudioError: a recording cannot be read.
        ModelError: a model is missing or broken.
        OutputError: the cache cannot be written.
    """
    files, gold = find_calls([calls]), gold_spans(labels)
    both = sorted(files.keys() & gold.keys())
    if not both:
        raise LabelError(
            f"{labels}: no labels for any of the {len(files)} recordings in {calls}",
            f"`voicebot label {calls}` makes them; name their folder with --labels",
        )
    heard, left_out = [], []
    folder = keys.active_model(config.models.voice)
    acoustic = AcousticModel.load(folder, config.emotion.acoustic)
    with Engine(settled_only(silent(config)), language) as engine:
        for number, name in enumerate(both):
            kept = _heard(engine, acoustic, number, name, files[name], gold[name], cache, legs)
            if kept is None:
                left_out.append(name)
            else:
                heard.append(kept)
            progress("calls", (number + 1) / len(both))
    if not heard:
        raise LabelError(
            f"{labels}: in none of {len(both)} calls are {_KNOWN:.0%} of the caller's speech "
            "labelled and agreed on",
            "listen to them to their end with `voicebot label`",
        )
    return OwnCalls(tuple(heard), tuple(left_out))


def _heard(
    engine: Engine,
    acoustic: AcousticModel,
    number: int,
    name: str,
    file: Path,
    gold: Sequence[Gold],
    cache: Path,
    legs: Sequence[Leg | None] | None,
) -> Heard | None:
    """One call; None if too little of it is known."""
    audio = read_call(file, legs)
    speech = [Span(start, end, False) for start, end in audio.speech]
    spans = _spoken(speech, gold)
    if sum(s.end - s.start for s in spans) < _KNOWN * sum(s.end - s.start for s in speech):
        return None
    facts = own_facts(number, name, engine.language, audio.seconds, spans)
    digest = hashlib.sha256(audio.caller.tobytes()).hexdigest()
    config = engine.config
    content = f"{digest} {audio.rate} {config.vad!r} {config.endpointing!r} {facts!r}"
    models = {"own": keys.active_model(config.models.voice)}
    key = keys.of_observations(content, models, config, engine.language)
    path = cache / "calls" / f"own-{key}.npz"
    kept = store.load(path)
    if kept is None:
        store.save(path, [hear(engine, acoustic, facts, audio.caller, audio.rate)])
        kept = store.load(path)  # so that the first run is told what later ones are
        if kept is None:
            raise OutputError(f"{path}: cannot be read back", "choose another --cache")
    return kept[0].fused_again(config.emotion.fusion)


def own_facts(
    number: int, name: str, language: str, seconds: float, spans: Sequence[Span]
) -> Facts:
    """What is known of a labelled call.

    Args:
        number: Of the call.
        name: Its path below its folder.
        language: ISO 639-1, or ``none``.
        seconds: Its length.
        spans: What the caller says, as far as the raters agree.
    """
    angry = [s for s in spans if s.angry]
    persists = sum(s.end - s.start for s in angry) >= PERSISTS_SECONDS
    begins = angry[0].start if angry else None
    kind = Kind.ANGRY if persists else Kind.OUTBURST if angry else Kind.CALM
    return Facts(
        number=number, kind=kind, corpus="own", language=language, speaker=name,
        gender="unknown", snr_db=None, line="own", seconds=seconds,
        onset=begins if persists else None, outburst=None if persists else begins,
        spans=tuple(spans),
    )  # fmt: skip


def _spoken(speech: Sequence[Span], gold: Sequence[Gold]) -> list[Span]:
    """The caller's speech, cut where the labels change; what nobody agrees on is left out."""
    cut = [
        Span(max(s.start, g.start), min(s.end, g.end), g.label is Label.ANGRY)
        for s in speech
        for g in gold
        if s.overlap(g.start, g.end) > 0.0
    ]
    return sorted(cut, key=lambda s: s.start)
