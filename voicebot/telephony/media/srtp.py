"""Encrypted media (SRTP, RFC 3711; keys by SDP, RFC 4568), by ``pylibsrtp``."""

from __future__ import annotations

from typing import Final

from pylibsrtp import Error, Policy, Session

from voicebot.telephony.media.sdp_types import Crypto

_PROFILES: Final = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
KEY_OCTETS: Final = 46
"""as many as the longest key and salt of any suite, and a little"""


class SrtpTransform:
    """Encrypts what we send and opens what comes, RTP and RTCP.

    Args:
        local: Key of what we send.
        remote: Key of what the peer sends.
    """

    def __init__(self, local: Crypto, remote: Crypto) -> None:
        self.local, self.remote = local, remote
        self._out = _session(local, Policy.SSRC_ANY_OUTBOUND)
        self._in = _session(remote, Policy.SSRC_ANY_INBOUND)

    def rekey(self, local: Crypto, remote: Crypto) -> None:
        """Take new keys; where one is the same, its stream goes on, with its packet counter."""
        if (local.suite, local.key) != (self.local.suite, self.local.key):
            self._out = _session(local, Policy.SSRC_ANY_OUTBOUND)
        if (remote.suite, remote.key) != (self.remote.suite, self.remote.key):
            self._in = _session(remote, Policy.SSRC_ANY_INBOUND)
        self.local, self.remote = local, remote

    def seal(self, data: bytes) -> bytes:
        """Encrypt an RTP packet of ours."""
        return bytes(self._out.protect(data))

    def open(self, data: bytes) -> bytes | None:
        """Decrypt an RTP packet; None if it is forged, damaged or came before."""
        try:
            return bytes(self._in.unprotect(data))
        except (Error, ValueError):  # ValueError: longer than the library's buffer
            return None

    def seal_rtcp(self, data: bytes) -> bytes:
        """Encrypt an RTCP packet of ours."""
        return bytes(self._out.protect_rtcp(data))

    def open_rtcp(self, data: bytes) -> bytes | None:
        """Decrypt an RTCP packet; None if it is forged, damaged or came before."""
        try:
            return bytes(self._in.unprotect_rtcp(data))
        except (Error, ValueError):  # ValueError: longer than the library's buffer
            return None


def _session(crypto: Crypto, kind: int) -> Session:
    return Session(Policy(key=crypto.key, ssrc_type=kind, srtp_profile=_PROFILES[crypto.suite]))
