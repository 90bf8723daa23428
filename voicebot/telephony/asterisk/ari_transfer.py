"""Handing callers over by Asterisk, wherever in it they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from voicebot.tasks import Tasks
from voicebot.telephony.asterisk.ari import AriClient, AriError, text_of
from voicebot.telephony.asterisk.dial_watch import DialWatch
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.pbx_transfer import (
    Place,
    Redirect,
    asterisk_target,
    briefing_variables,
)

VARIABLE = "VOICEBOT_UUID"
"""channel variable that the dialplan sets to the UUID of AudioSocket()"""


class AriTransfer:
    """Hands over AudioSocket calls: finds the channel by its UUID, and redirects it.

    The channel is in the dialplan application ``AudioSocket``, not in ours, so ARI itself may not
    move it.  A short-lived ``Local`` channel does, which runs the context ``redirect_context``.

    Args:
        client: Started before the first call is handed over.
    """

    def __init__(self, client: AriClient) -> None:
        self._client = client

    async def __call__(self, reference: str, target: str, briefing: Briefing) -> Transferred:
        """Hand over; see :class:`PbxTransfer`."""
        try:
            channel = await self._find(reference)
        except AriError as error:
            return failed(error)
        if not channel:
            return Transferred(
                TransferResult.UNSUPPORTED,
                f"no channel has this UUID in {VARIABLE}: set it in the dialplan, and name it in "
                "channelvars of ari.conf",
            )
        return await fetch_channel(self._client, channel, target, briefing)

    async def _find(self, reference: str) -> str:
        channels = await self._client.request("GET", "channels")
        for channel in channels if isinstance(channels, list) else []:
            if not isinstance(channel, dict):
                continue
            if text_of(channel, "channelvars", VARIABLE).lower() == reference.lower():
                return text_of(channel, "id")
        return ""


def failed(error: AriError) -> Transferred:
    """What a refused request means for a transfer."""
    if error.status == 404:
        return Transferred(TransferResult.GONE, str(error))
    return Transferred(TransferResult.UNREACHABLE, str(error))


async def fetch_channel(
    client: AriClient, channel: str, target: str, briefing: Briefing
) -> Transferred:
    """Send a channel that is not in our application to a place in the dialplan.

    Args:
        client: ...
        channel: Id of the caller's channel.
        target: ``context,extension[,priority]``.
        briefing: ...
    """
    try:
        place = asterisk_target(target)
    except ValueError as error:
        return Transferred(TransferResult.UNSUPPORTED, f"{target}: {error}")
    if not isinstance(place, Place):
        return Transferred(
            TransferResult.UNSUPPORTED,
            f"{target}: the caller is not in Stasis; name a place, context,extension,priority",
        )
    variables = {
        **briefing_variables(briefing),
        "VOICEBOT_CHANNEL": channel,
        "VOICEBOT_CONTEXT": place.context,
        "VOICEBOT_EXTEN": place.extension,
        "VOICEBOT_PRIORITY": str(place.priority),
    }
    async with watching(client, channel) as watch:
        try:
            await client.request(
                "POST",
                "channels",
                body={"variables": variables},
                endpoint=f"Local/s@{client.params.redirect_context}/n",
                app=client.app,
                appArgs="redirect",
                timeout=5,
            )
        except AriError as error:
            return Transferred(
                TransferResult.UNREACHABLE,
                f"{error}; is there a context {client.params.redirect_context} in the dialplan?",
            )
        return await watch.wait(client.params.answer_seconds)


async def continue_channel(
    client: AriClient, channel: str, place: Place, briefing: Briefing
) -> Transferred:
    """Let a channel of our application go to a place in the dialplan."""
    async with watching(client, channel) as watch:
        try:
            await set_variables(client, channel, briefing_variables(briefing))
            await client.request(
                "POST",
                "channels",
                channel,
                "continue",
                context=place.context,
                extension=place.extension,
                priority=place.priority,
            )
        except AriError as error:
            return failed(error)
        return await watch.wait(client.params.answer_seconds)


async def redirect_channel(
    client: AriClient, channel: str, target: Redirect, briefing: Briefing
) -> Transferred:
    """Ask the caller's side to call the target itself (SIP REFER).

    Asterisk says nothing of how that went, but the caller's channel ends if it went well.
    """
    async with watching(client, channel) as watch:
        try:
            await set_variables(client, channel, briefing_variables(briefing))
            await client.request("POST", "channels", channel, "redirect", endpoint=target.endpoint)
        except AriError as error:
            if error.status == 422:
                return Transferred(TransferResult.UNSUPPORTED, str(error))
            return failed(error)
        outcome = await watch.wait(client.params.answer_seconds)
    if outcome.result == TransferResult.GONE:
        return Transferred(TransferResult.DONE, "the caller's side has called the target")
    return outcome


async def set_variables(client: AriClient, channel: str, variables: dict[str, str]) -> None:
    """Set channel variables, one request each: older releases cannot take several.

    Raises:
        AriError: ...
    """
    for name, value in variables.items():
        await client.request("POST", "channels", channel, "variable", variable=name, value=value)


@asynccontextmanager
async def watching(client: AriClient, caller: str, own: str = "") -> AsyncIterator[DialWatch]:
    """Watch what becomes of a caller, and subscribe to the phones that ring.

    Subscriptions need no end: Asterisk drops them with the channel, and until then they tell that
    the caller has hung up.

    Args:
        client: ...
        caller: Id of the caller's channel.
        own: See :class:`DialWatch`.
    """
    tasks = Tasks("ari_transfer")

    def subscribe_soon(channel: str) -> None:
        tasks.spawn(subscribe(client, channel))

    watch = DialWatch(caller, client.params.settle_seconds, subscribe_soon, own)
    stop = client.listen(watch.event)
    try:
        await subscribe(client, caller)
        yield watch
    finally:
        stop()
        tasks.cancel()


async def subscribe(client: AriClient, channel: str) -> None:
    """Hear of a channel though it is not in our application; that it is gone is no error."""
    with suppress(AriError):
        await client.request(
            "POST", "applications", client.app, "subscription", eventSource=f"channel:{channel}"
        )
