"""Calls made of a corpus: one speaker's clips, with pauses, over one line.

A call is a speaker's turns (a few clips in one mood, a breath between them), with
pauses in which the other side would speak.  Differences in level between a speaker's clips stay
as recorded, within limits; noise, level and codec hold for the whole call, because that is what
a line is.
Everything follows from the seed and the number of the call: the first hundred
calls of a set of a thousand are the set of a hundred.

A speaker has minutes of speech at most, so clips are heard again and again
(:attr:`~voicebot.calls.record.Facts.uses`).  Hours made this way count as hours of
the *lines and turns* that were drawn; they are still of a few speakers, which is why
figures made from them are bootstrapped over speakers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.audio.pcm import to_float, to_int16
from voicebot.audio.source import BLOCK_SECONDS
from voicebot.calls.casting import CLIPS, MOODS, Role
from voicebot.calls.record import Facts, Kind, Span
from voicebot.emotion.frames import RATE
from voicebot.events import EMOTIONS, Pcm
from voicebot.training.augmentation import Condition, Samples, active_rms, degrade
from voicebot.training.speech_corpora import Clip

_LENGTH: Final = (60.0, 240.0)
_CALM_BEFORE: Final = (20.0, 60.0)
_ANGRY_AFTER: Final = 60.0
"""s; persistent anger has at least so long to be noticed"""
_TURN: Final = (1.5, 9.0)
_BURST: Final = (1.5, 4.0)
_BREATH: Final = (0.1, 0.45)
_PAUSE: Final = (1.2, 6.0)
_SHARE: Final = (0.7, 0.9)
"""Share of turns in the mood that a call is about; the others are neutral."""
_ODDS: Final = (0.2, 0.4, 0.15, 0.25, 0.2)
"""Share of lines without noise, with A-law, over a mobile network, losing packets, in a room."""
_SNR: Final = (8.0, 35.0)
_GAIN: Final = (-8.0, 8.0)
_LOUD: Final = (8.0, 12.0)
"""dB around the usual level"""
_LOSS: Final = (0.005, 0.03)
"""Share of packets, lost in bursts."""
_SWING: Final = 6.0
"""dB; a caller's recordings are at most this far from their median.  Some corpora swing by 20 dB
between two sentences, which no handset does."""
_QUIET: Final = 10 ** (-35 / 10)
"""Blocks this far below a clip's loudest, at its ends, are cut off."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A call to be listened to."""

    facts: Facts
    pcm: Pcm
    """the caller's leg, 8 kHz"""


def assemble(
    role: Role,
    number: int,
    seed: int,
    read: Callable[[Path], Pcm],
    noises: Sequence[Pcm],
) -> Assembled:
    """Make one call.

    Args:
        role: Who and what.
        number: Of the call, from 0.
        seed: Of the set.
        read: Gives a recording at 8 kHz.
        noises: Background noises at 8 kHz, one of which is heard throughout.

    Raises:
        ModelError: a recording cannot be read.
    """
    rng = np.random.default_rng((seed, number))
    kind = role.kind
    decks = _decks(role.clips, kind, read, rng)
    track = _Track(rng, decks)
    length = float(rng.uniform(*_LENGTH))
    share = float(rng.uniform(*_SHARE))
    onset: float | None = None
    outburst: float | None = None
    calm_until = length
    if kind is Kind.ANGRY:
        calm_until = float(rng.uniform(*_CALM_BEFORE))
        length = max(length, calm_until + _ANGRY_AFTER)
    elif kind is Kind.OUTBURST:
        calm_until = float(rng.uniform(_CALM_BEFORE[0], length - _CALM_BEFORE[0]))
    main = MOODS[kind]
    while track.seconds < length:
        if track.seconds >= calm_until and kind is Kind.OUTBURST and outburst is None:
            outburst = track.turn("anger", _BURST)
        elif track.seconds >= calm_until and kind is Kind.ANGRY:
            began = track.turn(
                "anger" if onset is None or rng.random() < share else "neutral", _TURN
            )
            onset = began if onset is None else onset
        else:
            mood = main if not track.spans or rng.random() < share else "neutral"
            began = track.turn(mood if mood in decks else main, _TURN)
            if kind is Kind.ANGRY_FROM_START and onset is None:
                onset = began
    line = _line(kind, rng)
    pcm = degrade(to_int16(track.audio()), line.condition, rng, noises)
    clip = role.clips[0]
    facts = Facts(
        number=number, kind=kind, corpus=clip.corpus, language=clip.language,
        speaker=" ".join(clip.speaker.split()), gender=_gender(clip), snr_db=line.snr_db,
        line=line.name, seconds=len(pcm) / RATE, onset=onset, outburst=outburst,
        spans=tuple(track.spans), uses=max(track.uses.values()),
    )  # fmt: skip
    return Assembled(facts, pcm)


