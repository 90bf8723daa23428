"""Values of SIP headers: URIs, addresses, Via, CSeq.

The classes are those of ``aiosipua``; the parsers are ours, because those split at commas and
angle brackets inside quoted strings, at ``;`` and ``?`` inside user names and around the blanks
that RFC 3261 allows, and take anything for a number.  All raise ValueError and nothing else, and
take time linear in their input.
"""

from __future__ import annotations

import re

from aiosipua.headers import Address, CSeq, SipUri, Via

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
MAX_CSEQ = 2**31 - 1
"""RFC 3261 section 8.1.1.5"""

_SPECIAL = re.compile(r'["\\<>,;]')
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_NO_URI = re.compile(r'[\x00-\x20\x7f<>"]')
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)[ \t]*(?::[ \t]*([0-9]{1,5}))?")
_VIA = re.compile(rf"SIP\s*/\s*({TOKEN})\s*/\s*({TOKEN})\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_CSEQ = re.compile(rf"([0-9]{{1,20}})\s+({TOKEN})")


class UnknownSchemeError(ValueError):
    """A Request-URI of a scheme that is neither sip, sips nor tel: 416 (8.2.2.1)."""


def split_outside(text: str, separator: str) -> list[str]:
    """Split at ``,`` or ``;`` outside of quoted strings and angle brackets; parts are stripped.

    Raises:
        ValueError: A quoted string or bracket does not end.
    """
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts: list[str] = []
    start, quoted, inside, skip = 0, False, False, -1
    for match in _SPECIAL.finditer(text):
        at, char = match.start(), match.group()
        if at == skip:
            continue
        if quoted:
            if char == "\\":
                skip = at + 1
            elif char == '"':
                quoted = False
        elif char == '"' and not inside:
            quoted = True
        elif char == "<":
            inside = True
        elif char == ">":
            inside = False
        elif char == separator and not inside:
            parts.append(text[start:at].strip())
            start = at + 1
    if quoted or inside:
        raise ValueError("a quoted string or bracket does not end")
    parts.append(text[start:].strip())
    return parts


def unquote(text: str) -> str:
    """Take the quotes off a quoted string, and the backslashes out of it."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def parse_params(text: str, *, strict: bool = False) -> dict[str, str | None]:
    """Read ``a=1;b`` into a dict with lower-case names; quoted values keep their quotes.

    Args:
        text: What follows the first ``;``.
        strict: Refuse empty parameters (``;;``) and those of one name.

    Raises:
        ValueError: Unbalanced quotes, or as ``strict`` says.
    """
    params: dict[str, str | None] = {}
    for part in split_outside(text, ";"):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not name or (strict and name in params):
            if strict:
                raise ValueError("an empty or repeated parameter")
            continue
        params.setdefault(name, value.strip() if equals else None)
    return params


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Read ``host[:port]``; IPv6 keeps its brackets.

    Raises:
        ValueError: No host, or no port of 1-65535.
    """
    match = _HOST_PORT.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a host and port")
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError("port out of range")
    return match[1], port


def parse_uri(text: str) -> SipUri:
    """Read a SIP, SIPS or tel URI (RFC 3261 section 19.1, RFC 3966).

    Of a tel URI the number is ``user`` and ``host`` is empty.  Escapes stay as they are.

    Raises:
        UnknownSchemeError: Another scheme.
        ValueError: Not a URI.
    """
    text = text.strip()
    match = _SCHEME.match(text)
    if match is None or _NO_URI.search(text):
        raise ValueError("not a URI")
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme == "tel":
        number, _, tail = rest.partition(";")
        if not number:
            raise ValueError("a tel URI without a number")
        return SipUri(scheme="tel", user=number, params=parse_params(tail))
    if scheme not in ("sip", "sips"):
        raise UnknownSchemeError("unknown URI scheme")
    user: str | None = None
    if "@" in rest:
        # A user name may hold ; and ? and /, but an @ in it must be escaped.
        user, _, rest = rest.partition("@")
        if not user:
            raise ValueError("a URI with an empty user")
    rest, _, query = rest.partition("?")
    place, _, tail = rest.partition(";")
    host, port = parse_host_port(place)
    headers = {
        name: value
        for name, equals, value in (part.partition("=") for part in query.split("&"))
        if equals
    }
    return SipUri(
        scheme=scheme, user=user, host=host, port=port, params=parse_params(tail), headers=headers
    )


def _any_uri(text: str) -> SipUri:
    """A URI in an address may be of any scheme; what we do not know becomes one opaque user."""
    try:
        return parse_uri(text)
    except UnknownSchemeError:
        scheme, _, rest = text.strip().partition(":")
        return SipUri(scheme=scheme.lower(), user=rest)


def parse_address(text: str) -> Address:
    """Read a name-addr or addr-spec with its header parameters (20.10).

    Lenient where RFC 4475 allows it: commas in an unquoted display name, blanks inside the angle
    brackets.  Without angle brackets every parameter belongs to the header.

    Raises:
        ValueError: Neither of both.
    """
    text = text.strip()
    display = ""
    if text.startswith('"'):
        end = 1
        while end < len(text) and text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        if end >= len(text):
            raise ValueError("a display name without an end")
        display = unquote(text[: end + 1])
        text = text[end + 1 :].lstrip()
        if not text.startswith("<"):
            raise ValueError("a display name without an address")
    head, bracket, tail = text.partition("<")
    if bracket:
        inner, close, after = tail.partition(">")
        after = after.strip()
        if not close or (after and not after.startswith(";")) or '"' in head:
            raise ValueError("angle brackets that do not match")
        display = display or head.strip()
        uri = _any_uri(inner)
    else:
        start = text.find(";", text.find("@") + 1)
        uri = _any_uri(text if start < 0 else text[:start])
        if uri.headers:
            raise ValueError("a URI with headers wants angle brackets")
        after = "" if start < 0 else text[start:]
    return Address(display_name=display or None, uri=uri, params=parse_params(after[1:]))


def parse_via(text: str) -> Via:
    """Read one Via value (20.42), blanks around its slashes and colons included.

    Raises:
        ValueError: Not a Via.
    """
    match = _VIA.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a Via")
    place, semicolon, tail = match[3].partition(";")
    host, port = parse_host_port(place)
    params = parse_params(tail, strict=True) if semicolon else {}
    return Via(
        protocol=f"SIP/{match[1]}",
        transport=match[2].upper(),
        host=host,
        port=port,
        params=params,
    )


def parse_cseq(text: str) -> CSeq:
    """Read a CSeq value (20.16).

    Raises:
        ValueError: Not a number below 2**31 and a method.
    """
    match = _CSEQ.fullmatch(text.strip())
    if match is None or int(match[1]) > MAX_CSEQ:
        raise ValueError("not a CSeq")
    return CSeq(seq=int(match[1]), method=match[2])
