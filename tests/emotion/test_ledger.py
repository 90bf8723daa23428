"""Comparisons on disk: added up by several processes, bounded, and nothing but numbers."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from voicebot.emotion.comparison import Comparison, utterance
from voicebot.emotion.ledger import PAIRS, Ledger, Pair
from voicebot.emotion.store import Store
from voicebot.errors import ModelError, OutputError

PAIR = Pair("acoustic@2", "acoustic@shipped", "aaaaaaaa/bbbbbbbb")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store(tmp_path / "store"))


def test_what_is_added_is_there_after_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.read() == {}
    ledger.add({PAIR: utterance(1.0, 2.0, 5.0)})
    ledger.add({PAIR: utterance(3.0, 5.0, 5.0)})
    total = Ledger(Store(tmp_path / "store")).read()[PAIR]
    assert total.scored.n == 2
    assert total.scored.difference == pytest.approx(1.5)
    assert "" < total.since <= total.until


def test_other_weights_under_the_same_names_are_another_pair(ledger: Ledger) -> None:
    ledger.add({PAIR: Comparison(calls=1)})
    ledger.add({Pair(PAIR.candidate, PAIR.active, "cccccccc/bbbbbbbb"): Comparison(calls=2)})
    assert sorted(total.calls for total in ledger.read().values()) == [1, 2]


def test_several_at_once_lose_nothing(ledger: Ledger, tmp_path: Path) -> None:
    def work() -> None:
        mine = Ledger(Store(tmp_path / "store"))
        for _ in range(10):
            mine.add({PAIR: Comparison(calls=1)})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.read()[PAIR].calls == 40


def test_it_is_bounded_and_the_latest_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = {Pair(f"acoustic@{k}", "acoustic@shipped"): Comparison(until=f"3000-{k:03d}")
             for k in range(PAIRS + 20)}  # fmt: skip
    ledger.add(pairs)
    kept = ledger.read()
    assert len(kept) == PAIRS
    assert min(total.until for total in kept.values()) == "3000-020"
    assert ledger.path.stat().st_size < 200_000


def test_clearing_forgets(ledger: Ledger) -> None:
    ledger.clear()
    ledger.add({PAIR: Comparison(calls=1)})
    ledger.clear()
    assert ledger.read() == {}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", '{"format": 1}', '{"format": 1, "pairs": [7]}',
     '{"format": 1, "pairs": [{"candidate": "a", "active": "b", "weights": "", "comparison": 1}]}'],
)  # fmt: skip
def test_a_damaged_file_is_named_and_left_alone(text: str, ledger: Ledger) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_text(text)
    with pytest.raises(ModelError, match="shadow.json: damaged") as caught:
        ledger.add({PAIR: Comparison(calls=1)})
    assert "clear" in caught.value.mend
    assert ledger.path.read_text() == text


def test_a_later_format_and_other_bins(ledger: Ledger) -> None:
    ledger.add({PAIR: Comparison(calls=1)})
    data = json.loads(ledger.path.read_text())
    data["pairs"][0]["comparison"]["latency"]["bins"] = [1, 2]
    ledger.path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match="histogram"):
        ledger.read()
    ledger.path.write_text(json.dumps({**data, "format": 2}))
    with pytest.raises(ModelError, match="later voicebot"):
        ledger.read()


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Ledger(Store(tmp_path / "file" / "store")).add({PAIR: Comparison(calls=1)})
