from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.line import Briefing, TransferResult
from voicebot.telephony.pbx_transfer import (
    AsteriskTarget,
    Dial,
    Place,
    Redirect,
    asterisk_target,
    briefing_variables,
    result_of_cause,
    result_of_dial_status,
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("PJSIP/1001", Dial("PJSIP/1001")),
        ("PJSIP/agents@trunk", Dial("PJSIP/agents@trunk")),
        ("PJSIP/trunk/sip:7@sbc:5070", Dial("PJSIP/trunk/sip:7@sbc:5070")),
        ("agents,1001,1", Place("agents", "1001", 1)),
        ("agents, s", Place("agents", "s", 1)),
        ("redirect:PJSIP/sip:7@sbc", Redirect("PJSIP/sip:7@sbc")),
    ],
)
def test_targets(text: str, target: AsteriskTarget) -> None:
    assert asterisk_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1001",
        "a,b,0",
        "a,b,1,c",
        "a,b,x",
        "PJSIP/1001,g(evil)",
        "PJSIP/1&PJSIP/2",
        "a,${SHELL(id)},1",
        "redirect:x",
        "PJSIP/1\nHangup()",
        "a,b\n,1",
    ],
)
def test_no_target(text: str) -> None:
    with pytest.raises(ValueError, match="context,extension"):
        asterisk_target(text)


@given(st.text())
def test_any_text_is_a_target_or_a_value_error(text: str) -> None:
    try:
        asterisk_target(text)
    except ValueError:
        pass
    else:
        assert not set(text) & set("$()\n\r;&|\"'`\\")


def test_causes() -> None:
    wanted = {17: "busy", 21: "declined", 19: "no_answer", 20: "unreachable", 27: "unreachable"}
    for cause, result in wanted.items():
        assert result_of_cause(cause) == TransferResult(result)
    assert result_of_cause(16) is None
    assert result_of_cause(9999) is None


def test_dial_statuses() -> None:
    assert result_of_dial_status("ANSWER") == TransferResult.DONE
    assert result_of_dial_status("BUSY") == TransferResult.BUSY
    assert result_of_dial_status("NOANSWER") == TransferResult.NO_ANSWER
    assert result_of_dial_status("RINGING") is None
    assert result_of_dial_status("") is None


def test_a_briefing_cannot_speak_dialplan() -> None:
    variables = briefing_variables(
        Briefing("a-1;${x}", "https://x/alerts/1?t=a,b", "rule\nSystem(id)")
    )
    assert variables == {
        "VOICEBOT_ALERT": "a-1x",
        "VOICEBOT_URL": "",
        "VOICEBOT_REASON": "ruleSystemid",
    }
    good = briefing_variables(Briefing("a", "https://x.example/alerts/1?t=a", "persistent_anger"))
    assert good["VOICEBOT_URL"] == "https://x.example/alerts/1?t=a"
