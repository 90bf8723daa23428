"""Calls from baresip: what it says arrives, in both laws; hold, digits, prompts, transfers."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.baresip import Baresip
from tests.peers.house import BRIEFING, House, params
from tests.peers.processes import need, wait_for
from tests.peers.sound import compare, speech
from voicebot.events import Leg
from voicebot.telephony.line import TransferResult
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.sdp_types import SrtpMode


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_speech_arrives(codec: str, stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(4.0, start=20.0)
    caller = stack.enter_context(Baresip("caller", tmp_path, says, account=f"audio_codecs={codec}"))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{house.port()}")
    call = house.ended()
    match = compare(says, call.pcm())
    assert match.correlation > 0.99
    assert abs(match.heard - match.sent) <= 0.06
    assert call.figures[Leg.CALLER].codec == codec
    assert (call.figures[Leg.CALLER].lost, call.end) == (0, "hangup")
    assert (call.offer.called, call.offer.caller) == ("voicebot", "caller")


def test_the_caller_hears_us(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    caller = stack.enter_context(Baresip("caller", tmp_path))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{house.port()}")
    caller.wait("CALL_ESTABLISHED")
    says = speech(3.0, start=20.0)
    call = house.call()
    house.run(call.line.play(says))
    house.run(call.line.hang_up("shutdown"))
    caller.wait("CALL_CLOSED")
    match = compare(says, caller.heard())
    assert match.correlation > 0.99
    assert 0.0 <= match.offset < 1.0


def test_hold_resume_and_digits(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    caller = stack.enter_context(Baresip("caller", tmp_path))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{house.port()}")
    caller.wait("CALL_ESTABLISHED")
    call = house.call()
    wait_for(lambda: call.seconds() > 0.3, "audio")
    caller.do("hold")
    wait_for(lambda: call.holds == [(Leg.CALLER, True)], "hold")
    caller.do("resume")
    wait_for(lambda: call.holds == [(Leg.CALLER, True), (Leg.CALLER, False)], "resume")
    before = call.seconds()
    wait_for(lambda: call.seconds() > before + 0.3, "audio again")
    caller.do("sndcode", "5#")
    wait_for(lambda: len(call.digits) == 2, "digits")
    assert [digit for _, digit, _ in call.digits] == ["5", "#"]
    assert all(0.05 < seconds < 0.5 for _, _, seconds in call.digits)
    caller.do("hangup")
    assert house.ended().end == "hangup"


def test_transfer_by_refer(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    agent = stack.enter_context(
        Baresip("agent", tmp_path, account="audio_codecs=PCMU;answermode=auto")
    )
    caller = stack.enter_context(Baresip("caller", tmp_path))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{house.port()}")
    caller.wait("CALL_ESTABLISHED")
    call = house.call()
    wait_for(lambda: call.seconds() > 0.2, "audio")
    result = house.transfer(call, agent.uri)
    assert result.result is TransferResult.DONE, result
    event = agent.wait("CALL_ESTABLISHED")
    assert caller.uri in str(event.get("peeruri"))
    assert house.ended().end == "transferred"


def test_the_agent_is_busy(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    agent = stack.enter_context(Baresip("agent", tmp_path))
    caller = stack.enter_context(Baresip("caller", tmp_path))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{house.port()}")
    caller.wait("CALL_ESTABLISHED")
    call = house.call()
    handing = house.begin(call.line.transfer(agent.uri, BRIEFING))
    agent.wait("CALL_INCOMING")
    agent.do("hangup")
    result = handing.result(10.0)
    assert result.result is TransferResult.BUSY, result
    assert not call.end
    before = call.seconds()
    wait_for(lambda: call.seconds() > before + 0.2, "audio of the caller who stays")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key for 127.0.0.1."""
    need("openssl")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls_and_srtp(stack: ExitStack, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    media = MediaParams(port_low=0, port_high=0, srtp=SrtpMode.REQUIRED)
    house = stack.enter_context(
        House(
            params(
                "tls:127.0.0.1:0",
                tls_certificate=str(cert),
                tls_key=str(key),
                tls_ca=str(cert),
            ),
            media=media,
        )
    )
    says = speech(3.0, start=20.0)
    both = tmp_path / "both.pem"
    both.write_text(cert.read_text() + key.read_text())
    caller = stack.enter_context(
        Baresip(
            "caller",
            tmp_path,
            says,
            account="audio_codecs=PCMU;mediaenc=srtp-mand",
            transport="tls",
            config=f"sip_certificate {both}\nsip_cafile {cert}",
        )
    )
    caller.do("dial", f"sip:voicebot@127.0.0.1:{house.port('tls')};transport=tls")
    call = house.ended()
    match = compare(says, call.pcm())
    assert match.correlation > 0.99
    assert abs(match.heard - match.sent) <= 0.06
    assert call.figures[Leg.CALLER].lost == 0
