from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.telephony.fake_asterisk import Channel, FakeAsterisk
from tests.telephony.receiving import Desk, Heard, tone
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.asterisk.ari import AriClient, AriParams
from voicebot.telephony.asterisk.external_media import ExternalMediaGateway
from voicebot.telephony.line import Briefing, TransferResult
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.pbx_connection import ConnectionState

BRIEFING = Briefing("alert-1", "https://desk.example/alerts/1", "persistent_anger")


@dataclass
class House:
    asterisk: FakeAsterisk
    desk: Desk
    gateway: ExternalMediaGateway
    client: AriClient
    pool: PortPool

    async def call(self, *args: str, state: str = "Ring") -> Heard:
        before = len(self.desk.calls)
        self.asterisk.call(*args, state=state)
        await until(lambda: len(self.desk.calls) > before)
        heard = self.desk.calls[-1]
        await until(lambda: heard.line.can_speak)
        return heard

    def asked(self, ending: str) -> list[dict[str, str]]:
        return [query for method, path, query, _ in self.asterisk.requests
                if f"{method} {path}".endswith(ending)]  # fmt: skip

    async def empty(self) -> None:
        """Nothing is left of our channels, bridges and ports."""
        await until(lambda: not self.pool.in_use and not self.gateway._calls)
        assert not [c for c in self.asterisk.channels if c.startswith("voicebot-")]
        assert not self.asterisk.bridges


@asynccontextmanager
async def house(desk: Desk | None = None, **keys: Any) -> AsyncIterator[House]:
    async with FakeAsterisk() as asterisk:
        params = AriParams(
            **{
                "url": asterisk.url, "password": SecretStr("secret"), "setup_seconds": 0.3,
                "answer_seconds": 1, "settle_seconds": 0.05, "retry_seconds": 0.01, **keys,
            }
        )  # fmt: skip
        client = AriClient(params)
        media = MediaParams(port_low=0, reorder_ms=20)
        pool = PortPool(0, 0)
        made = House(
            asterisk, desk or Desk(),
            ExternalMediaGateway(client, desk or Desk(), media, pool), client, pool,
        )  # fmt: skip
        made.gateway._reception = made.desk
        await made.gateway.start()
        assert client.state == ConnectionState.UP
        try:
            yield made
        finally:
            await made.gateway.close()
            await client.close()
            assert not pool.in_use


def test_a_caller_is_heard_and_spoken_to() -> None:
    async def call() -> None:
        async with house() as h:
            heard = await h.call("take", "sales", "Campaign=spring")
            offer = heard.offer
            assert (offer.called, offer.caller, offer.legs) == ("sales", "4711", (Leg.CALLER,))
            assert offer.parameters["campaign"] == "spring"
            assert h.asked("/answer")
            (members,) = h.asterisk.bridges.values()
            assert offer.reference in members and len(members) == 2
            media, pcm = h.asterisk.media(), tone(0.3)
            await h.asterisk.speak(media, pcm)
            await until(lambda: len(heard.pcm()) >= len(pcm))
            same = np.corrcoef(heard.pcm()[: len(pcm)], pcm)[0, 1]
            assert same > 0.999
            await heard.line.play(tone(0.1))
            said = h.asterisk.heard(media)
            assert np.corrcoef(said[-800:], tone(0.1))[0, 1] > 0.999  # before it, what opens a NAT
            figures = heard.line.figures()[Leg.CALLER]
            assert (figures.packets, figures.lost) == (15, 0)
            h.asterisk.hang_up(h.asterisk.channels[offer.reference])
            await until(lambda: heard.reasons)
            assert heard.reasons == ["hangup"]
            await h.empty()

    asyncio.run(call())


def test_audio_is_coded_as_is_set() -> None:
    async def call() -> None:
        async with house(codec="alaw") as h:
            h.asterisk.codec = "alaw"
            heard = await h.call("take")
            assert [q["format"] for q in h.asked("POST channels/externalMedia")] == ["alaw"]
            assert heard.line.figures()[Leg.CALLER].codec == "PCMA"

    asyncio.run(call())


