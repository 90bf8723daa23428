from __future__ import annotations

import structlog

from voicebot.telephony.faults import Faults


def test_every_fault_is_counted_but_few_are_logged() -> None:
    now = [0.0]
    faults = Faults("audiosocket", lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            faults.count("audiosocket_truncated", peer="10.0.0.1:5")
        faults.count("audiosocket_idle")
        now[0] = 11.0
        faults.count("audiosocket_truncated", peer="10.0.0.1:5")
    assert faults.counters == {"audiosocket_truncated": 1001, "audiosocket_idle": 1}
    assert [(line["event"], line["unlogged"]) for line in lines] == [
        ("audiosocket_truncated", 0),
        ("audiosocket_idle", 0),
        ("audiosocket_truncated", 999),
    ]
