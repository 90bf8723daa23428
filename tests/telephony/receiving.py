"""A reception and an ear that remember, for the tests of gateways."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from voicebot.events import Leg, Pcm
from voicebot.telephony.line import Line, Offer, RefusedError


@dataclass
class Heard:
    """An ear; all that it was told."""

    offer: Offer
    line: Line
    audio_of: dict[Leg, list[Pcm]] = field(default_factory=dict)
    digits: list[tuple[Leg, str, float]] = field(default_factory=list)
    holds: list[tuple[Leg, bool]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def audio(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        assert pcm.dtype == np.int16
        assert not self.reasons, "audio after the end"
        self.audio_of.setdefault(leg, []).append(pcm)

    def digit(self, leg: Leg, digit: str, seconds: float) -> None:
        self.digits.append((leg, digit, seconds))

    def held(self, leg: Leg, held: bool) -> None:
        self.holds.append((leg, held))

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)

    def pcm(self, leg: Leg = Leg.CALLER) -> Pcm:
        parts = self.audio_of.get(leg, [])
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


@dataclass
class Desk:
    """A reception that takes every call, or none."""

    refuse: bool = False
    calls: list[Heard] = field(default_factory=list)

    def receive(self, offer: Offer, line: Line) -> Heard:
        if self.refuse:
            raise RefusedError("at capacity", 10.0)
        self.calls.append(Heard(offer, line))
        return self.calls[-1]


def tone(seconds: float, rate: int = 8000, hertz: float = 440.0) -> Pcm:
    """A sine, which no codec and no gap can hide behind."""
    t = np.arange(int(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)
