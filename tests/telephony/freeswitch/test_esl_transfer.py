from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.telephony.fake_freeswitch import CALLER, FakeFreeswitch
from voicebot.telephony.freeswitch.esl import EslClient, EslParams
from voicebot.telephony.freeswitch.esl_transfer import (
    BridgeWatch,
    EslTransfer,
    result_of_hangup_cause,
    transfer_arguments,
    variables_text,
)
from voicebot.telephony.line import Briefing, Transferred, TransferResult

BRIEFING = Briefing("alert-1", "https://desk.example/alerts/1?a=b", "persistent_anger")
PARAMS = EslParams(password=SecretStr("ClueCon"), settle_seconds=0.05)


async def transfer(
    switch: FakeFreeswitch, target: str = "1001", reference: str = CALLER, **keys: Any
) -> Transferred:
    client = EslClient(PARAMS.model_copy(update={"port": switch.port, **keys}))
    await client.start()
    try:
        return await EslTransfer(client)(reference, target, BRIEFING)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("1001", "1001 XML default"),
        ("1001@agents", "1001 XML agents"),
        ("*98", "*98 XML default"),
        ("user/1001", "bridge:user/1001,park inline"),
        ("sofia/gateway/trunk/1001", "bridge:sofia/gateway/trunk/1001,park inline"),
        ("sip:1001@10.0.0.1:5070", "bridge:sofia/external/1001@10.0.0.1:5070,park inline"),
    ],
)
def test_targets(target: str, arguments: str) -> None:
    assert transfer_arguments(target, PARAMS) == arguments


def test_context_and_profile_are_those_that_are_set() -> None:
    params = PARAMS.model_copy(update={"context": "agents", "sip_profile": "internal"})
    assert transfer_arguments("1001", params) == "1001 XML agents"
    assert transfer_arguments("sip:1001@h", params) == "bridge:sofia/internal/1001@h,park inline"


@pytest.mark.parametrize(
    "target",
    ["", "-both", "1001 XML x", "user/1,user/2", "${system(id)}", "1\n\napi shutdown", "shell/1",
     "sip:a b@c", "user/[x=1]2", "{x=1}user/2"],
)  # fmt: skip
def test_no_target(target: str) -> None:
    with pytest.raises(ValueError, match="no FreeSWITCH target"):
        transfer_arguments(target, PARAMS)


@given(st.text())
def test_no_target_can_smuggle_a_command(target: str) -> None:
    try:
        arguments = transfer_arguments(target, PARAMS)
    except ValueError:
        return
    assert not set(arguments.removesuffix(",park inline")) & set("\n\r;|&$`{}[]<>'\",^")
    assert arguments.count(" ") in (1, 2)


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        (["ANSWER"], "done"),
        (["USER_BUSY"], "busy"),
        (["CALL_REJECTED"], "declined"),
        (["NO_ANSWER"], "no_answer"),
        (["UNALLOCATED_NUMBER"], "unreachable"),
        (["NORMAL_TEMPORARY_FAILURE"], "unreachable"),
        (["USER_NOT_REGISTERED"], "unreachable"),
        (["USER_BUSY", "ANSWER"], "done"),
        (["CALLER"], "gone"),
    ],
)
def test_outcomes(outcomes: list[str], result: str) -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            switch.outcomes = outcomes
            got = await transfer(switch)
            assert got.result == TransferResult(result), got
            assert switch.commands[-2:] == [
                f"api uuid_setvar_multi {CALLER} sip_h_X-Voicebot-Alert-Id=alert-1;"
                "sip_h_X-Voicebot-Reason=persistent_anger;"
                "sip_h_X-Voicebot-Briefing=https://desk.example/alerts/1?a=b;"
                "continue_on_fail=true;hangup_after_bridge=true",
                f"api uuid_transfer {CALLER} 1001 XML default",
            ]

    asyncio.run(call())


@pytest.mark.parametrize(("settle", "result"), [(0.0, "busy"), (3.0, "done")])
def test_the_dialplan_has_so_long_to_try_another_phone(settle: float, result: str) -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            switch.outcomes = ["USER_BUSY", "ANSWER"]
            got = await transfer(switch, settle_seconds=settle)
            assert got.result == TransferResult(result), got

    asyncio.run(call())


def test_nobody_says_how_it_ends() -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            async with asyncio.timeout(3):
                got = await transfer(switch, answer_seconds=0.05)
            assert got.result == TransferResult.TIMEOUT

    asyncio.run(call())


@pytest.mark.parametrize(
    ("reference", "target", "result"),
    [
        ("0a1b2c3d-0000-4000-8000-00000000dead", "1001", "gone"),
        ("x; api shutdown", "1001", "unsupported"),
        ("x\n\napi shutdown", "1001", "unsupported"),
        (CALLER, "1001\n\napi shutdown", "unsupported"),
    ],
)
def test_what_is_not_tried(reference: str, target: str, result: str) -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            got = await transfer(switch, target, reference)
            assert got.result == TransferResult(result)
            assert not [line for line in switch.commands if "shutdown" in line]

    asyncio.run(call())


def test_a_switch_that_dies_is_unreachable() -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            client = EslClient(PARAMS.model_copy(update={"port": switch.port}))
            await client.start()
            switch.silent = True
            trying = asyncio.create_task(EslTransfer(client)(CALLER, "1001", BRIEFING))
            await asyncio.sleep(0.02)
            switch.cut()
            assert (await trying).result == TransferResult.UNREACHABLE
            await client.close()

    asyncio.run(call())


def test_the_callers_own_leg_may_end_with_the_agents_cause() -> None:
    async def run() -> None:
        watch = BridgeWatch(CALLER)
        watch.event({
            "event-name": "CHANNEL_HANGUP", "unique-id": CALLER, "hangup-cause": "USER_BUSY",
            "variable_originate_disposition": "USER_BUSY",
        })  # fmt: skip
        assert (await watch.wait(1, 0)).result == TransferResult.BUSY

    asyncio.run(run())


def test_other_calls_are_passed_over() -> None:
    async def run() -> None:
        watch = BridgeWatch(CALLER)
        for kind in ("CHANNEL_BRIDGE", "CHANNEL_HANGUP", "CHANNEL_EXECUTE_COMPLETE", "", "X"):
            watch.event({
                "event-name": kind, "unique-id": "other", "hangup-cause": "USER_BUSY",
                "application": "bridge", "variable_originate_disposition": "USER_BUSY",
            })  # fmt: skip
        watch.event({})
        assert (await watch.wait(0.01, 0)).result == TransferResult.TIMEOUT

    asyncio.run(run())


def test_a_briefing_cannot_set_other_variables() -> None:
    text = variables_text(Briefing("a;api_hangup_hook=x", "https://x/;y=1", "r\n"))
    assert text == "sip_h_X-Voicebot-Alert-Id=aapi_hangup_hookx;sip_h_X-Voicebot-Reason=r"


def test_causes() -> None:
    assert result_of_hangup_cause("user_busy") == TransferResult.BUSY
    assert result_of_hangup_cause("NORMAL_CLEARING") is None
    assert result_of_hangup_cause("") is None