def test_both_sides_are_overheard_while_the_call_goes_on() -> None:
    async def call() -> None:
        async with house() as h:
            heard = await h.call("monitor", "support")
            assert heard.offer.legs == (Leg.CALLER, Leg.AGENT)
            caller = h.asterisk.channels[heard.offer.reference]
            assert not caller.stasis and not h.asked("/answer")
            spied = [
                (q["spy"], q["whisper"]) for _, p, q, _ in h.asterisk.requests if "/snoop/" in p
            ]
            assert spied == [("in", "out"), ("out", "none")]
            for leg, hertz in ((Leg.CALLER, 300.0), (Leg.AGENT, 700.0)):
                pcm = tone(0.2, hertz=hertz)
                await h.asterisk.speak(h.asterisk.media(f"-media-{leg}-"), pcm)
                await until(lambda leg=leg: len(heard.pcm(leg)) >= 1600)  # type: ignore[misc]
                assert np.corrcoef(heard.pcm(leg)[:1600], pcm)[0, 1] > 0.999
            h.asterisk.emit("ChannelDtmfReceived", caller, digit="5", duration_ms=120)
            h.asterisk.emit("ChannelDtmfReceived", caller, digit="xx", duration_ms=120)
            h.asterisk.emit("ChannelHold", caller)
            h.asterisk.emit("ChannelUnhold", caller)
            await until(lambda: len(heard.holds) == 2)
            assert heard.digits == [(Leg.CALLER, "5", 0.12)]
            h.asterisk.hang_up(caller)
            await until(lambda: heard.reasons)
            await h.empty()

    asyncio.run(call())


def test_to_stop_overhearing_leaves_the_call_alone() -> None:
    async def call() -> None:
        async with house() as h:
            heard = await h.call("monitor")
            await heard.line.hang_up("operator")
            await h.empty()
            assert heard.reasons == ["operator"]
            assert heard.offer.reference in h.asterisk.channels

    asyncio.run(call())


def test_hanging_up_ends_a_call_that_is_ours() -> None:
    async def call() -> None:
        async with house() as h:
            heard = await h.call()
            assert heard.offer.called == "s"
            await heard.line.hang_up("operator")
            await h.empty()
            assert heard.reasons == ["operator"]
            assert heard.offer.reference not in h.asterisk.channels
            assert not heard.line.can_speak

    asyncio.run(call())


@pytest.mark.parametrize("mode", ["take", "monitor"])
def test_a_refused_call_goes_on_in_the_dialplan(mode: str) -> None:
    async def call() -> None:
        async with house(Desk(refuse=True)) as h:
            channel = h.asterisk.call(mode)
            await until(lambda: not channel.stasis)
            assert channel.variables["VOICEBOT_STATUS"] == "REFUSED"
            assert h.gateway.counters["external_media_refused"] == 1
            assert not h.gateway._calls

    asyncio.run(call())


def test_unknown_arguments_are_no_call() -> None:
    async def call() -> None:
        async with house() as h:
            channel = h.asterisk.call("listen")
            await until(lambda: not channel.stasis)
            assert h.gateway.counters["external_media_bad_arguments"] == 1
            assert not h.desk.calls

    asyncio.run(call())


@pytest.mark.parametrize("mode", ["take", "monitor"])
@pytest.mark.parametrize("fault", ["externalMedia", "late", "addChannel"])
def test_a_call_that_cannot_be_set_up_is_given_back(mode: str, fault: str) -> None:
    async def call() -> None:
        async with house() as h:
            if fault == "late":
                h.asterisk.mute = {"-media-"}
            else:
                h.asterisk.refuse = {fault: 500}
            channel = h.asterisk.call(mode)
            await until(lambda: h.desk.calls and h.desk.calls[0].reasons)
            assert h.desk.calls[0].reasons == ["line_error"]
            await until(lambda: not channel.stasis)
            await until(lambda: h.gateway.counters.get("external_media_failed"))
            await h.empty()
            assert channel.id in h.asterisk.channels

    asyncio.run(call())


def test_a_caller_who_hangs_up_during_set_up_leaves_nothing() -> None:
    async def call() -> None:
        async with house() as h:
            for _ in range(5):
                channel = h.asterisk.call("take")
                await asyncio.sleep(0.004)
                h.asterisk.hang_up(channel)
            await until(lambda: all(heard.reasons for heard in h.desk.calls))
            await h.empty()
            assert len(h.desk.calls) == 5

    asyncio.run(call())


def test_no_port_is_an_error_of_that_call() -> None:
    async def call() -> None:
        async with house() as h:
            h.gateway._pool = PortPool(40010, 40011)
            pair = h.gateway._pool.take()
            channel = h.asterisk.call("take")
            await until(lambda: not channel.stasis)
            assert channel.variables["VOICEBOT_STATUS"] == "FAILED"
            assert h.desk.calls[0].reasons == ["line_error"]
            h.gateway._pool.release(pair)

    asyncio.run(call())


# ---------------------------------------------------------------- transfers


@pytest.mark.parametrize(
    ("outcome", "result"),
    [("busy", "busy"), ("declined", "declined"), ("noanswer", "no_answer"),
     ("absent", "unreachable")],
)  # fmt: skip
def test_a_phone_that_does_not_answer(outcome: str, result: str) -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": outcome, "PJSIP/2": "answer"}
            heard = await h.call("take")
            got = await heard.line.transfer("PJSIP/1", BRIEFING)
            assert got.result == TransferResult(result), got
            assert heard.line.can_speak and not heard.reasons
            got = await heard.line.transfer("PJSIP/2", BRIEFING)
            assert got.result == TransferResult.DONE

    asyncio.run(call())


