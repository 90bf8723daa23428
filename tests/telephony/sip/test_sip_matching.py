from __future__ import annotations

from aiosipua.message import SipRequest

from tests.telephony.sip_help import make
from voicebot.telephony.sip.sip_matching import dialog_key, merged_key, server_key
from voicebot.telephony.sip.sip_messages import response_to, top_via


def request(method: str, via: str, call_id: str = "one") -> SipRequest:
    made = make(method, call_id=call_id, Via=via)
    made.set_header("From", "<sip:alice@h>;tag=1")
    return made


def key(made: SipRequest) -> tuple[str, ...]:
    return server_key(made, top_via(made))


def test_by_branch() -> None:
    via = "SIP/2.0/UDP Host:5070;branch=z9hG4bKx"
    invite = key(request("INVITE", via))
    assert key(request("ACK", via.lower().replace("z9hg4bk", "z9hG4bK"), "two")) == invite
    assert key(request("CANCEL", via)) == invite
    assert key(request("BYE", via)) != invite
    assert key(request("INVITE", via.replace("5070", "5071"))) != invite
    assert key(request("INVITE", via + "y")) != invite


def test_without_a_unique_branch_by_the_other_fields() -> None:
    for via in ("SIP/2.0/UDP h", "SIP/2.0/UDP h;branch=z9hG4bK", "SIP/2.0/UDP h;branch=1"):
        assert key(request("INVITE", via)) == key(request("ACK", via))
        assert key(request("INVITE", via)) != key(request("INVITE", via, "two"))


def test_merged_requests_have_one_key() -> None:
    first, second = (request("INVITE", f"SIP/2.0/UDP h;branch=z9hG4bK{i}") for i in (1, 2))
    assert merged_key(first) == merged_key(second)
    assert merged_key(first) != merged_key(request("INFO", "SIP/2.0/UDP h"))


def test_a_2xx_and_its_ack() -> None:
    invite = request("INVITE", "SIP/2.0/UDP h;branch=z9hG4bK1")
    ok = response_to(invite, 200, to_tag="9")
    ack = request("ACK", "SIP/2.0/UDP h;branch=z9hG4bK2")
    ack.set_header("To", ok.headers.get("To")[0])
    assert dialog_key(ack) == dialog_key(ok)
    assert dialog_key(invite) != dialog_key(ok)
