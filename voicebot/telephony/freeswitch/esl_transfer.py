"""Handing callers over by FreeSWITCH."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Final

from voicebot.telephony.freeswitch.esl import EslClient, EslError, EslParams, Headers
from voicebot.telephony.line import Briefing, Transferred, TransferResult

_EXTENSION: Final = re.compile(
    r"([A-Za-z0-9_.+*#][A-Za-z0-9_.+*#-]{0,78})(?:@([A-Za-z0-9_.+-]{1,79}))?"
)
_ENDPOINT: Final = re.compile(r"(?:user|sofia|verto|loopback|group)/[A-Za-z0-9_.+*#@:/-]{1,200}")
_SIP: Final = re.compile(r"sip:([A-Za-z0-9_.+*#-]{1,79}@[A-Za-z0-9_.:-]{1,200})")

_CAUSES: Final[dict[str, TransferResult]] = {
    "SUCCESS": TransferResult.DONE,
    "USER_BUSY": TransferResult.BUSY,
    "CALL_REJECTED": TransferResult.DECLINED,
    "OUTGOING_CALL_BARRED": TransferResult.DECLINED,
    "INCOMING_CALL_BARRED": TransferResult.DECLINED,
    "NO_ANSWER": TransferResult.NO_ANSWER,
    "NO_USER_RESPONSE": TransferResult.NO_ANSWER,
    "ALLOTTED_TIMEOUT": TransferResult.NO_ANSWER,
    "PROGRESS_TIMEOUT": TransferResult.NO_ANSWER,
    "MEDIA_TIMEOUT": TransferResult.NO_ANSWER,
    "RECOVERY_ON_TIMER_EXPIRE": TransferResult.NO_ANSWER,
    "UNALLOCATED_NUMBER": TransferResult.UNREACHABLE,
    "NO_ROUTE_DESTINATION": TransferResult.UNREACHABLE,
    "NO_ROUTE_TRANSIT_NET": TransferResult.UNREACHABLE,
    "USER_NOT_REGISTERED": TransferResult.UNREACHABLE,
    "SUBSCRIBER_ABSENT": TransferResult.UNREACHABLE,
    "DESTINATION_OUT_OF_ORDER": TransferResult.UNREACHABLE,
    "INVALID_NUMBER_FORMAT": TransferResult.UNREACHABLE,
    "NUMBER_CHANGED": TransferResult.UNREACHABLE,
    "GATEWAY_DOWN": TransferResult.UNREACHABLE,
    "INVALID_GATEWAY": TransferResult.UNREACHABLE,
    "INVALID_PROFILE": TransferResult.UNREACHABLE,
    "NORMAL_CIRCUIT_CONGESTION": TransferResult.UNREACHABLE,
    "NORMAL_TEMPORARY_FAILURE": TransferResult.UNREACHABLE,
    "NETWORK_OUT_OF_ORDER": TransferResult.UNREACHABLE,
    "SWITCH_CONGESTION": TransferResult.UNREACHABLE,
    "SERVICE_UNAVAILABLE": TransferResult.UNREACHABLE,
    "INCOMPATIBLE_DESTINATION": TransferResult.UNREACHABLE,
    "CHAN_NOT_IMPLEMENTED": TransferResult.UNREACHABLE,
}


def result_of_hangup_cause(cause: str) -> TransferResult | None:
    """What FreeSWITCH's name of a cause means for the agent's leg; None: it does not say why."""
    return _CAUSES.get(cause.upper())


def transfer_arguments(target: str, params: EslParams) -> str:
    """What comes after the UUID in ``uuid_transfer``.

    A caller whose agent does not answer is parked, still heard by us, and not hung up.

    Args:
        target: ``1001``, ``1001@context``, ``user/1001``, ``sofia/gateway/trunk/1001`` or
            ``sip:1001@host``.
        params: ...

    Raises:
        ValueError: something else, or a character that means something to FreeSWITCH.
    """
    if match := _SIP.fullmatch(target):
        return f"bridge:sofia/{params.sip_profile}/{match[1]},park inline"
    if _ENDPOINT.fullmatch(target):
        return f"bridge:{target},park inline"
    if match := _EXTENSION.fullmatch(target):
        return f"{match[1]} XML {match[2] or params.context}"
    raise ValueError(
        "no FreeSWITCH target: write 1001, 1001@context, user/1001, sofia/gateway/NAME/1001 or "
        "sip:1001@host"
    )


class EslTransfer:
    """Hands over callers in FreeSWITCH; a :class:`~voicebot.telephony.pbx_transfer.PbxTransfer`.

    Args:
        client: Started before the first call is handed over.
    """

    def __init__(self, client: EslClient) -> None:
        self._client = client

    async def __call__(self, reference: str, target: str, briefing: Briefing) -> Transferred:
        """Hand over the channel with this UUID, and watch how it goes."""
        params = self._client.params
        try:
            channel = str(uuid.UUID(reference))
        except ValueError:
            return Transferred(TransferResult.UNSUPPORTED, "the call has no FreeSWITCH UUID")
        try:
            where = transfer_arguments(target, params)
        except ValueError as error:
            return Transferred(TransferResult.UNSUPPORTED, f"{target}: {error}")
        watch = BridgeWatch(channel)
        stop = self._client.listen(watch.event)
        try:
            await self._client.api(
                f"uuid_setvar_multi {channel} {variables_text(briefing)}"
                # else the caller is lost with the first agent who does not answer
                ";continue_on_fail=true;hangup_after_bridge=true"
            )
            await self._client.api(f"uuid_transfer {channel} {where}")
            return await watch.wait(params.answer_seconds, params.settle_seconds)
        except EslError as error:
            if "no such channel" in error.what.lower():
                return Transferred(TransferResult.GONE, error.what)
            return Transferred(TransferResult.UNREACHABLE, error.what)
        finally:
            stop()


def variables_text(briefing: Briefing) -> str:
    """The briefing for ``uuid_setvar_multi``, whose separators are ``;`` and ``=``.

    The names begin with ``sip_h_X-``, so a SIP agent's INVITE carries them as headers.
    """
    url = briefing.url if re.fullmatch(r"[A-Za-z0-9_.~:/?#@&+%=-]{0,500}", briefing.url) else ""
    found = {
        "sip_h_X-Voicebot-Alert-Id": re.sub(r"[^A-Za-z0-9_.-]", "", briefing.alert_id)[:100],
        "sip_h_X-Voicebot-Reason": re.sub(r"[^A-Za-z0-9_.-]", "", briefing.reason)[:100],
        "sip_h_X-Voicebot-Briefing": url,
    }
    return ";".join(f"{name}={value}" for name, value in found.items() if value)


class BridgeWatch:
    """Finds in FreeSWITCH's events what became of a caller.

    Args:
        channel: UUID of the caller's channel.
    """

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._failure: Transferred | None = None
        self._end: Transferred | None = None
        self._changed = asyncio.Event()

    def event(self, event: Headers) -> None:
        """Take one event; those of other calls are passed over."""
        kind, channel = event.get("event-name"), event.get("unique-id")
        if kind == "CHANNEL_BRIDGE":
            if self._channel in (channel, event.get("bridge-a-unique-id")):
                self._over(Transferred(TransferResult.DONE, "bridged"))
        elif kind == "CHANNEL_HANGUP":
            cause = event.get("hangup-cause", "")
            if channel == self._channel:
                # The caller's own leg ends with the cause of the agent's where nothing follows.
                result = event.get("variable_originate_disposition", "")
                if result and (found := _failure(result)):
                    self._failure = self._failure or found
                self._over(self._failure or Transferred(TransferResult.GONE, cause))
            elif event.get("other-leg-unique-id") == self._channel:
                self._fail(_failure(cause))
        elif (kind, channel, event.get("application")) == (
            "CHANNEL_EXECUTE_COMPLETE",
            self._channel,
            "bridge",
        ):
            self._fail(_failure(event.get("variable_originate_disposition", "")))

    async def wait(self, seconds: float, settle: float) -> Transferred:
        """How it ended: the last failure if none follows for ``settle`` s, or TIMEOUT."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._end is None:
            self._changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    async with asyncio.timeout(settle if self._failure else None):
                        await self._changed.wait()
            except TimeoutError:
                return self._failure or Transferred(
                    TransferResult.TIMEOUT, f"no answer known after {seconds:g} s"
                )
        return self._end

    def _fail(self, failure: Transferred | None) -> None:
        if failure is not None:
            self._failure = failure
            self._changed.set()

    def _over(self, outcome: Transferred) -> None:
        self._end = self._end or outcome
        self._changed.set()


def _failure(cause: str) -> Transferred | None:
    result = result_of_hangup_cause(cause)
    return None if result in (None, TransferResult.DONE) else Transferred(result, cause)