class _Track:
    """A caller's leg while it is being put together."""

    def __init__(self, rng: np.random.Generator, decks: Mapping[str, _Deck]) -> None:
        self._rng = rng
        self._decks = decks
        self._parts: list[Samples] = []
        self._samples = 0
        self.spans: list[Span] = []
        self.uses: Counter[Path] = Counter()
        self._rest(float(rng.uniform(0.5, 2.0)))

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._samples / RATE

    def turn(self, mood: str, seconds: tuple[float, float]) -> float:
        """Let the caller speak, then pause; returns when the turn began."""
        began = self.seconds
        until = began + float(self._rng.uniform(*seconds))
        while True:
            path, samples = self._decks[mood].draw()
            self.uses[path] += 1
            start = self.seconds
            self._add(samples)
            self.spans.append(Span(start, self.seconds, mood == "anger"))
            if self.seconds >= until:
                break
            self._rest(float(self._rng.uniform(*_BREATH)))
        self._rest(float(self._rng.uniform(*_PAUSE)))
        return began

    def audio(self) -> Samples:
        """The whole leg, filled up to a whole block."""
        block = round(BLOCK_SECONDS * RATE)
        whole = np.concatenate(self._parts)
        return np.pad(whole, (0, -len(whole) % block))

    def _rest(self, seconds: float) -> None:
        self._add(np.zeros(round(seconds * RATE), dtype=np.float32))

    def _add(self, samples: Samples) -> None:
        self._parts.append(samples)
        self._samples += len(samples)


class _Deck:
    """Recordings in one mood; each is heard once before any is heard again."""

    def __init__(self, cards: Sequence[tuple[Path, Samples]], rng: np.random.Generator) -> None:
        self._cards = cards
        self._rng = rng
        self._order: list[int] = []

    def draw(self) -> tuple[Path, Samples]:
        """The next recording."""
        if not self._order:
            self._order = [int(i) for i in self._rng.permutation(len(self._cards))]
        return self._cards[self._order.pop()]


def _decks(
    clips: Sequence[Clip], kind: Kind, read: Callable[[Path], Pcm], rng: np.random.Generator
) -> dict[str, _Deck]:
    """What a kind of call may need of a speaker, trimmed, by mood."""
    moods: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        moods[EMOTIONS[clip.emotion]].append(clip)
    if kind is Kind.CALM_LOUD:
        moods["loud"] = moods["neutral"] + moods["happiness"]
    wanted = {MOODS[kind], "neutral", *(("anger",) if kind in _PROVOKED else ())}
    found: dict[str, list[tuple[Path, Samples]]] = {}
    for mood in sorted(wanted):
        cards = [(clip.path, _trimmed(to_float(read(clip.path)))) for clip in moods[mood]]
        if mood == "loud":
            cards.sort(key=lambda card: active_rms(card[1]))
            cards = cards[-max(CLIPS, len(cards) // 3) :]
        if cards:
            found[mood] = cards
    usual = float(np.median([_level(x) for cards in found.values() for _, x in cards]))
    return {
        mood: _Deck([(path, _near(x, usual)) for path, x in cards], rng)
        for mood, cards in found.items()
    }


_PROVOKED: Final = (Kind.ANGRY, Kind.OUTBURST)


def _trimmed(x: Samples) -> Samples:
    """Without the silence at both ends, faded in and out over 10 ms."""
    block = RATE // 50
    if len(x) < 4 * block:
        return x
    power = np.mean(np.square(x[: len(x) // block * block].reshape(-1, block)), axis=1)
    loud = np.flatnonzero(power >= power.max() * _QUIET)
    start = max(0, (int(loud[0]) - 2) * block)
    piece = x[start : (int(loud[-1]) + 3) * block].copy()
    ramp = np.linspace(0.0, 1.0, RATE // 100, dtype=np.float32)
    piece[: len(ramp)] *= ramp
    piece[-len(ramp) :] *= ramp[::-1]
    return piece


def _level(x: Samples) -> float:
    """Level of the speech in a recording, dBFS."""
    return 20.0 * float(np.log10(max(active_rms(x), 1e-6)))


def _near(x: Samples, usual: float) -> Samples:
    """A recording brought to within :data:`_SWING` of a level (dBFS)."""
    level = _level(x)
    to = min(max(level, usual - _SWING), usual + _SWING)
    return (x * np.float32(10 ** ((to - level) / 20))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Line:
    """A telephone line, for the length of a call."""

    condition: Condition
    snr_db: float | None
    name: str
    """codec, and what else is done to the voice, joined by `` + ``"""


def _line(kind: Kind, rng: np.random.Generator) -> _Line:
    """Draw a line: every figure is drawn for every line, so that one does not move the others."""
    quiet, alaw, mobile, lossy, roomy = (float(rng.random()) < p for p in _ODDS)
    snr = round(float(rng.uniform(*_SNR)), 1)
    gain = float(rng.uniform(*(_LOUD if kind is Kind.CALM_LOUD else _GAIN)))
    loss = float(rng.uniform(*_LOSS))
    codec = "alaw" if alaw else "mulaw"
    condition = Condition(
        snr_db=None if quiet else (snr, snr), gain_db=(gain, gain), codecs=(codec,),
        room_share=float(roomy), low_rate_share=float(mobile), loss_share=float(lossy),
        loss=(loss, loss),
    )  # fmt: skip
    extras = {"mobile": mobile, "loss": lossy, "room": roomy}
    name = " + ".join([codec, *(extra for extra, there in extras.items() if there)])
    return _Line(condition, None if quiet else snr, name)


def _gender(clip: Clip) -> str:
    """Known for RAVDESS alone, whose even actors are women."""
    if clip.corpus != "ravdess":
        return "unknown"
    return "male" if int(clip.speaker.rpartition(":")[2]) % 2 else "female"
