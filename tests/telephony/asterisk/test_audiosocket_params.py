from __future__ import annotations

import pytest
from pydantic import ValidationError

from voicebot.telephony.asterisk.audiosocket_params import AudioSocketParams, read_door


def test_a_door_may_name_a_queue() -> None:
    assert read_door("sales=10.0.0.1:9093").queue == "sales"
    assert read_door("[::1]:9092").host == "::1"
    for wrong in ("9092", "host:", "host:70000", "a b=host:1", "queue=:1"):
        with pytest.raises(ValueError):
            read_door(wrong)


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        AudioSocketParams(listen=["nowhere"])
    with pytest.raises(ValidationError, match="10.0.0.0/99"):
        AudioSocketParams(allow=["10.0.0.0/99"])
