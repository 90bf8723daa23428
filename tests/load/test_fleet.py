from __future__ import annotations

from voicebot.load.fleet import outcomes


def test_a_log_line_among_the_outcomes_ends_nothing() -> None:
    lines = [
        '{"status": 200, "packets": 5}\n', "2026-11-24 18:00 [warning] sip_stray\n", "17\n", "\n",
        '{"status": 503, "packets": 0}\n',
    ]  # fmt: skip
    assert [outcome["status"] for outcome in outcomes(lines)] == [200, 503]
