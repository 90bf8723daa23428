from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from aiosipua.message import SipRequest, SipResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telephony.sip_help import make
from voicebot.telephony.sip import digest
from voicebot.telephony.sip.digest import (
    Answerer,
    Challenger,
    Credentials,
    Verdict,
    answer,
    read_params,
    response_value,
)
from voicebot.telephony.sip.sip_messages import cseq_of, response_to

ALICE = Credentials("alice", 'secret "x"')


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def challenger(clock: Clock | None = None) -> Challenger:
    return Challenger("voicebot", {"alice": ALICE.password, "bob": "b"}, 60, clock or Clock())


def answered(
    server: Challenger,
    request: SipRequest,
    credentials: Sequence[Credentials] | Credentials = ALICE,
) -> SipRequest:
    made = answer(request, server.challenge(request), credentials)
    assert made is not None
    return made


def test_the_example_of_rfc_7616() -> None:
    """Section 3.9.1."""
    given_ = ("Mufasa:http-auth@example.org:Circle of Life", "GET", "/dir/index.html")
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    assert response_value("MD5", *given_, nonce, "00000001", cnonce) == (
        "8ca523f5e9506fed4657c9700eebdbec"
    )
    assert response_value("SHA-256", *given_, nonce, "00000001", cnonce) == (
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )


def test_without_qop() -> None:
    """The formula of RFC 2069: MD5(MD5(A1):nonce:MD5(A2))."""
    import hashlib

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    want = md5(f"{md5('a:r:p')}:n:{md5('REGISTER:sip:h')}")
    assert response_value("MD5", "a:r:p", "REGISTER", "sip:h", "n", "", "") == want


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_there_and_back(algorithm: str) -> None:
    server, request = challenger(), make("REGISTER", seq=7)
    assert server.verify(request) is Verdict.MISSING
    challenge = server.challenge(request)
    values = challenge.headers.get("WWW-Authenticate")
    assert [re.search("algorithm=([^,]*)", value)[1] for value in values] == ["SHA-256", "MD5"]  # type: ignore[index]
    kept = [value for value in values if f"algorithm={algorithm}" in value]
    challenge.headers.remove("WWW-Authenticate")
    challenge.headers.append("WWW-Authenticate", kept[0])
    made = answer(request, challenge, ALICE)
    assert made is not None
    assert cseq_of(made).seq == 8
    assert server.verify(made) is Verdict.GOOD
    assert f"algorithm={algorithm}" in made.headers.get("Authorization")[0]


def test_the_stronger_of_two_is_answered() -> None:
    made = answered(challenger(), make("INVITE"))
    assert len(made.headers.get("Authorization")) == 1
    assert "algorithm=SHA-256" in made.headers.get("Authorization")[0]


def test_wrong_passwords_and_users() -> None:
    server = challenger()
    for wrong in (Credentials("alice", "no"), Credentials("eve", ""), Credentials("eve", "x")):
        assert server.verify(answered(server, make("INVITE"), wrong)) is Verdict.WRONG


def test_a_replay_is_stale() -> None:
    server = challenger()
    made = answered(server, make("INVITE"))
    assert server.verify(made) is Verdict.GOOD
    assert server.verify(made) is Verdict.STALE


def test_an_old_nonce_is_stale_and_renewed_without_asking() -> None:
    clock = Clock()
    server = challenger(clock)
    client = Answerer([ALICE])
    made = client.answer(make("REGISTER"), server.challenge(make("REGISTER")))
    assert made is not None
    clock.now += 61
    assert server.verify(made) is Verdict.STALE
    again = client.answer(made, server.challenge(made, Verdict.STALE))
    assert again is not None
    assert server.verify(again) is Verdict.GOOD


def test_a_forged_nonce_is_never_good() -> None:
    server = challenger()
    other = answered(challenger(), make("INVITE"))
    assert server.verify(other) is Verdict.STALE


def test_credentials_are_for_their_method_and_uri() -> None:
    server = challenger()
    made = answered(server, make("INVITE"))
    made.method = "BYE"
    assert server.verify(made) is Verdict.WRONG
    made = answered(server, make("INVITE"))
    made.uri = "sip:other@127.0.0.1"
    assert server.verify(made) is Verdict.WRONG
    made = answered(server, make("INVITE"))
    made.uri += ";transport=udp"
    assert server.verify(made) is Verdict.GOOD


