from __future__ import annotations

import os

import pytest

from voicebot.telephony.media.rtcp import build_rtcp
from voicebot.telephony.media.rtp import build_rtp
from voicebot.telephony.media.sdp_types import SUITES, Crypto
from voicebot.telephony.media.srtp import KEY_OCTETS, SrtpTransform

SUITE = "AES_CM_128_HMAC_SHA1_80"


def packet(sequence: int, ssrc: int = 5) -> bytes:
    return build_rtp(0, sequence, 160 * sequence, ssrc, b"\x11" * 160, False)


def key(suite: str = SUITE) -> Crypto:
    return Crypto(1, suite, os.urandom(SUITES[suite]))


@pytest.mark.parametrize("suite", SUITES)
def test_both_ways_in_every_suite(suite: str) -> None:
    one, two = key(suite), key(suite)
    here, there = SrtpTransform(one, two), SrtpTransform(two, one)
    for sequence in (65534, 65535, 0, 1):  # over the wrap
        sealed = here.seal(packet(sequence))
        assert b"\x11" * 16 not in sealed
        assert there.open(sealed) == packet(sequence)
        assert here.open(there.seal(packet(sequence, 9))) == packet(sequence, 9)
    report = build_rtcp(5, "name", None, ())
    assert there.open_rtcp(here.seal_rtcp(report)) == report
    assert max(SUITES.values()) <= KEY_OCTETS


def test_forged_damaged_and_replayed_packets() -> None:
    one, two = key(), key()
    here, there = SrtpTransform(one, two), SrtpTransform(two, one)
    sealed = here.seal(packet(1))
    assert there.open(packet(1)) is None
    assert there.open(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert there.open(b"") is None and there.open(os.urandom(2000)) is None
    assert there.open(sealed) is not None
    assert there.open(sealed) is None
    assert there.open_rtcp(b"") is None and there.open_rtcp(os.urandom(40)) is None
    assert SrtpTransform(two, key()).open(sealed) is None


def test_a_test_vector_of_the_standard() -> None:
    # RFC 3711 has none for whole packets; this one is of libsrtp's own self test
    # (test/srtp_driver.c, srtp_validate: plaintext of 16 octets 0xab).
    master = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
    transform = SrtpTransform(Crypto(1, SUITE, master), key())
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    sealed = bytes.fromhex(
        "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
    )
    assert transform.seal(plain) == sealed
    assert SrtpTransform(key(), Crypto(1, SUITE, master)).open(sealed) == plain


def test_new_keys_in_a_call() -> None:
    one, two, three = key(), key(), key()
    here, there = SrtpTransform(one, two), SrtpTransform(two, one)
    for sequence in (65535, 0):
        assert there.open(here.seal(packet(sequence)))
    here.rekey(Crypto(2, one.suite, one.key), two)  # the same key: its packet counter goes on
    assert there.open(here.seal(packet(1)))
    here.rekey(three, two)
    sealed = here.seal(packet(2))
    assert there.open(sealed) is None
    there.rekey(two, three)
    assert there.open(sealed) == packet(2)
