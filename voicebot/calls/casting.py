"""Who is heard in which call: every speaker in every kind of call that they have clips for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from voicebot.calls.record import Kind
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS
from voicebot.training.speech_corpora import Clip

PATTERN: Final = (
    Kind.CALM, Kind.ANGRY, Kind.CALM_HAPPY, Kind.OUTBURST, Kind.CALM_SAD,
    Kind.CALM, Kind.ANGRY, Kind.CALM_LOUD, Kind.CALM, Kind.ANGRY_FROM_START,
    Kind.CALM_HAPPY, Kind.ANGRY, Kind.OUTBURST, Kind.CALM, Kind.CALM_SAD,
    Kind.ANGRY, Kind.CALM_LOUD, Kind.OUTBURST, Kind.CALM_HAPPY, Kind.CALM,
)  # fmt: skip
"""Kinds of the calls in turn; a set is best a multiple of it."""
MOODS: Final[Mapping[Kind, str]] = {
    Kind.CALM: "neutral", Kind.CALM_SAD: "sadness", Kind.CALM_HAPPY: "happiness",
    Kind.CALM_LOUD: "loud", Kind.OUTBURST: "neutral", Kind.ANGRY: "neutral",
    Kind.ANGRY_FROM_START: "anger",
}  # fmt: skip
"""What the caller mostly sounds like until something happens; ``loud`` is neutral or happy."""
CLIPS: Final = 4
_SECONDS: Final = 8.0
"""A speaker must have so many clips, and so many seconds, in a mood to be heard in it."""


@dataclass(frozen=True, slots=True)
class Role:
    """Who is heard in a call, and in which kind of call."""

    kind: Kind
    clips: tuple[Clip, ...]
    """all of one speaker"""


def cast(clips: Sequence[Clip], count: int) -> list[Role]:
    """Who speaks in each call: every kind goes round all speakers who can act it.

    Args:
        clips: Of one split, or of speakers that the model never heard.
        count: Number of calls.

    Raises:
        ModelError: no speaker has enough clips for a kind of call.
    """
    speakers: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        speakers[clip.speaker].append(clip)
    able = {kind: _in_turn([s for s in speakers.values() if _can(s, kind)]) for kind in Kind}
    for kind, those in able.items():
        if not those:
            raise ModelError(
                f"no speaker has {CLIPS} clips and {_SECONDS:g} s of {MOODS[kind]} speech "
                f"for a call of kind {kind.value}",
                "add clips, or choose another --split",
            )
    # Each kind begins with another speaker, so that few calls hear many.
    so_far = Counter({kind: 3 * place for place, kind in enumerate(Kind)})
    roles = []
    for number in range(count):
        kind = PATTERN[number % len(PATTERN)]
        those = able[kind]
        roles.append(Role(kind, tuple(those[so_far[kind] % len(those)])))
        so_far[kind] += 1
    return roles


def _can(clips: Sequence[Clip], kind: Kind) -> bool:
    """Whether a speaker has what a kind of call needs."""

    def enough(*moods: str) -> bool:
        seconds = [c.seconds for c in clips if EMOTIONS[c.emotion] in moods]
        return len(seconds) >= CLIPS and sum(seconds) >= _SECONDS

    match kind:
        case Kind.CALM_LOUD:
            return enough("neutral", "happiness")
        case Kind.ANGRY | Kind.OUTBURST:
            return enough("neutral") and enough("anger")
        case _:
            return enough(MOODS[kind])


def _in_turn(speakers: Sequence[list[Clip]]) -> list[list[Clip]]:
    """Speakers in an order that mixes the corpora."""
    by_corpus: dict[str, list[list[Clip]]] = defaultdict(list)
    for clips in sorted(speakers, key=lambda s: s[0].speaker):
        by_corpus[clips[0].corpus].append(clips)
    places = [
        ((index + 0.5) / len(those), corpus, clips)
        for corpus, those in by_corpus.items()
        for index, clips in enumerate(those)
    ]
    return [clips for _, _, clips in sorted(places, key=lambda p: p[:2])]