def test_the_agent_is_joined_with_the_caller() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "answer"}
            heard = await h.call("take")
            got = await heard.line.transfer("PJSIP/1", BRIEFING)
            assert got.result == TransferResult.DONE
            assert heard.reasons == ["transferred"]
            await until(lambda: not h.pool.in_use)
            (members,) = h.asterisk.bridges.values()
            agent = h.asterisk.media("-agent-")
            assert sorted(members) == sorted((heard.offer.reference, agent.id))
            assert agent.variables == {
                "VOICEBOT_ALERT": "alert-1",
                "VOICEBOT_URL": "https://desk.example/alerts/1",
                "VOICEBOT_REASON": "persistent_anger",
            }
            h.asterisk.hang_up(agent)
            await h.empty()
            assert heard.offer.reference not in h.asterisk.channels

    asyncio.run(call())


def test_joined_callers_go_on_talking_when_we_close() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "answer"}
            heard = await h.call("take")
            await heard.line.transfer("PJSIP/1", BRIEFING)
            await h.gateway.close()
            (members,) = h.asterisk.bridges.values()
            assert len(members) == 2

    asyncio.run(call())


def test_a_caller_who_hangs_up_while_the_agent_rings() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "silent"}
            heard = await h.call("take")
            transfer = asyncio.create_task(heard.line.transfer("PJSIP/1", BRIEFING))
            await until(lambda: any("-agent-" in c for c in h.asterisk.channels))
            h.asterisk.hang_up(h.asterisk.channels[heard.offer.reference])
            assert (await transfer).result == TransferResult.GONE
            assert heard.reasons == ["hangup"]
            await h.empty()

    asyncio.run(call())


def test_a_transfer_that_nobody_reports_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.telephony.asterisk.stasis_call._GRACE_SECONDS", -0.9)

    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "silent"}
            heard = await h.call("take")
            async with asyncio.timeout(3):
                got = await heard.line.transfer("PJSIP/1", BRIEFING)
            assert got.result == TransferResult.TIMEOUT
            rings = [q["timeout"] for _, _, q, _ in h.asterisk.requests if "originator" in q]
            assert rings == ["1"], "s, of answer_seconds"
            assert not [c for c in h.asterisk.channels if "-agent-" in c]
            assert heard.line.can_speak

    asyncio.run(call())


def test_a_place_in_the_dialplan_that_reaches_an_agent() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "busy", "PJSIP/2": "answer"}
            h.asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1"), ("dial", "PJSIP/2")]}
            heard = await h.call("take")
            got = await heard.line.transfer("agents,7", BRIEFING)
            assert got.result == TransferResult.DONE, got
            caller = h.asterisk.channels[heard.offer.reference]
            assert caller.variables["VOICEBOT_ALERT"] == "alert-1"
            assert heard.reasons == ["transferred"]
            await h.empty()

    asyncio.run(call())


@pytest.mark.parametrize(("outcome", "result"), [("busy", "busy"), ("declined", "declined")])
def test_a_caller_whom_the_dialplan_gives_back(outcome: str, result: str) -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": outcome}
            h.asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1"), ("stasis", "take")]}
            heard = await h.call("take")
            got = await heard.line.transfer("agents,7,1", BRIEFING)
            assert got.result == TransferResult(result), got
            await until(lambda: heard.line.can_speak)
            assert len(h.desk.calls) == 1 and not heard.reasons
            (members,) = h.asterisk.bridges.values()
            assert heard.offer.reference in members

    asyncio.run(call())


def test_the_end_of_a_caller_who_has_left_is_still_heard() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "busy"}
            h.asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1")]}
            heard = await h.call("take")
            await heard.line.transfer("agents,7,1", BRIEFING)
            assert not heard.line.can_speak and not heard.reasons
            h.asterisk.hang_up(h.asterisk.channels[heard.offer.reference])
            await until(lambda: heard.reasons)
            assert heard.reasons == ["hangup"]
            await h.empty()

    asyncio.run(call())


def test_an_overheard_caller_is_fetched_through_the_dialplan() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/1": "answer"}
            h.asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1")]}
            heard = await h.call("monitor")
            got = await heard.line.transfer("PJSIP/1", BRIEFING)
            assert got.result == TransferResult.UNSUPPORTED
            got = await heard.line.transfer("agents,7,1", BRIEFING)
            assert got.result == TransferResult.DONE
            assert heard.reasons == ["transferred"]
            await h.empty()

    asyncio.run(call())


