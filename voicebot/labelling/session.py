"""One rater at work on some calls: what both front ends, the terminal and the page, share."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from voicebot.closing import Closing
from voicebot.errors import AudioError, LabelError
from voicebot.events import Leg
from voicebot.labelling.calls import CallAudio, read_call
from voicebot.labelling.spans import Span, clipped
from voicebot.labelling.store import LabelStore, Rating
from voicebot.plain import to_plain

_CLOSE_SECONDS: Final = 30.0
GAP_SECONDS: Final = 0.5
"""s of the caller's speech that may be skipped and still count as heard"""


@dataclass(frozen=True, slots=True)
class CallStatus:
    """How far the rater is with a call."""

    call: str
    seconds: float | None
    """s; None before it was first opened"""
    heard: float
    """s"""
    spans: int
    done: bool
    problem: str
    """why it cannot be labelled; empty if it can"""


class LabelSession(Closing):
    """The calls, the store and one rater.  Thread-safe.

    Args:
        calls: From :func:`voicebot.labelling.calls.find_calls`.
        store: Where labels go.
        rater: Whose they are.
        legs: What the channels are, as for :func:`voicebot.labelling.calls.read_call`.

    Raises:
        LabelError: a rater's name that cannot be used.
        OutputError: labels cannot be saved.
    """

    def __init__(
        self,
        calls: Mapping[str, Path],
        store: LabelStore,
        rater: str,
        legs: Sequence[Leg | None] | None = None,
    ) -> None:
        store.check_writable(rater)
        self.calls = dict(calls)
        self.names = tuple(calls)
        self.rater = rater
        self.store = store
        self._legs = legs
        self._lock = threading.Lock()
        self._closed = False
        self._opened: tuple[str, CallAudio] | None = None
        self._known: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {}
        """s and speech of the calls that were opened"""
        self._problems: dict[str, str] = {}

    def close(self) -> None:
        """Wait for what is being read or saved, and begin nothing more.

        A thread of a web server must not be in the middle of native code when the process ends.
        """
        if not self._closed:
            self._closed = self._lock.acquire(timeout=_CLOSE_SECONDS)

    def audio(self, call: str) -> CallAudio:
        """The recording of a call; the last one is kept in memory.

        Raises:
            AudioError: it cannot be read.
        """
        with self._lock:
            if self._opened is None or self._opened[0] != call:
                try:
                    self._opened = call, read_call(self.calls[call], self._legs)
                except AudioError as err:
                    self._problems[call] = str(err)
                    raise
                self._problems.pop(call, None)
                audio = self._opened[1]
                self._known[call] = round(audio.seconds, 4), audio.speech
            return self._opened[1]

    def rating(self, call: str) -> Rating:
        """What is marked in a call so far: nothing heard yet, if it is new.

        Raises:
            AudioError: the recording cannot be read.
            LabelError: the labels cannot be read.
        """
        if call not in self._known:
            self.audio(call)
        seconds, speech = self._known[call]
        found = self.store.load(call, self.rater)
        if found is None:
            return Rating(call, self.rater, (), seconds, 0.0, speech)
        return replace(
            found,
            spans=clipped(found.spans, 0.0, seconds),
            seconds=seconds,
            speech=speech,
            heard=None if found.done else found.heard,
        )

    def save(
        self, call: str, spans: Sequence[Span], heard: float | None, *, revision: str
    ) -> Rating:
        """Save what is marked now, at once.

        Args:
            call: Of :attr:`names`.
            spans: In order, without overlap, never ``other``.
            heard: s up to which the rater has listened; None for all of it.
            revision: Of the rating that these spans come from (:func:`revision_of`).

        Raises:
            AudioError: the recording cannot be read.
            LabelError: the labels were changed elsewhere meanwhile.
            OutputError: they cannot be written.
        """
        known = self.rating(call)
        assert known.seconds is not None
        if heard is not None and heard >= known.seconds - 0.05:
            heard = None
        kept = clipped(spans, 0.0, known.seconds)
        rating = replace(known, spans=kept, heard=heard)
        with self._lock:
            stored = self.store.load(call, self.rater)
            if stored is not None and revision_of(stored) != revision:
                raise LabelError(
                    f"{call}: its labels were changed elsewhere meanwhile",
                    "open the call again, and mark once more what is missing",
                )
            self.store.save(rating)
        return rating

    def overview(self) -> list[CallStatus]:
        """How far the rater is, call by call.

        Raises:
            LabelError: some labels cannot be read.
        """
        out = []
        for call in self.names:
            found = self.store.load(call, self.rater)
            problem = self._problems.get(call, "")
            if found is None:
                out.append(CallStatus(call, None, 0.0, 0, False, problem))
            else:
                heard = found.seconds if found.heard is None else found.heard
                out.append(
                    CallStatus(
                        call, found.seconds, heard or 0.0, len(found.spans), found.done, problem
                    )
                )
        return out

    def next_open(self, after: int = -1) -> int | None:
        """The index of the next call that is not done and not broken, round the end; or None."""
        overview = self.overview()
        count = len(overview)
        order = [(after + 1 + step) % count for step in range(count)]
        return next((i for i in order if not overview[i].done and not overview[i].problem), None)


def revision_of(rating: Rating) -> str:
    """A short name of exactly this content, to notice that somebody else has changed it."""
    content = to_plain({"spans": rating.spans, "heard": None if rating.done else rating.heard})
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def heard_up_to(rating: Rating, heard: float, t: float) -> float:
    """How far a call counts as heard once it was played at ``t``.

    Pauses may be skipped, and :data:`GAP_SECONDS` of speech; a larger jump leaves a hole, and
    what lies before the hole is all that counts.

    Args:
        rating: Has the caller's speech.
        heard: s, so far.
        t: s, what plays now.
    """
    skipped = sum(max(0.0, min(end, t) - max(start, heard)) for start, end in rating.speech or ())
    return max(heard, t) if skipped <= GAP_SECONDS else heard
