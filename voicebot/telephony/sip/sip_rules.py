"""Whether a request can be taken at all (RFC 3261 section 8.2), and how it is answered if not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aiosipua.message import SipMessage, SipRequest, SipResponse

from voicebot.errors import VoicebotError
from voicebot.telephony.line import RefusedError
from voicebot.telephony.media.ports import NoPortError
from voicebot.telephony.media.sdp_types import NoCommonCodecError, SdpError
from voicebot.telephony.sip.call_media import SDP, BodyError
from voicebot.telephony.sip.session_timer import TooShortError
from voicebot.telephony.sip.sip_core import ALLOW, SUPPORTED, agent
from voicebot.telephony.sip.sip_messages import response_to

ACCEPT: Final = f"{SDP}, multipart/mixed"
_TAKEN: Final = frozenset(name.strip() for name in ALLOW.split(","))
_KNOWN: Final = frozenset({"REFER", "SUBSCRIBE", "MESSAGE", "PUBLISH", "REGISTER"})
"""methods that are known and not allowed: 405; any other gets 501"""
_RELAY: Final = re.compile(
    rb"^\s*(signal|duration)\s*=\s*(\S{1,8})\s*$", re.IGNORECASE | re.MULTILINE
)
_DIGITS: Final = "0123456789*#ABCD"
_BUSY_SECONDS: Final = 5
"""s; Retry-After where no better is known"""


def reply(request: SipRequest, status: int, **headers: str) -> SipResponse:
    """Make a response with our Server header; ``retry_after="5"`` becomes ``Retry-After``."""
    response = response_to(request, status)
    response.set_header("Server", agent())
    for name, value in headers.items():
        response.set_header(name.replace("_", "-").title(), value)
    return response


def tags(message: SipMessage, name: str) -> set[str]:
    """The words of a comma-separated header, in lower case."""
    words = ",".join(message.headers.get(name)).lower().split(",")
    return {word.strip() for word in words} - {""}


def refuse_method(request: SipRequest) -> SipResponse | None:
    """405 or 501 with Allow for a method that is not taken (8.2.1); REFER is declined."""
    if request.method in _TAKEN:
        return None
    if request.method == "REFER":  # we call nobody for strangers
        return reply(request, 603)
    return reply(request, 405 if request.method in _KNOWN else 501, allow=ALLOW)


def refuse_extensions(request: SipRequest, more: Sequence[str] = ()) -> SipResponse | None:
    """420 for an option tag in Require that we do not know (8.2.2.3)."""
    unknown = tags(request, "require") - set(SUPPORTED) - set(more)
    if not unknown or request.method in ("ACK", "CANCEL"):
        return None
    return reply(request, 420, unsupported=", ".join(sorted(unknown)))


def refuse_body(request: SipRequest) -> SipResponse | None:
    """415 or 406 for a session description that cannot be read or answered (8.2.3, 21.4.7)."""
    encoding = (request.get_header("content-encoding") or "identity").strip().lower()
    if request.body and encoding != "identity":
        return reply(request, 415, accept_encoding="identity")
    accepted = {word.partition(";")[0].strip() for word in tags(request, "accept")}
    if accepted and not accepted & {SDP, "application/*", "*/*"}:
        return reply(request, 406, accept=ACCEPT)
    return None


def capabilities(request: SipRequest, more: Sequence[str] = ()) -> SipResponse:
    """The 200 to OPTIONS (11.2)."""
    supported = ", ".join((*SUPPORTED, *more))
    return reply(
        request, 200, allow=ALLOW, accept=ACCEPT, supported=supported, accept_language="en"
    )


def refusal(request: SipRequest, error: Exception) -> SipResponse:
    """Say why an INVITE, UPDATE or PRACK cannot be taken."""
    match error:
        case RefusedError():
            return reply(request, 503, retry_after=str(max(1, round(error.retry_after))))
        case NoPortError():
            return reply(request, 503, retry_after=str(_BUSY_SECONDS))
        case NoCommonCodecError():
            return reply(request, 488, warning='305 voicebot "Incompatible media format"')
        case BodyError():
            return reply(request, 415, accept=ACCEPT)
        case TooShortError():
            return reply(request, 422, min_se=str(error.min_se))
        case SdpError() | ValueError():
            return reply(request, 400)
        case VoicebotError():
            return reply(request, 503, retry_after=str(_BUSY_SECONDS))
        case _:
            return reply(request, 500)


def dtmf_of(info: SipRequest) -> tuple[str, float] | None:
    """A digit in an INFO: ``application/dtmf-relay`` (Signal, Duration in ms) or ``dtmf``.

    Returns:
        The digit and its length in s; None if there is none.
    """
    kind = (info.content_type or "").partition(";")[0].strip().lower()
    if kind == "application/dtmf-relay":
        said = {name.lower(): value for name, value in _RELAY.findall(info.body[:256])}
        digit, duration = said.get(b"signal", b""), said.get(b"duration", b"160")
    elif kind == "application/dtmf":
        digit, duration = info.body.strip(), b"160"
    else:
        return None
    # Some send 10 for * and 11 for #, as RFC 4733 numbers them.
    name = {"10": "*", "11": "#"}.get(text := digit.decode("latin-1").upper(), text)
    if len(name) != 1 or name not in _DIGITS:
        return None
    milliseconds = int(duration) if duration.isdigit() else 160
    return name, min(milliseconds, 60_000) / 1000
