from __future__ import annotations

from voicebot.telephony.media.address_lock import AddressLock, plain_host

PEER, NAT, STRANGER = ("198.51.100.7", 4000), ("203.0.113.1", 9), ("192.0.2.66", 6)


def test_the_signalled_address_wins_whoever_spoke_first() -> None:
    lock = AddressLock(PEER, 3)
    assert lock.source is None
    assert lock.accepts(STRANGER)  # it may be the peer's NAT
    assert lock.accepts(PEER)
    assert not lock.accepts(STRANGER)
    assert lock.source == PEER


def test_the_signalled_address_wins_even_after_the_lock() -> None:
    lock = AddressLock(PEER, 3)
    for _ in range(10):
        assert lock.accepts(STRANGER)
    assert lock.locked
    assert lock.accepts(PEER)
    assert not lock.accepts(STRANGER) and lock.source == PEER


def test_behind_a_nat_the_first_who_speaks_is_the_peer() -> None:
    lock = AddressLock(PEER, 3)
    assert lock.accepts(NAT)
    assert not lock.accepts(STRANGER)
    assert lock.accepts(NAT) and not lock.locked
    assert lock.accepts(NAT) and lock.locked
    assert not lock.accepts(STRANGER)


def test_after_a_re_invite_the_peer_may_have_moved() -> None:
    lock = AddressLock(PEER, 3)
    for _ in range(5):
        lock.accepts(NAT)
    lock.reopen()
    assert lock.source == NAT  # where to send meanwhile
    assert lock.accepts(NAT) and not lock.accepts(STRANGER)  # it has not
    lock.reopen()
    moved = ("203.0.113.2", 10)
    assert lock.accepts(moved) and lock.source == moved
    assert not lock.accepts(NAT)


def test_another_port_of_the_signalled_machine() -> None:
    lock = AddressLock(PEER, 3)
    assert lock.accepts(STRANGER)
    assert lock.accepts((PEER[0], 5555))
    assert not lock.accepts(STRANGER)
    assert not lock.accepts((PEER[0], 6666))
    assert lock.accepts(PEER)


def test_spellings_of_one_address() -> None:
    assert plain_host("::ffff:198.51.100.7") == "198.51.100.7"
    assert plain_host("2001:DB8:0:0::7") == "2001:db8::7"
    assert plain_host("fe80::1%eth0") == "fe80::1"
    assert plain_host("sbc.example") == "sbc.example"
    lock = AddressLock(("2001:DB8::0:7", 4000), 3)
    assert lock.accepts(("2001:db8::66", 1)) and lock.accepts(("2001:db8::7", 4000))
    assert lock.source == ("2001:db8::7", 4000)
