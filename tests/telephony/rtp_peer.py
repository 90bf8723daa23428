"""Peers for media sessions under test: another session, or a bare socket."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from voicebot.events import Pcm
from voicebot.telephony.media.media_session import MediaParams, MediaSession
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.rtp import build_rtp
from voicebot.telephony.media.sdp import (
    Codec,
    Crypto,
    Direction,
    Negotiated,
    Origin,
    answer,
    build_offer,
    parse_offer,
    read_answer,
)

FAST = MediaParams(port_low=0, port_high=0, reorder_ms=20)
"""ports from the system"""


@dataclass
class Heard:
    """What a session heard."""

    pieces: list[tuple[Pcm, bool]] = field(default_factory=list)
    digits: list[tuple[str, float]] = field(default_factory=list)

    def audio(self, pcm: Pcm, concealed: bool) -> None:
        self.pieces.append((pcm, concealed))

    def digit(self, digit: str, seconds: float) -> None:
        self.digits.append((digit, seconds))

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([np.zeros(0, np.int16), *(pcm for pcm, _ in self.pieces)])


@asynccontextmanager
async def opened(params: MediaParams = FAST) -> AsyncIterator[tuple[MediaSession, Heard]]:
    heard = Heard()
    pool = params.pool()
    session = await MediaSession.open(params, pool, heard.audio, heard.digit)
    try:
        yield session, heard
    finally:
        await session.close()
        assert pool.in_use == 0


def connect(
    caller: MediaSession,
    called: MediaSession,
    params: MediaParams = FAST,
    direction: Direction = Direction.SENDRECV,
) -> None:
    """Offer and answer; or again, in a call."""
    current = (caller.negotiated,) if caller.negotiated else ()
    ours = build_offer(
        Origin("127.0.0.1", 1), [caller.local(direction)], params.abilities(), current
    )
    answered = answer(
        parse_offer(ours.text), Origin("127.0.0.1", 2), {0: called.local()}, params.abilities()
    )
    called.apply(answered.media[0])
    caller.apply(read_answer(answered.text, ours)[0])


@asynccontextmanager
async def pair(
    params: MediaParams = FAST,
) -> AsyncIterator[tuple[MediaSession, Heard, MediaSession, Heard]]:
    async with opened(params) as (caller, at_caller), opened(params) as (called, at_called):
        connect(caller, called, params)
        yield caller, at_caller, called, at_called


class BarePeer:
    """A socket that sends what a test tells it to."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.sequence = 100
        self.timestamp = 5000

    def send(
        self,
        session: MediaSession,
        payload: bytes = b"\xff" * 160,
        *,
        payload_type: int = 0,
        ssrc: int = 77,
    ) -> None:
        self.raw(
            session,
            build_rtp(payload_type, self.sequence, self.timestamp, ssrc, payload, marker=False),
        )
        self.sequence += 1
        self.timestamp += len(payload)

    def raw(self, session: MediaSession, data: bytes, port: int = 0) -> None:
        self.socket.sendto(data, ("127.0.0.1", port or session.port))

    def received(self) -> list[bytes]:
        out = []
        while True:
            try:
                out.append(self.socket.recv(2048))
            except BlockingIOError:
                return out

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])


@asynccontextmanager
async def bare(host: str = "127.0.0.1") -> AsyncIterator[BarePeer]:
    peer = BarePeer(host)
    try:
        yield peer
    finally:
        peer.socket.close()


def negotiated(
    port: int,
    *,
    name: str = "PCMU",
    payload: int = 0,
    host: str = "127.0.0.1",
    direction: Direction = Direction.SENDRECV,
    mux: bool = False,
    keys: tuple[Crypto, Crypto] | None = None,
    rtcp_port: int = 0,
) -> Negotiated:
    """What would have been agreed with a bare peer; its RTCP port is 9, which discards."""
    codec = Codec(name, payload, 8000)
    return Negotiated(
        index=0,
        label="",
        protocol="RTP/SAVP" if keys else "RTP/AVP",
        codec=codec,
        receives=(codec,),
        dtmf=Codec("TELEPHONE-EVENT", 101, 8000),
        dtmf_heard=(101,),
        comfort_noise=13,
        host=host,
        port=port,
        rtcp_host=host,
        rtcp_port=rtcp_port or 9,
        rtcp_mux=mux,
        direction=direction,
        on_hold=direction is not Direction.SENDRECV,
        ptime_ms=20,
        local_crypto=keys[0] if keys else None,
        remote_crypto=keys[1] if keys else None,
    )


def new_pool() -> PortPool:
    return PortPool(0, 0)
