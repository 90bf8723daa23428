"""TLS for SIP: what we show, and what we ask of others (RFC 3261 section 26.3, RFC 5922)."""

from __future__ import annotations

import ssl

from voicebot.telephony.line import LineError
from voicebot.telephony.sip.sip_params import SipParams


def server_context(params: SipParams) -> ssl.SSLContext:
    """What a TLS listener uses: TLS 1.2 or newer.

    Raises:
        LineError: No certificate, or a file that cannot be read.
    """
    if not params.tls_certificate:
        raise LineError(
            "a tls listener without a certificate", "set tls_certificate and tls_key, or use tcp"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, params)
    if params.tls_verify_clients:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, params)
    return context


def client_context(params: SipParams) -> ssl.SSLContext:
    """What our own TLS connections use; our certificate is shown to those who ask for it.

    Raises:
        LineError: A file that cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if params.tls_certificate:
        _show(context, params)
    if params.tls_verify_servers:
        _trust(context, params)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _show(context: ssl.SSLContext, params: SipParams) -> None:
    try:
        # A password callback, lest OpenSSL ask for one at the terminal.
        context.load_cert_chain(params.tls_certificate, params.tls_key or None, password="")
    except (OSError, ValueError) as error:
        raise LineError(
            f"tls_certificate {params.tls_certificate} with tls_key "
            f"{params.tls_key or params.tls_certificate}: {error}",
            "give PEM files that belong together, the key without a password",
        ) from error


def _trust(context: ssl.SSLContext, params: SipParams) -> None:
    if not params.tls_ca:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(params.tls_ca)
    except (OSError, ValueError) as error:
        raise LineError(f"tls_ca {params.tls_ca}: {error}", "give a PEM file") from error
