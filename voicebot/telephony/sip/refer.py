"""Handing a caller over by REFER: what is written, and what the answers mean; pure, no I/O.

Sources: RFC 3515 (REFER, NOTIFY with ``message/sipfrag``), RFC 3892 (Referred-By), RFC 4488
(Refer-Sub), RFC 5589 (call transfer), RFC 3261 section 19.1.1 (headers inside a URI).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from aiosipua.headers import SipUri, stringify_uri
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.sip.sip_headers import parse_uri
from voicebot.telephony.sip.sip_messages import reason_of

ALERT_HEADER: Final = "X-Voicebot-Alert-Id"
BRIEFING_HEADER: Final = "X-Voicebot-Briefing"
REASON_HEADER: Final = "X-Voicebot-Reason"

_USER: Final = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/#]{1,128}")
"""an extension or number; ``#`` is escaped, the rest is RFC 3261's user"""
_STATUS: Final = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6]\d\d)(?:[ \t]+([^\r\n]{0,200}))?")
_EVENT_ID: Final = re.compile(r";\s*id\s*=\s*(\d{1,10})\s*(?:;|$)")
_MAX_TEXT: Final = 400
"""characters of a header that carries our words"""

_RESULTS: Final = {
    401: TransferResult.DECLINED,
    403: TransferResult.DECLINED,
    407: TransferResult.DECLINED,
    404: TransferResult.UNREACHABLE,
    408: TransferResult.NO_ANSWER,
    410: TransferResult.UNREACHABLE,
    480: TransferResult.NO_ANSWER,
    484: TransferResult.UNREACHABLE,
    486: TransferResult.BUSY,
    487: TransferResult.NO_ANSWER,
    600: TransferResult.BUSY,
    604: TransferResult.UNREACHABLE,
}


def result_of_status(status: int) -> TransferResult:
    """What the final response of the agent's side means."""
    if status in _RESULTS:
        return _RESULTS[status]
    if 200 <= status < 300:
        return TransferResult.DONE
    # 3xx would have to be followed and is not; 5xx are broken servers and missing routes.
    return TransferResult.UNREACHABLE if status // 100 in (3, 5) else TransferResult.DECLINED


def transferred(status: int, reason: str = "") -> Transferred:
    """The typed end for a final response, with the peer's words."""
    return Transferred(result_of_status(status), f"{status} {reason or reason_of(status)}")


def target_uri(target: str, home: SipUri) -> SipUri:
    """Make a SIP URI of what is configured for a queue.

    Args:
        target: ``sip:agents@pbx.example``, ``agents@pbx.example``, ``200``, ``+4930...``,
            ``tel:+49-30-...``.
        home: The caller's remote target; lends host, port, scheme and transport to an extension.

    Raises:
        ValueError: It is none of these.
    """
    text = target.strip()
    if text.lower().startswith("tel:"):
        text = re.sub(r"[-.() ]", "", text[4:].partition(";")[0])
    elif ":" in text.partition("@")[0] or text.lower().startswith(("sip:", "sips:")):
        uri = parse_uri(text)
        if uri.scheme not in ("sip", "sips"):
            raise ValueError("a target of an unknown scheme")
        return uri
    elif "@" in text:
        return parse_uri(f"sip:{text}")
    if not _USER.fullmatch(text):
        raise ValueError("a target that is neither an extension, a number nor a SIP URI")
    kept = {name: value for name, value in home.params.items() if name == "transport"}
    user = text.replace("#", "%23")
    return SipUri(scheme=home.scheme, user=user, host=home.host, port=home.port, params=kept)


def briefing_headers(briefing: Briefing) -> dict[str, str]:
    """Headers that tell the agent's phone why; empty ones are left out."""
    said = {
        ALERT_HEADER: briefing.alert_id,
        BRIEFING_HEADER: briefing.url,
        REASON_HEADER: briefing.reason,
    }
    return {name: _one_line(value) for name, value in said.items() if value.strip()}


