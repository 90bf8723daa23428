"""Two legs joined: what one says the other hears, and its digits too.

Each side is decoded and coded anew, so that codecs may differ; the caller's
ear hears on, since the bridge only listens in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from voicebot.audio.pcm import StreamResampler, to_float, to_int16
from voicebot.events import Pcm
from voicebot.telephony.sip.leg_media import LegMedia

_MOST_DIGITS: Final = 32
"""waiting to be passed on; more are dropped"""


class OneWay:
    """Passes what one leg hears on to another: a :class:`voicebot.telephony.sip.leg_media.Tap`.

    Args:
        to: Where it goes.
    """

    def __init__(self, to: LegMedia) -> None:
        self._to = to
        self._rates = (0, 0)
        self._resampler: StreamResampler | None = None
        self._digits: deque[tuple[str, float]] = deque(maxlen=_MOST_DIGITS)
        self._sending: asyncio.Task[None] | None = None

    def heard(self, pcm: Pcm, rate: int) -> None:
        """Pass audio on as it comes."""
        session = self._to.session
        if session is None or session.negotiated is None:
            return
        if session.rate != rate:
            if self._rates != (rate, session.rate):
                self._rates = (rate, session.rate)
                self._resampler = StreamResampler(rate, session.rate, 1)
            assert self._resampler is not None
            pcm = to_int16(self._resampler.push(to_float(pcm)[:, None])[:, 0])
        session.send(pcm)

    def digit(self, digit: str, seconds: float) -> None:
        """Pass a digit on; digits do not overtake each other."""
        self._digits.append((digit, seconds))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_digits())

    async def _send_digits(self) -> None:
        while self._digits:
            digit, seconds = self._digits.popleft()
            session = self._to.session
            if session is not None:
                await session.send_digit(digit, min(max(seconds, 0.05), 2.0))

    def stop(self) -> None:
        """Pass nothing on any more."""
        self._digits.clear()
        if self._sending is not None:
            self._sending.cancel()


class Bridge:
    """A caller's leg and an agent's.

    Args:
        caller: Whose ear goes on hearing.
        agent: The other.
    """

    def __init__(self, caller: LegMedia, agent: LegMedia) -> None:
        self._caller, self._agent = caller, agent
        self._to_agent = OneWay(agent)
        self._to_caller = OneWay(caller)

    def let_hear(self) -> None:
        """The caller hears the agent's side, not the other way: ringing and announcements."""
        self._agent.tap = self._to_caller

    def join(self) -> None:
        """Both hear each other."""
        self._agent.tap = self._to_caller
        self._caller.tap = self._to_agent

    def part(self) -> None:
        """Neither hears the other.  May be called twice."""
        self._to_agent.stop()
        self._to_caller.stop()
        if self._agent.tap is self._to_caller:
            self._agent.tap = None
        if self._caller.tap is self._to_agent:
            self._caller.tap = None
