"""Through kamailio: registered with a password, and as one of two that share the calls."""

from contextlib import ExitStack, closing
from pathlib import Path

from pydantic import SecretStr

from tests.peers.baresip import Baresip
from tests.peers.house import House, params
from tests.peers.kamailio import PASSWORD, REALM, Kamailio
from tests.peers.processes import wait_for
from tests.peers.serve import Serve
from tests.peers.sipp import Sipp
from tests.peers.sound import compare, speech
from voicebot.telephony.sip.registration import RegistrationParams, RegistrationState


def account(port: int, password: str) -> RegistrationParams:
    return RegistrationParams(
        registrar=f"sip:127.0.0.1:{port}",
        user="hotline",
        domain=REALM,
        password=SecretStr(password),
        expires_seconds=10,
        retry_seconds=0.3,
    )


def test_a_registered_account_is_called(stack: ExitStack, tmp_path: Path) -> None:
    pbx = stack.enter_context(closing(Kamailio(tmp_path)))
    house = stack.enter_context(House(params(accounts=[account(pbx.port, PASSWORD)])))
    states = house.endpoint.registrations
    wait_for(
        lambda: list(house.endpoint.registrations.values()) == [RegistrationState.REGISTERED],
        f"a registration, not {states}",
    )
    says = speech(2.0, start=20.0)
    caller = stack.enter_context(Baresip("caller", tmp_path, says))
    caller.do("dial", f"sip:hotline@127.0.0.1:{pbx.port}")
    call = house.ended()
    match = compare(says, call.pcm())
    assert match.correlation > 0.99
    assert abs(match.heard - match.sent) <= 0.06
    assert call.end == "hangup"


def test_a_registration_is_given_up_at_the_end(stack: ExitStack, tmp_path: Path) -> None:
    pbx = stack.enter_context(closing(Kamailio(tmp_path)))
    with House(params(accounts=[account(pbx.port, PASSWORD)])) as house:
        wait_for(
            lambda: list(house.endpoint.registrations.values()) == [RegistrationState.REGISTERED],
            "a registration",
        )
    caller = stack.enter_context(Baresip("caller", tmp_path))
    caller.do("dial", f"sip:hotline@127.0.0.1:{pbx.port}")
    assert "404" in str(caller.wait("CALL_CLOSED").get("param"))


def test_a_wrong_password(stack: ExitStack, tmp_path: Path) -> None:
    pbx = stack.enter_context(closing(Kamailio(tmp_path)))
    house = stack.enter_context(House(params(accounts=[account(pbx.port, "wrong")])))
    wait_for(
        lambda: list(house.endpoint.registrations.values()) == [RegistrationState.FAILING],
        "a failure",
    )


def test_two_daemons_share_the_calls(stack: ExitStack, tmp_path: Path) -> None:
    settings = {"engine": {"max_calls": 2}}
    daemons = [
        stack.enter_context(closing(Serve(name, tmp_path, settings))) for name in ("one", "two")
    ]
    for daemon in daemons:
        daemon.wait()
    pbx = stack.enter_context(closing(Kamailio(tmp_path, [daemon.port for daemon in daemons])))
    says = speech(3.0, start=20.0)
    pool = ("-s", "pool", "-d", "3200")
    sipp = stack.enter_context(
        Sipp("proxied", tmp_path, pbx.port, says=says, calls=4, at_once=4, more=pool)
    )
    wait_for(
        lambda: [len(daemon.events("call_started")) for daemon in daemons] == [2, 2],
        "two calls on each",
    )
    # Both are full: kamailio tries the one and the other, and says so.
    stack.enter_context(Sipp("proxied_busy", tmp_path, pbx.port, more=pool)).finish()
    sipp.finish()
    wait_for(
        lambda: [len(daemon.events("call_ended")) for daemon in daemons] == [2, 2],
        "the end of all calls",
    )
    for daemon in daemons:
        for event in daemon.events("call_ended"):
            assert event["reason"] == "hangup"
            assert abs(event["duration"] - 3.0) < 0.6
