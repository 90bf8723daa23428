"""Which messages belong together (RFC 3261 sections 8.2.2.2, 13.3.1.4 and 17.2.3)."""

from __future__ import annotations

from aiosipua.headers import Via, stringify_via
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_messages import COOKIE, call_id_of, cseq_of, from_tag, to_tag

Key = tuple[str, ...]


def server_key(request: SipRequest, via: Via) -> Key:
    """What two requests of one server transaction have in common (17.2.3).

    ACK and CANCEL get the key of the INVITE.  A branch without the magic cookie, or of nothing but
    the cookie, is not unique: then RFC 2543's fields are compared.
    """
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    branch = via.params.get("branch") or ""
    if branch[: len(COOKIE)].lower() == COOKIE.lower() and len(branch) > len(COOKIE):
        return branch, via.host.lower(), str(via.port or 0), method
    return (
        *("", request.uri, from_tag(request), call_id_of(request)),
        *(str(cseq_of(request).seq), stringify_via(via), method),
    )


def merged_key(request: SipRequest) -> Key:
    """What one request has in common however many ways it came (8.2.2.2)."""
    cseq = cseq_of(request)
    return from_tag(request), call_id_of(request), str(cseq.seq), cseq.method


def dialog_key(message: SipRequest | SipResponse) -> Key:
    """What the 2xx to an INVITE and its ACK have in common (13.3.1.4)."""
    seq = str(cseq_of(message).seq)
    return call_id_of(message), from_tag(message), to_tag(message), seq
