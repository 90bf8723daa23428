"""Where a request for a URI goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiosipua.headers import SipUri

from voicebot.telephony.line import LineError
from voicebot.telephony.sip.sip_params import TRANSPORTS, Hop, is_address


async def resolve(uri: SipUri, listeners: Sequence[Hop], seconds: float) -> Hop:
    """Find the hop for a URI: maddr, port, transport; ``sips`` means TLS.

    Names by the system's resolver; no NAPTR or SRV records (RFC 3263 has them, but neither the
    system's resolver nor a PBX on a site's own network does).

    Args:
        uri: A sip or sips URI.
        listeners: What we listen at: without a transport it is UDP if that is among them, else
            the first; an address of their family is preferred.
        seconds: How long the resolver may take.

    Raises:
        LineError: No such host, or a transport that we do not speak.
    """
    name = (uri.params.get("maddr") or uri.host).strip("[]")
    spoken = [here.transport for here in listeners] or ["udp"]
    transport = (uri.params.get("transport") or "").lower()
    if uri.scheme == "sips":
        transport = "tls"
    if not transport:
        transport = "udp" if "udp" in spoken else spoken[0]
    if uri.scheme not in ("sip", "sips") or transport not in TRANSPORTS or not name:
        raise LineError(
            f"no way to {uri.scheme}:{uri.host} by {transport}",
            "use a sip or sips URI with a host, and transport udp, tcp or tls",
        )
    port = uri.port or (5061 if transport == "tls" else 5060)
    if is_address(name):
        return Hop(transport, name, port, name)
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(name, port)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise LineError(
            f"{name}: cannot be resolved ({error})", "check the host name and the resolver"
        ) from error
    hosts = [str(entry[4][0]) for entry in found]
    ours = [here.host for here in listeners if here.transport == transport]
    six = bool(ours) and all(":" in host for host in ours)
    fitting = [host for host in hosts if (":" in host) == six] or hosts
    return Hop(transport, fitting[0], port, name)
