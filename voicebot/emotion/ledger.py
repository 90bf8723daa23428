"""What was learnt of candidates, kept in the store: sums and no scores, words or audio.

Several processes add to one file, ``shadow.json``; each reads, adds and
replaces it while it holds a lock, and at most :data:`PAIRS` comparisons stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from voicebot.emotion.comparison import Comparison
from voicebot.emotion.pointer import replace_file
from voicebot.emotion.store import Store, locked, writing
from voicebot.errors import ModelError
from voicebot.plain import from_plain

FILE: Final = "shadow.json"
PAIRS: Final = 50
"""How many comparisons are kept, the latest."""
_FORMAT: Final = 1
_LOCK: Final = ".shadow.lock"


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Who was compared with whom."""

    candidate: str
    """``NAME@VERSION``"""
    active: str
    """``NAME@VERSION``"""
    weights: str = ""
    """tells other weights under the same names from these: the shipped model changes with
    voicebot, and a version may be removed and another installed in its place"""


class Ledger:
    """The file of comparisons of a store."""

    def __init__(self, store: Store) -> None:
        self._folder = store.folder
        self.path = store.folder / FILE

    def read(self) -> dict[Pair, Comparison]:
        """All comparisons that were kept.

        Raises:
            ModelError: the file is damaged, cannot be read, or is a later voicebot's.
        """
        mend = f"delete {self.path}, or `voicebot models shadow clear`"
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(data, dict) and data.get("format", 0) > _FORMAT:
                raise ModelError(f"{self.path}: written by a later voicebot", "update voicebot")
            return dict(_entry(item) for item in data["pairs"])
        except FileNotFoundError:
            return {}
        except OSError as err:
            raise ModelError(
                f"{self.path}: {err.strerror or err}", "mend its permissions"
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as err:
            raise ModelError(f"{self.path}: damaged: {err}", mend) from None

    def add(self, news: Mapping[Pair, Comparison]) -> None:
        """Add to what was kept.

        Raises:
            ModelError: the file is damaged; it is left as it is.
            OutputError: the store cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        stamped = Comparison(since=now, until=now)
        with writing(self._folder), locked(self._folder / _LOCK):
            kept = self.read()
            for pair, more in news.items():
                kept[pair] = kept.get(pair, Comparison()).plus(more).plus(stamped)
            latest = sorted(kept.items(), key=lambda item: item[1].until)[-PAIRS:]
            items = [{**asdict(pair), "comparison": asdict(total)} for pair, total in latest]
            text = json.dumps({"format": _FORMAT, "pairs": items}, indent=1, allow_nan=False)
            replace_file(self.path, text + "\n")

    def clear(self) -> None:
        """Forget everything.

        Raises:
            OutputError: the store cannot be written.
        """
        with writing(self._folder), locked(self._folder / _LOCK):
            self.path.unlink(missing_ok=True)


def _entry(item: Any) -> tuple[Pair, Comparison]:
    pair = Pair(str(item["candidate"]), str(item["active"]), str(item["weights"]))
    comparison = from_plain(Comparison, item["comparison"])
    assert isinstance(comparison, Comparison)
    if len(comparison.latency.bins) != len(Comparison().latency.bins):
        raise ValueError("a latency histogram of another length")
    return pair, comparison
