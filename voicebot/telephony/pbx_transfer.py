"""Handing a caller over through the telephone exchange: what its interfaces have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from voicebot.telephony.line import Briefing, Transferred, TransferResult


class PbxTransfer(Protocol):
    """Hands over a call that the exchange knows by ``reference``; never raises for peers."""

    async def __call__(self, reference: str, target: str, briefing: Briefing) -> Transferred:
        """Hand over.

        Args:
            reference: The exchange's name of the call, as in :attr:`Offer.reference`.
            target: As configured for the queue.
            briefing: Put into channel variables.
        """
        ...


_CAUSES: Final[dict[int, TransferResult]] = {
    1: TransferResult.UNREACHABLE,  # unallocated number
    2: TransferResult.UNREACHABLE,
    3: TransferResult.UNREACHABLE,  # no route to destination
    17: TransferResult.BUSY,
    18: TransferResult.NO_ANSWER,  # no user responding
    19: TransferResult.NO_ANSWER,
    20: TransferResult.UNREACHABLE,  # subscriber absent
    21: TransferResult.DECLINED,
    22: TransferResult.UNREACHABLE,  # number changed
    27: TransferResult.UNREACHABLE,  # destination out of order
    28: TransferResult.UNREACHABLE,  # invalid number format
    34: TransferResult.UNREACHABLE,  # no circuit available
    38: TransferResult.UNREACHABLE,
    41: TransferResult.UNREACHABLE,  # temporary failure
    42: TransferResult.UNREACHABLE,
    44: TransferResult.UNREACHABLE,
    52: TransferResult.DECLINED,  # outgoing call barred
    54: TransferResult.DECLINED,  # incoming call barred
    58: TransferResult.UNREACHABLE,
    66: TransferResult.UNREACHABLE,
    88: TransferResult.UNREACHABLE,  # incompatible destination
    102: TransferResult.NO_ANSWER,  # timer expired
}


def result_of_cause(cause: int) -> TransferResult | None:
    """What a release cause of an agent's leg means (ITU-T Q.850 table 1).

    Returns:
        None for those that do not say why: normal clearing (16), unspecified (31), 0.
    """
    return _CAUSES.get(cause)


_DIAL_STATUSES: Final[dict[str, TransferResult]] = {
    "ANSWER": TransferResult.DONE,
    "BUSY": TransferResult.BUSY,
    "NOANSWER": TransferResult.NO_ANSWER,
    "CANCEL": TransferResult.NO_ANSWER,
    "CONGESTION": TransferResult.UNREACHABLE,
    "CHANUNAVAIL": TransferResult.UNREACHABLE,
    "DONTCALL": TransferResult.DECLINED,
    "TORTURE": TransferResult.DECLINED,
    "INVALIDARGS": TransferResult.UNREACHABLE,
}


def result_of_dial_status(status: str) -> TransferResult | None:
    """What Asterisk's ``DIALSTATUS`` means; None while it is not over (``RINGING``, ...)."""
    return _DIAL_STATUSES.get(status.upper())


@dataclass(frozen=True, slots=True)
class Dial:
    """Asterisk calls this endpoint and joins it with the caller."""

    endpoint: str
    """``PJSIP/1001``, ``Local/queue@agents``"""


@dataclass(frozen=True, slots=True)
class Place:
    """The caller goes to a place in the dialplan."""

    context: str
    extension: str
    priority: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """The caller's own phone or carrier is asked to call this endpoint (SIP REFER)."""

    endpoint: str


AsteriskTarget = Dial | Place | Redirect

_ENDPOINT: Final = re.compile(r"[A-Za-z0-9]{1,20}/[A-Za-z0-9_.+*#@:/\[\]-]{1,200}")
_WORD: Final = re.compile(r"[A-Za-z0-9_.+*#-]{1,79}")
_URL_CHARS: Final = re.compile(r"[A-Za-z0-9_.~:/?#@&+%=-]{0,500}")


def asterisk_target(text: str) -> AsteriskTarget:
    """Read the target of a queue.

    Args:
        text: ``PJSIP/1001`` (called and joined), ``context,extension[,priority]`` (a place in
            the dialplan) or ``redirect:PJSIP/sip:agents@sbc`` (the caller's side calls it).

    Raises:
        ValueError: something else, or a character that means something to a dialplan.
    """
    if text.startswith("redirect:"):
        endpoint = text.removeprefix("redirect:")
        if _ENDPOINT.fullmatch(endpoint):
            return Redirect(endpoint)
    elif "," in text:
        context, extension, *rest = (part.strip(" ") for part in text.split(","))
        priority = rest[0] if rest else "1"
        if (
            len(rest) <= 1
            and _WORD.fullmatch(context)
            and _WORD.fullmatch(extension)
            and re.fullmatch(r"[1-9][0-9]{0,4}", priority)
        ):
            return Place(context, extension, int(priority))
    elif _ENDPOINT.fullmatch(text):
        return Dial(text)
    raise ValueError(
        "no Asterisk target: write PJSIP/1001, context,extension,priority or "
        "redirect:PJSIP/sip:user@host"
    )


def briefing_variables(briefing: Briefing) -> dict[str, str]:
    """The briefing as channel variables, harmless to a dialplan.

    Characters that could end a variable or an argument there are dropped; a URL that has such
    characters is left out as a whole, since half a URL helps nobody.
    """
    return {
        "VOICEBOT_ALERT": re.sub(r"[^A-Za-z0-9_.-]", "", briefing.alert_id)[:100],
        "VOICEBOT_URL": briefing.url if _URL_CHARS.fullmatch(briefing.url) else "",
        "VOICEBOT_REASON": re.sub(r"[^A-Za-z0-9_.-]", "", briefing.reason)[:100],
    }
