"""Trying candidates on live calls: they score beside the active models, and nobody acts on it.

What the active models were given is handed to a thread of its own, which has
each candidate score it, joins that with what the other modality said, and lets
both run through evidence and policy.  A call never waits for it and never sees
a score of it; a candidate that fails or is too slow is switched off.  What
remains are sums (:mod:`voicebot.emotion.comparison`) in the store.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Final

import structlog
from pydantic import field_validator

from voicebot.candidate import Candidate, Heard, Track
from voicebot.closing import Closing
from voicebot.emotion import comparison
from voicebot.emotion.calibration import read_calibration
from voicebot.emotion.comparison import Comparison
from voicebot.emotion.ledger import Ledger, Pair
from voicebot.emotion.listener import EmotionParams
from voicebot.emotion.live_models import LiveModels
from voicebot.emotion.pointer import MAX_SHADOWS, ModelId
from voicebot.errors import ModelError, VoicebotError
from voicebot.escalation.escalation import EscalationParams
from voicebot.params import Params, key

_log = structlog.get_logger(__name__)

QUEUE: Final = 1000
"""Utterances and ends of calls that may wait."""
FLUSH_SECONDS: Final = 30.0
"""s after which what was learnt is written though the call goes on."""
DRAIN_SECONDS: Final = 10.0
"""s that the end of a process waits for what is still to be tried."""


class ShadowParams(Params):
    """Candidates that score beside the active models.  Nobody acts on their scores."""

    candidates: list[str] = key(
        [],
        "Versions to be tried, each as NAME@VERSION. Those of the command voicebot models shadow "
        "are tried besides; it reaches running processes, too.",
    )
    limit_ms: float = key(
        250.0,
        "A candidate that takes more CPU time than this for an utterance, on average over "
        "twenty, is switched off.",
        unit="ms", gt=0.0, le=10_000.0,
    )  # fmt: skip
    backlog_seconds: float = key(
        600.0,
        "Speech that may wait to be tried. Beyond it utterances are left out, and their calls "
        "are not counted.",
        unit="s", ge=1.0, le=7200.0,
    )  # fmt: skip

    @field_validator("candidates")
    @classmethod
    def _named(cls, candidates: list[str]) -> list[str]:
        if len(candidates) > MAX_SHADOWS:
            raise ValueError(f"at most {MAX_SHADOWS} candidates")
        try:
            return [str(ModelId.parse(text)) for text in candidates]
        except ModelError as err:
            raise ValueError(str(err)) from None


class ShadowCall:
    """One call, as far as candidates are concerned.  Its methods never wait.

    Args:
        shadow: Takes what is handed over.
    """

    def __init__(self, shadow: Shadow) -> None:
        self._shadow = shadow
        self.missed = 0
        """utterances that there was no room for"""
        self.tracks: dict[ModelId, Track] | None = None
        """the shadow's own; None before the first utterance"""

    def settled(self, heard: Heard) -> None:
        """Hand over an utterance."""
        self.missed += not self._shadow.put(self, heard)

    def ended(self) -> None:
        """The call is over."""
        self._shadow.put(self, None)


