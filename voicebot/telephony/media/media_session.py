"""One leg of audio over RTP: the sockets, and what goes in and out of them."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final

from voicebot.events import Pcm
from voicebot.telephony.line import MediaFigures
from voicebot.telephony.media.address_lock import Address, AddressLock, plain_host
from voicebot.telephony.media.codecs import NARROW, Coder, make_coder, rate_of
from voicebot.telephony.media.dtmf import DtmfReceiver
from voicebot.telephony.media.media_params import MediaParams
from voicebot.telephony.media.ports import PortPair, PortPool
from voicebot.telephony.media.rtcp import Reception, parse_rtcp
from voicebot.telephony.media.rtcp_reports import RtcpReports
from voicebot.telephony.media.rtp import is_rtcp, parse_rtp
from voicebot.telephony.media.rtp_sender import RtpSender
from voicebot.telephony.media.rtp_stream import RtpStream
from voicebot.telephony.media.sdp_types import Direction, LocalMedia, Negotiated
from voicebot.telephony.media.srtp import KEY_OCTETS, SrtpTransform

__all__ = ["MediaParams", "MediaSession"]

_LARGEST: Final = 2048
"""octets; what is longer is no audio, and is cut"""
_NOWHERE: Final = ("0.0.0.0", "::", "")


class MediaSession:
    """One m-line: opened before the description is written, set up by :meth:`apply`.

    Attributes:
        last_heard: Loop time of the last packet that was accepted; of opening before the first.
        counters: ``rtp_malformed``, ``rtp_strangers``, ``rtp_unknown_payload``, ``rtp_early``
            (before :meth:`apply`), ``rtp_flooded`` (more audio than there is time for),
            ``rtp_unresolved`` (a name instead of an address), ``rtp_unsent``,
            ``srtp_rejected``, ``rtcp_malformed``, ``rtcp_strangers``, ``rtcp_bye``,
            ``dtmf_malformed``.
    """

    def __init__(
        self,
        params: MediaParams,
        pool: PortPool,
        pair: PortPair,
        heard: Callable[[Pcm, bool], None],
        digit: Callable[[str, float], None],
    ) -> None:
        self._params, self._pool, self._pair = params, pool, pair
        self._loop = asyncio.get_running_loop()
        self._host = params.advertise or params.host
        self._key = os.urandom(KEY_OCTETS)
        self._closed = False
        self._negotiated: Negotiated | None = None
        self._transform: SrtpTransform | None = None
        self._lock = AddressLock(("", 0), params.lock_after)
        self._resolved: str | None = None
        self._resolving: asyncio.Task[None] | None = None
        self._rtcp_source: Address | None = None
        self._coders: dict[int, Coder] = {}
        self._names: dict[int, str] = {}
        self._clocks: dict[int, int] = {}
        """of telephone events, by payload type"""
        self._known: frozenset[int] = frozenset()
        self._stream = RtpStream(
            heard, reorder=params.reorder_ms / 1000, most_gap=params.most_gap_seconds
        )
        self._dtmf = DtmfReceiver(digit)
        self._sender = RtpSender(self._transmit)
        self._reports = RtcpReports(self._sender, self._stream)
        self._overdue: asyncio.TimerHandle | None = None
        self._reporting: asyncio.TimerHandle | None = None
        self._keeping: asyncio.TimerHandle | None = None
        self.last_heard = self._loop.time()
        self.counters: Counter[str] = Counter()
        self._loop.add_reader(pair.rtp, self._readable)
        self._loop.add_reader(pair.rtcp, self._rtcp_readable)

    @classmethod
    async def open(
        cls,
        params: MediaParams,
        pool: PortPool,
        heard: Callable[[Pcm, bool], None],
        digit: Callable[[str, float], None],
    ) -> MediaSession:
        """Take a pair of ports and begin to listen.

        Args:
            params: Of all sessions.
            pool: Shared by all sessions.
            heard: Given every piece of audio at :attr:`rate`, in order, and whether it is
                concealed (made up for lost packets).  Never called before :meth:`apply`.
            digit: Given each DTMF digit and how long it lasted in s.

        Raises:
            NoPortError: the range is exhausted.
        """
        pair = pool.take()
        try:
            return cls(params, pool, pair, heard, digit)
        except BaseException:
            pool.release(pair)
            raise

    @property
    def rate(self) -> int:
        """Hz of what is heard and played: 8000 or 16000."""
        return rate_of(self._negotiated.codec.name) if self._negotiated else NARROW

    @property
    def port(self) -> int:
        """Our RTP port; RTCP has the next."""
        return self._pair.port

    @property
    def source(self) -> Address | None:
        """Where the peer's packets come from; None before the first."""
        return self._lock.source

    @property
    def negotiated(self) -> Negotiated | None:
        """What :meth:`apply` was given last."""
        return self._negotiated

    @property
    def direction(self) -> Direction:
        """Ours; INACTIVE before :meth:`apply`."""
        return self._negotiated.direction if self._negotiated else Direction.INACTIVE

    @property
    def on_hold(self) -> bool:
        """Whether the peer put us on hold."""
        return self._negotiated is not None and self._negotiated.on_hold

    def local(self, direction: Direction = Direction.SENDRECV, label: str = "") -> LocalMedia:
        """Our side, for :func:`voicebot.telephony.media.sdp.answer` and ``build_offer``.

        Args:
            direction: What we want to do; RECVONLY for a recorder.
            label: ``a=label`` to write.
        """
        rate = self.rate if self._negotiated else 0
        return LocalMedia(self._host, self.port, self.port + 1, self._key, direction, label, rate)

    def apply(self, negotiated: Negotiated) -> None:
        """Set codec, payload types, peer's address, keys and direction; again on re-INVITE.

        Raises:
            ValueError: the rate would change in the middle of a call; :meth:`local` sees to it
                that this is not negotiated.
        """
        before = self._negotiated
        if before is not None and rate_of(negotiated.codec.name) != self.rate:
            raise ValueError(f"from {before.codec.name} to {negotiated.codec.name} in a call")
        if self._closed:
            return
        self._negotiated = negotiated
        self._set_codecs(negotiated, before)
        self._set_keys(negotiated)
        if before is None or (before.host, before.port) != (negotiated.host, negotiated.port):
            self._lock = AddressLock((negotiated.host, negotiated.port), self._params.lock_after)
            self._rtcp_source = None
            self._resolve(negotiated.host)
        else:
            self._lock.reopen()
        self._keep_alive()
        if self._reporting is None:
            self._reporting = self._loop.call_later(self._interval(), self._report)

    @property
    def peer_report(self) -> Reception | None:
        """How the peer hears us, as it said last; None before it did."""
        return self._reports.peer_report

    @property
    def round_trip(self) -> float | None:
        """Seconds to the peer and back; None before it can be told."""
        return self._reports.round_trip

    def figures(self) -> MediaFigures:
        """How well the audio arrives."""
        stream = self._stream
        strangers = self.counters["rtp_strangers"] + self.counters["rtp_unknown_payload"]
        return MediaFigures(
            codec=self._negotiated.codec.name if self._negotiated else "",
            packets=stream.packets + strangers,
            lost=stream.lost,
            late=stream.late,
            duplicates=stream.duplicates,
            strangers=strangers + stream.strays,
            jitter=stream.jitter,
            concealed=stream.concealed,
        )

    async def play(self, pcm: Pcm) -> None:
        """Say something; returns when it was said.  To be cancelled if it shall stop.

        Returns at once if we may not send.  Two at a time are said one after the other.

        Args:
            pcm: At :attr:`rate`.
        """
        if self.direction.sends and not self._closed:
            await self._sender.play(pcm)

    def send(self, pcm: Pcm) -> None:
        """Pass on audio that comes at its own pace, as in a bridge; what fills no packet waits.

        Dropped while :meth:`play` is speaking, or if we may not send.

        Args:
            pcm: At :attr:`rate`.
        """
        if self.direction.sends and not self._closed:
            self._sender.send(pcm)

    async def send_digit(self, digit: str, seconds: float = 0.16) -> bool:
        """Send a DTMF digit; returns when the key is let go.

        Returns:
            False if telephone events were not negotiated or we may not send.

        Raises:
            ValueError: no digit.
        """
        if not self.direction.sends or self._closed:
            return False
        return await self._sender.send_digit(digit, seconds)

    async def close(self) -> None:
        """Say goodbye by RTCP, release ports and timers.  May be called twice."""
        if self._closed:
            return
        self._sender.stop()
        try:
            self._stream.flush()
            self._dtmf.flush()
            self._send_report(bye=True)
        finally:
            self._closed = True
            for timer in (self._overdue, self._reporting, self._keeping):
                if timer is not None:
                    timer.cancel()
            if self._resolving is not None:
                self._resolving.cancel()
            self._loop.remove_reader(self._pair.rtp)
            self._loop.remove_reader(self._pair.rtcp)
            self._pool.release(self._pair)

    # ------------------------------------------------------------ set up

    def _set_codecs(self, negotiated: Negotiated, before: Negotiated | None) -> None:
        names = {codec.payload: codec.name for codec in negotiated.receives}
        # A decoder that goes on keeps its memory.
        self._coders = {
            payload: self._coders[payload] if self._names.get(payload) == name else make_coder(name)
            for payload, name in names.items()
        }
        self._names = names
        codec = negotiated.codec
        clock = negotiated.dtmf.clock if negotiated.dtmf else codec.clock
        self._clocks = dict.fromkeys(negotiated.dtmf_heard, clock)
        self._known = frozenset((*self._coders, *self._clocks, negotiated.comfort_noise))
        self._stream.configure(self._coders, negotiated.comfort_noise)
        sent = (negotiated.codec, negotiated.ptime_ms, negotiated.dtmf)
        if before is None or sent != (before.codec, before.ptime_ms, before.dtmf):
            self._sender.configure(
                make_coder(codec.name),
                codec.payload,
                negotiated.ptime_ms,
                # Events count in the clock of the audio before them (RFC 4733 section 2.1); at
                # another clock they are understood, but not sent.
                negotiated.dtmf.payload if negotiated.dtmf and clock == codec.clock else -1,
            )

    def _set_keys(self, negotiated: Negotiated) -> None:
        local, remote = negotiated.local_crypto, negotiated.remote_crypto
        if local is None or remote is None:
            self._transform = None
        elif self._transform is None:
            self._transform = SrtpTransform(local, remote)
        else:
            self._transform.rekey(local, remote)

    def _resolve(self, host: str) -> None:
        """Find the address of a peer that signals a name, without holding up the loop."""
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        self._resolved = None
        try:
            address = ipaddress.ip_address(host)
            # A description must not make us send to many at once.
            self._resolved = None if address.is_multicast else str(address)
        except ValueError:
            self._resolving = self._loop.create_task(self._look_up(host))

    async def _look_up(self, host: str) -> None:
        try:
            found = await self._loop.getaddrinfo(
                host, None, family=self._pair.rtp.family, type=socket.SOCK_DGRAM
            )
        except (OSError, ValueError):
            self.counters["rtp_unresolved"] += 1
            return
        self._resolved = str(found[0][4][0])
        self._keep_alive()

    # ------------------------------------------------------------ in

    def _readable(self) -> None:
        # One datagram for each time the loop says so: on a calm line there is never a second,
        # and finding that out costs as much as reading it.
        try:
            data, source = self._pair.rtp.recvfrom(_LARGEST)
        except OSError:
            return
        self._datagram(data, source)

    def _rtcp_readable(self) -> None:
        try:
            data, source = self._pair.rtcp.recvfrom(_LARGEST)
        except OSError:
            return
        self._take_rtcp(data, source[:2])

    def _datagram(self, data: bytes, source: Address) -> None:
        if self._negotiated is None:
            self.counters["rtp_early"] += 1
            return
        if len(source) > 2:
            source = source[:2]
        if self._negotiated.rtcp_mux and is_rtcp(data):
            self._take_rtcp(data, source)
            return
        if not data:
            return  # RFC 6263 section 4.1: keeps a NAT open
        if self._transform is not None:
            opened = self._transform.open(data)
            if opened is None:
                self.counters["srtp_rejected"] += 1
                return
            data = opened
        packet = parse_rtp(data)
        if packet is None:
            self.counters["rtp_malformed"] += 1
            return
        if packet.payload_type not in self._known:
            self.counters["rtp_unknown_payload"] += 1
            return
        if not self._lock.accepts(source):
            self.counters["rtp_strangers"] += 1
            return
        now = self.last_heard = self._loop.time()
        clock = self._clocks.get(packet.payload_type)
        if clock is not None and not self._dtmf.push(
            packet.payload, packet.ssrc, packet.timestamp, clock, now
        ):
            self.counters["dtmf_malformed"] += 1
        self._stream.push(packet, now)
        if self._stream.flooded:
            self.counters["rtp_flooded"] = self._stream.flooded
        if self._overdue is None:
            self._watch()

    def _watch(self) -> None:
        """See to it that what waits is handed on in time, if anything does."""
        stream, dtmf = self._stream.deadline, self._dtmf.deadline
        if stream is not None or dtmf is not None:
            due = min(time for time in (stream, dtmf) if time is not None)
            self._overdue = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._overdue = None
        now = self._loop.time()
        try:
            self._stream.tick(now)
            self._dtmf.tick(now)
        finally:
            self._watch()

    # ------------------------------------------------------------ out

    def _target(self) -> Address | None:
        """Where to send: where packets come from, else where the description says."""
        if self._lock.source is not None:
            return self._lock.source
        negotiated = self._negotiated
        if negotiated is None or not negotiated.port or self._resolved in (None, *_NOWHERE):
            return None
        return (str(self._resolved), negotiated.port)

    def _transmit(self, packet: bytes) -> None:
        target = self._target()
        if target is None or self._closed or not self.direction.sends:
            return
        if self._transform is not None:
            packet = self._transform.seal(packet)
        self._send_to(self._pair.rtp, packet, target)

    def _send_to(self, sock: socket.socket, data: bytes, target: Address) -> None:
        try:
            sock.sendto(data, target)
        except OSError:  # a full buffer, no route, an address of another family
            self.counters["rtp_unsent"] += 1

    def _keep_alive(self) -> None:
        """Send a little where nothing else was sent, at once and again and again (RFC 6263)."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        if self._closed:
            return
        now, period = self._loop.time(), self._params.keepalive_seconds
        idle = not self._sender.packets or now - self._sender.last_sent >= period / 2
        target = self._target()
        if idle and target is not None:
            if self.direction.sends:
                self._sender.silence()
            elif self.direction.receives:
                self._send_to(self._pair.rtp, b"", target)
        self._keeping = self._loop.call_later(period, self._keep_alive)

    # ------------------------------------------------------------ reports

    def _interval(self) -> float:
        return self._params.rtcp_seconds * random.uniform(0.5, 1.5)

    def _report(self) -> None:
        self._send_report()
        self._reporting = self._loop.call_later(self._interval(), self._report)

    def _send_report(self, *, bye: bool = False) -> None:
        negotiated = self._negotiated
        if negotiated is None or self._closed:
            return
        if negotiated.rtcp_mux:
            sock, target = self._pair.rtp, self._target()
        else:
            sock, target = self._pair.rtcp, self._rtcp_source or self._rtcp_signalled(negotiated)
        if target is None:
            return
        data = self._reports.compose(bye=bye)
        if self._transform is not None:
            data = self._transform.seal_rtcp(data)
        self._send_to(sock, data, target)

    def _rtcp_signalled(self, negotiated: Negotiated) -> Address | None:
        host = negotiated.rtcp_host
        if host == negotiated.host:
            host = self._resolved or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None
        if host in _NOWHERE or not negotiated.rtcp_port:
            return None
        return (host, negotiated.rtcp_port)

    def _take_rtcp(self, data: bytes, source: Address) -> None:
        negotiated = self._negotiated
        if negotiated is None:
            return
        if self._transform is not None:
            opened = self._transform.open_rtcp(data)
            if opened is None:
                self.counters["srtp_rejected"] += 1
                return
            data = opened
        report = parse_rtcp(data)
        if report is None:
            self.counters["rtcp_malformed"] += 1
            return
        expected = {plain_host(negotiated.rtcp_host), self._resolved}
        if self._lock.source is not None:
            expected.add(plain_host(self._lock.source[0]))
        if plain_host(source[0]) not in expected:
            self.counters["rtcp_strangers"] += 1
            return
        self._rtcp_source = source
        self._reports.read(report)
        if report.bye:
            self.counters["rtcp_bye"] += 1