def test_the_callers_side_can_be_asked_to_call_the_target() -> None:
    async def call() -> None:
        async with house() as h:
            h.asterisk.phones = {"PJSIP/sip:7@sbc": "answer"}
            heard = await h.call("take")
            wrong = await heard.line.transfer("redirect:DAHDI/1", BRIEFING)
            assert wrong.result == TransferResult.UNSUPPORTED
            got = await heard.line.transfer("redirect:PJSIP/sip:7@sbc", BRIEFING)
            assert got.result == TransferResult.DONE
            assert heard.reasons == ["transferred"]

    asyncio.run(call())


def test_nonsense_is_no_target() -> None:
    async def call() -> None:
        async with house() as h:
            heard = await h.call("take")
            got = await heard.line.transfer("agents,${SHELL(id)},1", BRIEFING)
            assert got.result == TransferResult.UNSUPPORTED
            assert not heard.reasons

    asyncio.run(call())


# ---------------------------------------------------------------- broken connections


def test_what_ended_while_we_were_cut_off_is_found_out() -> None:
    async def call() -> None:
        async with house() as h:
            stays, goes = await h.call("take"), await h.call("take")
            h.asterisk.cut()
            h.asterisk.hang_up(h.asterisk.channels[goes.offer.reference])
            await until(lambda: goes.reasons)
            assert goes.reasons == ["hangup"] and not stays.reasons
            await h.asterisk.speak(h.asterisk.media(), tone(0.06))
            await until(lambda: len(stays.pcm()) > 0)
            assert h.gateway.counters["external_media_missed_end"] == 1
            assert h.gateway.counters["ari_lost"] == 1

    asyncio.run(call())


def test_what_a_killed_run_left_behind_is_mended() -> None:
    async def call() -> None:
        async with FakeAsterisk() as asterisk:
            names = {
                "voicebot-media-caller-abc": False, "voicebot-spy-agent-abc": False,
                "voicebot2-media-caller-abc": True, "voicebot-agent-abc": True,
                "170000.7": True, "170000.8": True, "170000.9": True,
            }  # fmt: skip
            for name in names:
                outside = ("170000.9", "voicebot2-media-caller-abc")
                asterisk.channels[name] = Channel(name, stasis=name not in outside)
            asterisk.bridges["voicebot-bridge-agent-abc"] = []
            asterisk.bridges["voicebot-bridge-caller-abc"] = ["170000.8", "voicebot-agent-abc"]
            client = AriClient(
                AriParams(url=asterisk.url, password=SecretStr("secret"), settle_seconds=0.02)
            )
            desk = Desk()
            gateway = ExternalMediaGateway(client, desk, MediaParams(), PortPool(0, 0))
            await gateway.start()
            new = asterisk.call("take")
            await until(lambda: not asterisk.channels["170000.7"].stasis)
            await until(lambda: gateway.counters.get("external_media_left_over") == 3)
            await until(lambda: new.id in str(asterisk.bridges))
            assert asterisk.channels["170000.7"].variables == {"VOICEBOT_STATUS": "FAILED"}
            for name, stays in names.items():
                assert (name in asterisk.channels) == stays, name
            assert asterisk.channels["170000.8"].stasis and new.stasis
            assert "voicebot-bridge-agent-abc" not in asterisk.bridges
            assert asterisk.bridges["voicebot-bridge-caller-abc"]
            assert gateway.counters["external_media_stranded"] == 1
            await gateway.close()
            await client.close()

    asyncio.run(call())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a", "monitor", "Up", "5"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "dialplan", "caller", "number", "exten", "state"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(
                    [
                        "StasisStart",
                        "StasisEnd",
                        "ChannelDestroyed",
                        "ChannelDtmfReceived",
                        "Dial",
                        "ChannelHold",
                        "X",
                    ]
                )
            },
            optional={
                "channel": json_values,
                "args": json_values,
                "digit": json_values,
                "duration_ms": json_values,
                "cause": json_values,
            },
        ),
        max_size=10,
    )
)
def test_no_event_breaks_the_gateway(events: list[dict[str, Any]]) -> None:
    async def call() -> None:
        client = AriClient(AriParams())  # not connected: every request fails
        gateway = ExternalMediaGateway(client, Desk(), MediaParams(), PortPool(0, 0))
        for event in events:
            gateway._event(event)
            await asyncio.sleep(0)
        await until(lambda: not gateway._tasks)
        assert not gateway._calls and not gateway._expected

    asyncio.run(call())


def test_closing_ends_the_calls() -> None:
    async def call() -> None:
        async with house() as h:
            take, monitor = await h.call("take"), await h.call("monitor")
            await h.gateway.close()
            assert take.reasons == monitor.reasons == ["shutdown"]
            assert take.offer.reference not in h.asterisk.channels
            assert monitor.offer.reference in h.asterisk.channels
            await h.empty()
            await h.gateway.close()

    asyncio.run(call())