def fill_refer(
    request: SipRequest, target: SipUri, us: str, briefing: Briefing, *, embed: bool
) -> None:
    """Complete a REFER.

    Args:
        request: Made by :meth:`Dialog.request`; Contact is the caller's business.
        target: Whom the peer shall call.
        us: ``<sip:...>`` for Referred-By.
        briefing: Put into headers.
        embed: Whether to put them into the Refer-To URI too, whence a peer that follows RFC 3261
            section 19.1.5 copies them into its INVITE.
    """
    headers = briefing_headers(briefing)
    refer_to = stringify_uri(target)
    if embed and headers:
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in headers.items())
        refer_to += ("&" if target.headers else "?") + pairs
    request.set_header("Refer-To", f"<{refer_to}>")
    request.set_header("Referred-By", us)
    request.set_header("Refer-Sub", "true")
    for name, value in headers.items():
        request.set_header(name, value)


def sipfrag_status(body: bytes) -> tuple[int, str] | None:
    """Status and phrase of a NOTIFY's ``message/sipfrag`` body; None if it is no status line."""
    match = _STATUS.match(body[:1024])
    if match is None:
        return None
    return int(match[1]), (match[2] or b"").decode("utf-8", "replace").strip()


def is_terminated(notify: SipRequest) -> bool:
    """Whether a NOTIFY ends its subscription (RFC 6665 section 4.1.3)."""
    value = notify.get_header("subscription-state") or ""
    return value.partition(";")[0].strip().lower() == "terminated"


def event_id(notify: SipRequest) -> int | None:
    """The CSeq number of the REFER that a NOTIFY is about (RFC 3515 section 2.4.6), if it says."""
    match = _EVENT_ID.search(notify.get_header("event") or "")
    return int(match[1]) if match else None


class ReferState(StrEnum):
    """How far a REFER of ours has come."""

    SENT = "sent"
    ACCEPTED = "accepted"
    """202, or a NOTIFY that overtook it"""
    RINGING = "ringing"
    """the agent's phone rings"""
    BLIND = "blind"
    """accepted, but nobody will say how it ends (RFC 4488, or the subscription ended early)"""
    REFUSED = "refused"
    """the REFER itself was refused: bridge instead"""
    ENDED = "ended"


@dataclass(slots=True)
class ReferProgress:
    """Follows one REFER through response and NOTIFYs, in whatever order they come."""

    state: ReferState = ReferState.SENT
    number: int = 0
    """CSeq number of the REFER"""
    result: Transferred | None = None
    """set in ENDED, and in REFUSED with the peer's words"""

    def responded(self, response: SipResponse) -> None:
        """Take the final response to the REFER."""
        status = response.status_code
        if self.state is ReferState.ENDED:
            return
        if not 200 <= status < 300:
            self.state = ReferState.REFUSED
            self.result = transferred(status, response.reason_phrase)
        elif (response.get_header("refer-sub") or "").strip().lower().startswith("false"):
            self.state = ReferState.BLIND
        elif self.state is ReferState.SENT:
            self.state = ReferState.ACCEPTED

    def notified(self, notify: SipRequest) -> None:
        """Take a NOTIFY of event ``refer``."""
        if self.state in (ReferState.ENDED, ReferState.REFUSED):
            return
        said = sipfrag_status(notify.body)
        if said is not None and said[0] >= 200:
            self.end(transferred(*said))
            return
        if said is not None and said[0] in (180, 183):
            self.state = ReferState.RINGING
        elif self.state is ReferState.SENT:
            self.state = ReferState.ACCEPTED
        if is_terminated(notify):
            self.state = ReferState.BLIND

    def end(self, result: Transferred) -> None:
        """Close it for a reason of our own, unless it is closed already."""
        if self.state not in (ReferState.ENDED, ReferState.REFUSED):
            self.state, self.result = ReferState.ENDED, result


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()[:_MAX_TEXT]