class Shadow(Closing):
    """Candidates, and the thread in which they work.

    Args:
        live: The active models; also opens versions.
        params: Which candidates, and their limits.
        emotion: How the caller is scored.
        escalation: What scores come to.
    """

    def __init__(
        self,
        live: LiveModels,
        params: ShadowParams,
        emotion: EmotionParams,
        escalation: EscalationParams,
    ) -> None:
        self._live = live
        self._params = params
        self._emotion = emotion
        self._escalation = escalation
        self._ledger = Ledger(live.store)
        self._configured = tuple(ModelId.parse(text) for text in params.candidates)
        self._queue: queue.Queue[tuple[ShadowCall, Heard | None] | None] = queue.Queue(QUEUE)
        self._waiting = 0.0
        """s of speech in the queue"""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.off: dict[ModelId, str] = {}
        """candidates that were switched off, and why"""
        self._candidates: dict[ModelId, Candidate] = {}
        self._pairs: dict[tuple[ModelId, str], Pair] = {}
        self._news: dict[Pair, Comparison] = {}
        self._kept_at = time.monotonic()

    def call(self) -> ShadowCall | None:
        """The shadow of a new call; None if there is nothing to try."""
        self._live.current()  # looks whether others were chosen
        chosen = self._chosen()
        with self._lock:  # who is taken off and put on again is given another chance
            self.off = {model: why for model, why in self.off.items() if model in chosen}
        return ShadowCall(self) if any(model not in self.off for model in chosen) else None

    def put(self, call: ShadowCall, heard: Heard | None) -> bool:
        """Take an utterance, or None for the end of its call.

        Returns:
            False if there is no room for it.
        """
        seconds = len(heard.closed.pcm) / heard.rate if heard else 0.0
        with self._lock:
            if self._closing or self._waiting + seconds > self._params.backlog_seconds:
                return False
            try:
                self._queue.put_nowait((call, heard))
            except queue.Full:
                return False
            self._waiting += seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()
        return True

    def close(self) -> None:
        """Try what is waiting, for a while, and keep what was learnt."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._queue.unfinished_tasks and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._closing = True
        with contextlib.suppress(queue.Full):  # then there is something to wake up for
            self._queue.put_nowait(None)
        thread.join(DRAIN_SECONDS)

    def _chosen(self) -> list[ModelId]:
        """Candidates that have a part in these calls."""
        every = dict.fromkeys((*self._configured, *self._live.pointer.shadow))
        return [model for model in every if self._live.role(model.name)][:MAX_SHADOWS]

    # ------------------------------------------------------------ in the thread

    def _work(self) -> None:
        try:
            while not self._closing:
                if item := self._queue.get():
                    self._take(*item)
                self._queue.task_done()
            self._keep()
        except Exception as err:  # no call must notice, but somebody has to be told
            self._closing = True
            _log.error("shadow_failed", error=f"{type(err).__name__}: {err}")

    def _take(self, call: ShadowCall, heard: Heard | None) -> None:
        if heard is None:
            self._ended(call)
        else:
            with self._lock:
                self._waiting -= len(heard.closed.pcm) / heard.rate
            self._heard(call, heard)
        if heard is None or time.monotonic() - self._kept_at >= FLUSH_SECONDS:
            self._keep()

    def _heard(self, call: ShadowCall, heard: Heard) -> None:
        """Have every candidate score an utterance."""
        self._load()
        if call.tracks is None:  # who comes later has not heard the whole call
            call.tracks = {
                model: Track(self._emotion, self._escalation) for model in self._candidates
            }
        for model, candidate in list(self._candidates.items()):
            role = candidate.role
            active = heard.reading.models.get(role) or self._live.versions[role]
            if active == str(model):
                call.tracks.pop(model, None)
                continue
            try:
                pair = self._pair(model, active)
                tried = candidate.score(heard)
                if track := call.tracks.get(model):
                    track.take(pair, heard, tried)
            except Exception as err:  # whatever is wrong with it, calls and others go on
                self._switch_off(model, active, err)
                continue
            if tried:
                own, rival = (s.anger_logit if s else None for s in (tried.own, tried.rival))
                self._learn(pair, comparison.utterance(rival, own, tried.ms))
            if why := candidate.too_slow:
                self._switch_off(model, active, ModelError(f"{model}: {why}"))

    def _ended(self, call: ShadowCall) -> None:
        """Count a call that both have heard from beginning to end."""
        for model, track in (call.tracks or {}).items():
            if model not in self._candidates:
                continue
            if call.missed:
                for pair in track.pairs:
                    self._learn(pair, Comparison(missed=call.missed))
            elif len(track.pairs) == 1:
                self._learn(next(iter(track.pairs)), track.outcome())

    def _load(self) -> None:
        """Load candidates that are new, let go of those that are wanted no more."""
        wanted = [model for model in self._chosen() if model not in self.off]
        self._candidates = {m: c for m, c in self._candidates.items() if m in wanted}
        for model in wanted:
            if model in self._candidates:
                continue
            try:
                opened = self._live.open(model)
            except Exception as err:
                role = self._live.role(model.name)
                self._switch_off(model, self._live.versions[role] if role else "", err)
                continue
            self._candidates[model] = Candidate(model, opened, self._emotion, self._params.limit_ms)
            _log.info("shadow_on", candidate=str(model))

    def _pair(self, model: ModelId, active: str) -> Pair:
        """Who is compared, down to the weights.

        Raises:
            ModelError: a version has gone from the disk.
        """
        if (model, active) not in self._pairs:
            folders = (self._live.store.locate(m) for m in (model, ModelId.parse(active)))
            weights = [read_calibration(folder).model_sha256[:8] for folder in folders]
            self._pairs[model, active] = Pair(str(model), active, "/".join(weights))
        return self._pairs[model, active]

    def _switch_off(self, model: ModelId, active: str, err: Exception) -> None:
        why = err.what if isinstance(err, VoicebotError) else f"{type(err).__name__}: {err}"
        with self._lock:
            self.off[model] = why
        self._candidates.pop(model, None)
        pair = self._pairs.get((model, active), Pair(str(model), active))
        self._learn(pair, Comparison(off=why))
        _log.warning("shadow_off", candidate=str(model), reason=why)

    def _learn(self, pair: Pair, news: Comparison) -> None:
        self._news[pair] = self._news.get(pair, Comparison()).plus(news)

    def _keep(self) -> None:
        """Add what was learnt to the store; where that fails it is tried again later."""
        self._kept_at = time.monotonic()
        if not self._news:
            return
        try:
            self._ledger.add(self._news)
        except VoicebotError as err:
            _log.warning("shadow_not_kept", error=err.what, mend=err.mend)
            return
        self._news = {}
