"""Session timers (RFC 4028): who refreshes, how often, and what the clock does."""

from __future__ import annotations

import asyncio

import pytest
from aiosipua.message import SipRequest, SipResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.telephony.sip_help import run_at_once
from voicebot.telephony.sip.session_timer import (
    Agreed,
    Refresher,
    SessionTimer,
    SessionTimerParams,
    TooShortError,
    agree,
    agreed_by,
    min_se,
    put_request,
    put_response,
    session_expires,
)

OURS = SessionTimerParams(expires_seconds=600, min_seconds=90)
OFF = SessionTimerParams(enabled=False)


def request(expires: str = "", least: str = "", supported: str = "timer") -> SipRequest:
    made = SipRequest(method="INVITE", uri="sip:x@y")
    for name, value in (("Session-Expires", expires), ("Min-SE", least), ("Supported", supported)):
        if value:
            made.set_header(name, value)
    return made


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        (request("1800"), Agreed(600, Refresher.UAS)),
        (request("300;refresher=uac"), Agreed(300, Refresher.UAC)),
        (request("300;refresher=UAS"), Agreed(300, Refresher.UAS)),
        (request("1800", least="900"), Agreed(900, Refresher.UAS)),
        (request(), Agreed(600, Refresher.UAS)),
        (request(supported=""), Agreed(600, Refresher.UAS, peer_knows=False)),
        # A proxy asks, for a caller that knows nothing of it: only we can refresh.
        (request("300;refresher=uac", supported=""), Agreed(300, Refresher.UAS, peer_knows=False)),
        (request("30", supported=""), Agreed(90, Refresher.UAS, peer_knows=False)),
        (request("rubbish"), Agreed(600, Refresher.UAS)),
    ],
)
def test_what_is_agreed(asked: SipRequest, agreed: Agreed) -> None:
    assert agree(asked, OURS) == agreed


def test_too_short_an_interval_is_refused() -> None:
    with pytest.raises(TooShortError) as caught:
        agree(request("60"), OURS)
    assert caught.value.min_se == 90


def test_a_peer_gets_timers_even_if_we_do_not_ask() -> None:
    assert agree(request(), OFF) is None
    assert agree(request("1000"), OFF) == Agreed(1000, Refresher.UAS)


def test_what_is_written_is_understood() -> None:
    made = SipRequest(method="INVITE", uri="sip:x@y")
    put_request(made, OURS, floor=700)
    assert session_expires(made) == (700, None)
    assert min_se(made) == 700
    response = SipResponse(status_code=200)
    put_response(response, Agreed(300, Refresher.UAC))
    assert response.headers.get("require") == ["timer"]
    assert agreed_by(response) == Agreed(300, Refresher.UAC)
    put_response(other := SipResponse(status_code=200), Agreed(300, Refresher.UAS))
    assert other.headers.get("require") == []
    assert agreed_by(SipResponse(status_code=200)) is None
    put_request(none := SipRequest(), OFF)
    assert session_expires(none) is None


@given(st.text(max_size=30))
def test_any_header_is_borne(value: str) -> None:
    try:
        made = request(value, value)
    except ValueError:
        return
    said = session_expires(made)
    assert said is None or said[0] >= 0
    assert min_se(made) >= 0


def test_parameters_fit_together() -> None:
    with pytest.raises(ValidationError):
        SessionTimerParams(expires_seconds=60, min_seconds=90)


def test_the_clock() -> None:
    async def scene() -> None:
        seen: list[tuple[str, float]] = []
        loop = asyncio.get_running_loop()

        def note(what: str) -> None:
            seen.append((what, loop.time()))

        timer = SessionTimer(lambda: note("refresh"), lambda: note("expired"))
        began = loop.time()
        timer.restart(Agreed(90, Refresher.UAS), ours=True)
        await asyncio.sleep(40)
        timer.restart(Agreed(90, Refresher.UAS), ours=True)  # refreshed: begins anew
        await asyncio.sleep(100)
        assert [what for what, _ in seen] == ["refresh", "expired"]
        assert seen[0][1] - began == pytest.approx(85, abs=0.1)
        assert seen[1][1] - began == pytest.approx(100, abs=0.1)  # 90 - min(32, 90 / 3)
        seen.clear()
        timer.restart(Agreed(90, Refresher.UAC), ours=False)
        await asyncio.sleep(100)
        assert [what for what, _ in seen] == ["expired"], "who does not refresh only waits"
        seen.clear()
        timer.restart(Agreed(90, Refresher.UAC), ours=True)
        timer.restart(None, ours=False)
        await asyncio.sleep(100)
        assert seen == []

    run_at_once(scene())
