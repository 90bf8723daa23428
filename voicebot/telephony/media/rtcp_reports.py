"""What one session reports to its peer, and what it learns from the peer's reports."""

from __future__ import annotations

import asyncio
import secrets
import time

from voicebot.telephony.media.rtcp import (
    Reception,
    RtcpReport,
    Sending,
    build_rtcp,
    middle,
    ntp_time,
    round_trip,
)
from voicebot.telephony.media.rtp_sender import RtpSender
from voicebot.telephony.media.rtp_stream import RtpStream

_CLOCK = 8000
"""Hz of all our timestamps"""


class RtcpReports:
    """Writes reports and reads them.

    Args:
        sender: What is sent.
        stream: What is heard.

    Attributes:
        peer_report: How the peer hears us, as it said last; None before it did.
        round_trip: s to the peer and back; None before it can be told.
    """

    def __init__(self, sender: RtpSender, stream: RtpStream) -> None:
        self._sender, self._stream = sender, stream
        self._loop = asyncio.get_running_loop()
        self._name = secrets.token_hex(12)  # RFC 7022: says nothing about this machine
        self._came: tuple[int, float] | None = None
        """middle of the NTP time in the peer's last sender report, and when that came"""
        self._sent = self._highest = self._lost = 0
        """at our last report"""
        self._source: int | None = None
        self.peer_report: Reception | None = None
        self.round_trip: float | None = None

    def compose(self, *, bye: bool) -> bytes:
        """The next report.

        Args:
            bye: Whether we leave.
        """
        stream, sender = self._stream, self._sender
        sending = None
        if sender.packets != self._sent:
            sending = Sending(
                ntp_time(time.time()), sender.timestamp, sender.packets, sender.octets
            )
            self._sent = sender.packets
        blocks: tuple[Reception, ...] = ()
        if stream.ssrc is not None:
            if stream.ssrc != self._source:
                self._source, self._highest = stream.ssrc, stream.first
            expected = (stream.highest - self._highest) & 0xFFFFFFFF
            lost = max(stream.lost - self._lost, 0)
            blocks = (
                Reception(
                    ssrc=stream.ssrc,
                    fraction_lost=lost / expected if 0 < expected < 0x80000000 else 0.0,
                    lost=stream.lost,
                    highest=stream.highest,
                    jitter=int(stream.jitter * _CLOCK),
                    last_report=self._came[0] if self._came else 0,
                    delay=self._loop.time() - self._came[1] if self._came else 0.0,
                ),
            )
            self._highest, self._lost = stream.highest, stream.lost
        return build_rtcp(sender.ssrc, self._name, sending, blocks, bye=bye)

    def read(self, report: RtcpReport) -> None:
        """Take what the peer says."""
        if report.sending is not None:
            self._came = (middle(report.sending.ntp), self._loop.time())
        for block in report.blocks:
            if block.ssrc == self._sender.ssrc:
                self.peer_report = block
                trip = round_trip(block, ntp_time(time.time()))
                if trip is not None:
                    self.round_trip = trip
