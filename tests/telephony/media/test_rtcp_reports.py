from __future__ import annotations

import asyncio

import numpy as np
import pytest

from voicebot.telephony.media.codecs import make_coder
from voicebot.telephony.media.rtcp import Reception, RtcpReport, Sending, ntp_time, parse_rtcp
from voicebot.telephony.media.rtcp_reports import RtcpReports
from voicebot.telephony.media.rtp import RtpPacket
from voicebot.telephony.media.rtp_sender import RtpSender
from voicebot.telephony.media.rtp_stream import RtpStream


def test_reports_say_what_happened_since_the_last() -> None:
    async def run() -> None:
        sender = RtpSender(lambda data: None)
        sender.configure(make_coder("PCMU"), 0, 20, -1)
        stream = RtpStream(lambda pcm, concealed: None, reorder=0.0)
        stream.configure({0: make_coder("PCMU")}, 13)
        reports = RtcpReports(sender, stream)

        nothing = parse_rtcp(reports.compose(bye=False))
        assert nothing is not None and nothing.sending is None and nothing.blocks == ()

        for number in range(60000, 60100):
            if number % 4:
                packet = RtpPacket(0, False, number, number * 160, 5, b"\xff" * 160)
                stream.push(packet, number * 0.02)
        sender.send(np.zeros(480, np.int16))
        first = parse_rtcp(reports.compose(bye=False))
        assert first is not None and first.sending is not None
        assert (first.sending.packets, first.sending.octets) == (3, 480)
        block = first.blocks[0]
        assert (block.ssrc, block.highest, block.lost) == (5, 60099, 24)
        assert block.fraction_lost == pytest.approx(24 / 99, abs=1 / 256)

        for number in range(60100, 60200):
            if number != 60150:
                packet = RtpPacket(0, False, number, number * 160, 5, b"\xff" * 160)
                stream.push(packet, number * 0.02)
        ntp = ntp_time(1e9)
        reports.read(RtcpReport(5, Sending(ntp, 0, 1, 1), (), False))
        second = parse_rtcp(reports.compose(bye=True))
        assert second is not None and second.bye and second.sending is None
        block = second.blocks[0]
        assert block.lost == 25
        assert block.fraction_lost == pytest.approx(0.01, abs=1 / 256)
        assert block.last_report == (ntp >> 16) & 0xFFFFFFFF and block.delay < 1.0

    asyncio.run(run())


def test_only_what_the_peer_says_of_us_is_taken() -> None:
    async def run() -> None:
        sender = RtpSender(lambda data: None)
        reports = RtcpReports(sender, RtpStream(lambda pcm, concealed: None))
        other = Reception(sender.ssrc ^ 1, 0.5, 1, 1, 1)
        ours = Reception(sender.ssrc, 0.25, 1, 1, 1)
        reports.read(RtcpReport(5, None, (other,), False))
        assert reports.peer_report is None
        reports.read(RtcpReport(5, None, (other, ours), False))
        assert reports.peer_report == ours and reports.round_trip is None

    asyncio.run(run())