def test_memory_is_bounded_and_forgets_no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "MAX_NONCES", 4)
    clock = Clock()
    server = challenger(clock)
    first = answered(server, make("INVITE"))
    assert server.verify(first) is Verdict.GOOD
    for _ in range(10):
        clock.now += 1
        assert server.verify(answered(server, make("INVITE"))) is Verdict.GOOD
    assert len(server._counts) == 4
    assert server.verify(first) is Verdict.STALE


def test_later_requests_carry_credentials_at_once() -> None:
    server, client = challenger(), Answerer([ALICE])
    assert client.answer(make("REGISTER"), server.challenge(make("REGISTER"))) is not None
    for count in (2, 3):
        request = make("REGISTER")
        client.authorise(request)
        assert server.verify(request) is Verdict.GOOD
        assert f"nc={count:08x}" in request.headers.get("Authorization")[0]


def test_a_forgotten_nonce_is_answered_anew_once() -> None:
    """Some registrars drop nonces without saying stale."""
    server, client = challenger(), Answerer([ALICE])
    assert client.answer(make("REGISTER"), server.challenge(make("REGISTER"))) is not None
    request = make("REGISTER")
    client.authorise(request)
    again = client.answer(request, server.challenge(request))
    assert again is not None
    assert client.answer(again, server.challenge(again)) is None


def test_a_refused_password_ends_it() -> None:
    server, client = challenger(), Answerer([Credentials("alice", "no")])
    made = client.answer(make("REGISTER"), server.challenge(make("REGISTER")))
    assert made is not None
    assert client.answer(made, server.challenge(made)) is None
    assert answer(made, server.challenge(made), ALICE) is None


def proxied(request: SipRequest, *values: str, header: str = "Proxy-Authenticate") -> SipResponse:
    response = response_to(request, 407)
    for value in values:
        response.headers.append(header, value)
    return response


def test_several_realms_and_a_proxy() -> None:
    request = make("INVITE")
    response = proxied(
        request,
        'Digest realm="one", nonce="n1", qop="auth,auth-int", opaque="o\\"p"',
        'Digest realm="two", nonce="n2", algorithm=MD5',
        'Digest realm="three", nonce="n3"',
    )
    response.headers.append("WWW-Authenticate", 'Digest realm="one", nonce="n4", qop="auth"')
    keys = [Credentials("a", "1", "one"), Credentials("b", "2", "two")]
    made = answer(request, response, keys)
    assert made is not None
    sent = [read_params(value)[1] for value in made.headers.get("Proxy-Authorization")]
    assert [(p["realm"], p["username"], p["nonce"]) for p in sent] == [
        ("one", "a", "n1"),
        ("two", "b", "n2"),
    ]
    assert sent[0]["opaque"] == 'o"p'
    assert sent[0]["qop"] == "auth"
    assert "qop" not in sent[1]
    assert len(made.headers.get("Authorization")) == 1


@pytest.mark.parametrize(
    "value",
    [
        "Basic realm=x",
        'Digest realm="x", nonce="n", algorithm=SHA-512',
        'Digest realm="x", nonce="n", qop="auth-int"',
        'Digest realm="x"',
        "Digest",
        "",
    ],
)
def test_challenges_that_cannot_be_answered(value: str) -> None:
    request = make("INVITE")
    assert answer(request, proxied(request, value), ALICE) is None


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(ALICE)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='Digestrealm="\\,= noncqp0é\x00', max_size=80))
def test_any_credentials_are_judged(text: str) -> None:
    request = make("INVITE")
    request.set_header("Authorization", f'Digest realm="voicebot", {text}')
    assert challenger().verify(request) in (Verdict.WRONG, Verdict.STALE)
    request.set_header("Authorization", text)
    challenger().verify(request)
    answer(request, proxied(request, f"Digest {text}"), ALICE)


def test_harmed_credentials_are_judged() -> None:
    server = challenger()
    good = answered(server, make("INVITE")).headers.get("Authorization")[0]
    for at in range(len(good)):
        request = make("INVITE")
        request.set_header("Authorization", good[:at] + "٣" + good[at + 1 :])
        assert isinstance(server.verify(request), Verdict)
