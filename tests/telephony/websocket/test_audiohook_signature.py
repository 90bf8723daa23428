from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.websocket.audiohook_signature import REQUIRED, AudiohookSigner, parse_input

# The example of Genesys' session walkthrough ("Establishing connection").
KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = base64.b64decode("TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=")
TARGET = "/api/v1/voicebiometrics/ws"
HOST = "audiohook.example.com"
CREATED = 1641013200
HEADERS = {
    "host": HOST,
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "x-api-key": KEY,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": (
        'sig1=("@request-target" "@authority" "audiohook-organization-id" '
        '"audiohook-session-id" "audiohook-correlation-id" "x-api-key");'
        f'keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";'
        f"created={CREATED};expires=3282026430"
    ),
}


def signer(now: float = CREATED) -> AudiohookSigner:
    return AudiohookSigner(KEY, SECRET, lambda: now)


def signed(
    components: tuple[str, ...] = REQUIRED, parameters: str = "", secret: bytes = SECRET
) -> dict[str, str]:
    """Headers with a signature made as the specification says, by other code than ours."""
    parameters = parameters or (
        f';keyid="{KEY}";nonce="abcdefghijklmnopqrstuv";alg="hmac-sha256";created={CREATED}'
    )
    described = "(" + " ".join(f'"{name}"' for name in components) + ")" + parameters
    values = HEADERS | {"@request-target": TARGET, "@authority": HOST}
    lines = [f'"{name}": {values[name]}' for name in components]
    base = "\n".join([*lines, f'"@signature-params": {described}'])
    mac = base64.b64encode(hmac.new(secret, base.encode(), hashlib.sha256).digest()).decode()
    return HEADERS | {"signature-input": f"sig1={described}", "signature": f"sig1=:{mac}:"}


def test_the_example_of_the_specification_is_good() -> None:
    assert signer().check(TARGET, HOST, HEADERS) == ""


@pytest.mark.parametrize("name", [*(n for n in REQUIRED if n in HEADERS), "signature"])
def test_a_header_that_was_changed_is_found_out(name: str) -> None:
    changed = HEADERS | {
        name: HEADERS[name].replace("4", "5").replace("S", "T").replace("NZ", "NY")
    }
    assert signer().check(TARGET, HOST, changed)


def test_another_path_host_or_secret_is_found_out() -> None:
    assert signer().check(TARGET + "/", HOST, HEADERS)
    assert signer().check(TARGET, "evil.example.com", HEADERS)
    assert AudiohookSigner(KEY, b"other", lambda: CREATED).check(TARGET, HOST, HEADERS)
    assert AudiohookSigner("other", SECRET, lambda: CREATED).check(TARGET, HOST, HEADERS)


def test_a_request_is_good_once() -> None:
    one = signer()
    assert one.check(TARGET, HOST, HEADERS) == ""
    assert one.check(TARGET, HOST, HEADERS) == "replayed"


@pytest.mark.parametrize(("now", "why"), [(-10, "future"), (14, "expired"), (3600, "expired")])
def test_a_request_is_good_for_seconds(now: float, why: str) -> None:
    assert why in signer(CREATED + now).check(TARGET, HOST, HEADERS)


def test_old_nonces_are_forgotten() -> None:
    now = [float(CREATED)]
    one = AudiohookSigner(KEY, SECRET, lambda: now[0])
    for i in range(100):
        now[0] = CREATED + i
        parameters = f';keyid="{KEY}";nonce="nonce-{i:020d}";created={CREATED + i}'
        assert one.check(TARGET, HOST, signed(parameters=parameters)) == ""
    assert len(one._nonces) < 25


@pytest.mark.parametrize("left_out", REQUIRED)
def test_all_six_components_must_be_covered(left_out: str) -> None:
    fewer = tuple(name for name in REQUIRED if name != left_out)
    assert signer().check(TARGET, HOST, signed(fewer)) == f"not covered: {left_out}"


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (f';keyid="{KEY}";nonce="short";created={CREATED}', "nonce"),
        (f';keyid="{KEY}";nonce="abcdefghijklmnopqrstuv"', "created"),
        (f';keyid="x";nonce="abcdefghijklmnopqrstuv";created={CREATED}', "wrong"),
        (f';keyid="{KEY}";nonce="abcdefghijklmnopqrstuv";created={CREATED};alg="none"', "wrong"),
        (f';keyid="{KEY}";nonce="abcdefghijklmnopqrstuv";created="{CREATED}"', "wrong type"),
        (f';keyid="{KEY}";created={CREATED};created={CREATED}', "repeated"),
        (f';keyid="{KEY}";odd="x";created={CREATED}', "unknown"),
    ],
)
def test_parameters_are_checked(parameters: str, why: str) -> None:
    assert why in signer().check(TARGET, HOST, signed(parameters=parameters))


def test_a_component_listed_twice_or_absent_is_refused() -> None:
    assert signer().check(TARGET, HOST, signed((*REQUIRED, "x-api-key")))
    headers = signed()
    del headers["audiohook-session-id"]
    assert signer().check(TARGET, HOST, headers) == "a component is missing"


@given(st.text(max_size=300), st.text(max_size=100))
def test_no_header_breaks_it(given_input: str, signature: str) -> None:
    headers = HEADERS | {"signature-input": given_input, "signature": signature}
    assert signer().check(TARGET, HOST, headers)


@given(st.text(alphabet='sig1=();"@a-z \t:,*', max_size=200))
def test_what_looks_like_an_input_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_input(text)
