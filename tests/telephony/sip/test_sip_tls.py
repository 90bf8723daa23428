from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.telephony.sip_certificates import certificate
from voicebot.telephony.line import LineError
from voicebot.telephony.sip.sip_params import SipParams
from voicebot.telephony.sip.sip_tls import client_context, server_context


def test_a_listener_wants_a_certificate() -> None:
    with pytest.raises(LineError, match="set tls_certificate"):
        server_context(SipParams())


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    one = certificate(tmp_path, "one")
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    with pytest.raises(LineError, match=r"missing\.pem"):
        server_context(SipParams(tls_certificate=str(tmp_path / "missing.pem")))
    with pytest.raises(LineError, match=r"broken\.pem"):
        server_context(SipParams(tls_certificate=one.certificate, tls_key=str(broken)))
    with pytest.raises(LineError, match=r"tls_ca .*broken\.pem"):
        client_context(SipParams(tls_ca=str(broken)))


def test_old_versions_are_refused(tmp_path: Path) -> None:
    one = certificate(tmp_path, "one")
    params = SipParams(tls_certificate=one.certificate, tls_key=one.key, tls_ca=one.ca)
    for context in (server_context(params), client_context(params)):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_who_is_checked(tmp_path: Path) -> None:
    one = certificate(tmp_path, "one")
    params = SipParams(tls_certificate=one.certificate, tls_key=one.key, tls_ca=one.ca)
    assert server_context(params).verify_mode == ssl.CERT_NONE
    assert client_context(params).verify_mode == ssl.CERT_REQUIRED
    assert client_context(params).check_hostname
    other = params.model_copy(update={"tls_verify_clients": True, "tls_verify_servers": False})
    assert server_context(other).verify_mode == ssl.CERT_REQUIRED
    assert client_context(other).verify_mode == ssl.CERT_NONE
