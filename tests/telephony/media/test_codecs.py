from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.signals import tone
from voicebot.telephony.media import codecs
from voicebot.telephony.media.codecs import available, make_coder, rate_of

needs_g722 = pytest.mark.skipif(not available(["G722"]), reason="needs the library G722")


@pytest.mark.parametrize(("name", "silence"), [("PCMU", 0xFF), ("PCMA", 0xD5)])
def test_g711_is_that_of_the_standard(name: str, silence: int) -> None:
    # aiortp's A-law was inverted: its silence was the loudest sound.
    coder = make_coder(name)
    assert coder.encode(np.zeros(160, np.int16)) == bytes([silence]) * 160
    assert int(np.max(np.abs(coder.decode(bytes([silence]) * 160)))) <= 8
    every = bytes(range(256))
    again = coder.encode(coder.decode(every))
    # Both codes of mu-law's zero are read as 0, and 0 is written as one of them.
    assert sum(a != b for a, b in zip(again, every, strict=True)) == (1 if name == "PCMU" else 0)
    assert (coder.rate, coder.per_tick, rate_of(name)) == (8000, 1, 8000)


@needs_g722
def test_g722_both_ways() -> None:
    coder = make_coder("G722")
    assert (coder.rate, coder.per_tick, rate_of("G722")) == (16000, 2, 16000)
    said = tone(1.0, 440.0, 5200.0, rate=16000)
    heard = []
    for start in range(0, len(said), 320):
        coded = coder.encode(said[start : start + 320])
        assert len(coded) == 160  # 20 ms at 64 kbit/s
        heard.append(coder.decode(coded))
    pcm = np.concatenate(heard)
    assert pcm.dtype == np.int16 and len(pcm) == len(said)
    delay = 22  # samples, of the two filter banks (ITU-T G.722 section 1.4.2: 3 ms at most)
    wanted, got = said[1600:-delay].astype(float), pcm[1600 + delay :].astype(float)
    assert np.corrcoef(wanted, got)[0, 1] > 0.99


@needs_g722
def test_g722_packets_depend_on_those_before() -> None:
    said = tone(0.2, 300.0, rate=16000)
    one, two = make_coder("G722"), make_coder("G722")
    whole = one.encode(said)
    parts = b"".join(two.encode(said[start : start + 320]) for start in range(0, len(said), 320))
    assert parts == whole


def test_a_missing_library_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    codecs._has_g722.cache_clear()
    try:
        with capture_logs() as logs:
            assert available(["G722", "PCMA"]) == ("PCMA",)
            assert available(["PCMU", "G722"]) == ("PCMU",)
        assert [entry["event"] for entry in logs] == ["codec_missing"]
    finally:
        codecs._has_g722.cache_clear()


def test_unknown_codecs() -> None:
    with pytest.raises(KeyError):
        make_coder("G729")
