"""Heard calls on disk: one file of columns for each few calls, compressed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import astuple, fields
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from voicebot.calls.listen import Utterance
from voicebot.calls.record import Facts, Heard, Observation
from voicebot.errors import OutputError
from voicebot.events import EMOTIONS, EmotionScore
from voicebot.plain import from_plain, to_plain

_NUMBERS: Final = (
    "opened", "start", "end", "t", "speech_seconds", "snr_db", "confidence", "angry_share",
)  # fmt: skip
FORMAT: Final = 1
"""Of the files; part of their names, raised when it changes."""
_SCORES: Final = ("voice", "words")
"""Their fusion is no part of it: it is made again with the settings in force."""

_BROKEN: Final = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)

Column = npt.NDArray[Any]


def save(path: Path, calls: Sequence[Heard]) -> None:
    """Write heard calls; the file appears whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    seen = [o for call in calls for o in call.observations]
    columns: dict[str, Column] = {
        "facts": np.array(json.dumps([to_plain(call.facts) for call in calls])),
        "count": np.array([len(call.observations) for call in calls], dtype=np.int64),
        "abstained": np.array([o.abstained for o in seen], dtype=np.str_),
    }
    for name in _NUMBERS:
        columns[name] = np.array([getattr(o, name) for o in seen], dtype=np.float64)
    for name in _SCORES:
        rows = [_row(getattr(o, name)) for o in seen]
        columns[name] = np.array(rows, dtype=np.float64).reshape(len(seen), len(EMOTIONS) + 1)
    _write(path, columns)


def load(path: Path) -> list[Heard] | None:
    """Read heard calls, not yet fused; None if the file is not there, broken or of another make."""
    try:
        with np.load(path) as file:
            columns = {name: file[name] for name in file.files}
        facts = [from_plain(Facts, f) for f in json.loads(str(columns["facts"]))]
        observations = _observations(columns)
        ends = np.cumsum(columns["count"])
        return [
            Heard(fact, tuple(observations[end - count : end]))
            for fact, count, end in zip(facts, columns["count"], ends, strict=True)
        ]
    except _BROKEN:
        return None


def save_utterances(path: Path, calls: Sequence[Sequence[Utterance]]) -> None:
    """Write where the utterances of some calls lie.

    Raises:
        OutputError: it cannot be written.
    """
    rows = [astuple(one) for call in calls for one in call]
    _write(
        path,
        {
            "count": np.array([len(call) for call in calls], dtype=np.int64),
            "rows": np.array(rows, dtype=np.float64).reshape(len(rows), len(fields(Utterance))),
        },
    )


def load_utterances(path: Path) -> list[tuple[Utterance, ...]] | None:
    """Read what :func:`save_utterances` wrote; None if it is not there or broken."""
    try:
        with np.load(path) as file:
            counts, rows = file["count"].tolist(), file["rows"].tolist()
        found = [Utterance(o, s, e, t, v, int(n)) for o, s, e, t, v, n in rows]
    except _BROKEN:
        return None
    ends = accumulate(counts)
    return [tuple(found[end - n : end]) for n, end in zip(counts, ends, strict=True)]


def _write(path: Path, columns: dict[str, Column]) -> None:
    """Write a file that appears whole or not at all."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(part, **cast(Any, columns))
        part.replace(path)
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "free some space or choose another --cache"
        ) from err


def _observations(columns: dict[str, Column]) -> list[Observation]:
    numbers = zip(*(columns[name].tolist() for name in _NUMBERS), strict=True)
    scores = zip(*(columns[name].tolist() for name in _SCORES), strict=True)
    return [
        Observation(
            **dict(zip(_NUMBERS, number, strict=True)),
            fused=None,
            voice=_score(score[0]),
            words=_score(score[1]),
            abstained=abstained,
        )
        for number, score, abstained in zip(
            numbers, scores, columns["abstained"].tolist(), strict=True
        )
    ]


def _row(score: EmotionScore | None) -> list[float]:
    """A score as numbers; NaN where there is none."""
    if score is None:
        return [float("nan")] * (len(EMOTIONS) + 1)
    return [*(score.probabilities[name] for name in EMOTIONS), score.anger_logit]


def _score(row: list[float]) -> EmotionScore | None:
    if row[-1] != row[-1]:  # NaN
        return None
    return EmotionScore(dict(zip(EMOTIONS, row[:-1], strict=True)), row[-1])
