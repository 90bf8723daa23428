from __future__ import annotations

import pytest
from pydantic import ValidationError

from voicebot.telephony.media.media_params import MediaParams
from voicebot.telephony.media.sdp_types import SrtpMode


def test_what_is_set_is_what_is_negotiated() -> None:
    params = MediaParams(codecs=["PCMA"], ptime_ms=30, srtp=SrtpMode.REQUIRED)
    abilities = params.abilities()
    assert (abilities.codecs, abilities.ptime_ms, abilities.srtp) == (
        ("PCMA",),
        30,
        SrtpMode.REQUIRED,
    )


def test_by_default_only_this_machine_is_listened_to() -> None:
    assert MediaParams().host == "127.0.0.1"


def test_all_addresses_with_one_to_be_told() -> None:
    assert MediaParams(host="0.0.0.0", advertise="192.0.2.1").advertise == "192.0.2.1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"codecs": ["G729"]},
        {"ptime_ms": 5},
        {"codecs": []},
        {"host": "0.0.0.0"},  # in a description it would mean hold
        {"host": "::", "advertise": "0.0.0.0"},
        {"port_low": 30001, "port_high": 30002},
    ],
)
def test_what_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MediaParams.model_validate(wrong)
