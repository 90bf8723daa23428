"""Candidates on live calls: compared to the end, without a trace in the call."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from tests.emotion.versions import put, spoil
from voicebot import shadow as shadows
from voicebot.candidate import Candidate, Heard
from voicebot.config import Config
from voicebot.emotion import comparison
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.comparison import Comparison
from voicebot.emotion.ledger import Ledger
from voicebot.emotion.listener import CallerEmotion, EmotionParams
from voicebot.emotion.live_models import CHECK_SECONDS, LiveModels
from voicebot.emotion.pointer import MAX_SHADOWS, ModelId
from voicebot.emotion.store import Store
from voicebot.emotion.text import TextParams
from voicebot.engine import Engine
from voicebot.errors import ConfigError, ModelError
from voicebot.escalation.escalation import EscalationParams
from voicebot.events import Event, Final, Frame, Leg, Pcm
from voicebot.shadow import Shadow, ShadowParams
from voicebot.speech.endpointing import Closed, CloseReason

RATE = 8000


DEMO = Path(str(resources.files("voicebot"))) / "assets" / "demo"


@cache
def speech() -> Pcm:
    """The caller of the bundled English story."""
    samples, _ = soundfile.read(DEMO / "angry_en.flac", dtype="int16")
    return np.ascontiguousarray(samples[:, 0])


@cache
def stretches() -> list[Pcm]:
    """Two seconds of each longer utterance of that caller."""
    story = json.loads((DEMO / "angry_en.json").read_text("utf-8"))
    starts = [
        turn["start"] + 0.2
        for turn in story["utterances"]
        if turn["leg"] == "caller" and turn["end"] - turn["start"] > 2.4
    ]
    assert len(starts) >= 4
    return [speech()[round(at * RATE) : round((at + 2.0) * RATE)] for at in starts]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += CHECK_SECONDS  # every look is due
        return self.now


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("VOICEBOT_EMOTION_STORE", str(tmp_path / "store"))
    return Store()


@pytest.fixture
def live(store: Store) -> Iterator[LiveModels]:
    with LiveModels(store, "en", AcousticParams(), TextParams(), Clock()) as models:
        yield models


def shadow_of(live: LiveModels, *candidates: ModelId, **params: Any) -> Shadow:
    names = [str(model) for model in candidates]
    return Shadow(
        live, ShadowParams(candidates=names, **params), EmotionParams(), EscalationParams()
    )


def utterances(live: LiveModels, count: int, text: str = "") -> Iterator[Heard]:
    """Stretches of the caller's speech, as a call hands them over."""
    caller = CallerEmotion.following(live.current, EmotionParams())
    for k in range(count):
        start, pcm = 3.0 * k, stretches()[k % len(stretches())]
        final = Final(
            call_id="c", leg=Leg.CALLER, t=start + 2.5, utterance=k + 1, text=text, start=start,
            end=start + 2.0, confidence=0.9, language="en", engine="test",
        ) if text else None  # fmt: skip
        closed = Closed(
            t=start + 2.5, start=start, end=start + 2.0, speech_seconds=1.8, pcm=pcm,
            reason=CloseReason.ENDPOINT,
        )  # fmt: skip
        yield Heard(closed, RATE, final, caller.settled(pcm, RATE, 1.8, final))


def run(shadow: Shadow, heard: Iterator[Heard]) -> None:
    call = shadow.call()
    assert call is not None
    for one in heard:
        call.settled(one)
    call.ended()


def only(store: Store) -> Comparison:
    (total,) = Ledger(store).read().values()
    return total


def test_a_candidate_that_is_higher_by_a_nat_is_measured_so(live: LiveModels, store: Store) -> None:
    with shadow_of(live, put(store, "acoustic@2", nats=1.0)) as shadow:
        run(shadow, utterances(live, 5))
    ((pair, total),) = Ledger(store).read().items()
    assert (pair.candidate, pair.active) == ("acoustic@2", "acoustic@shipped")
    assert len(pair.weights) == 17
    assert total.scored.n == 5
    assert total.scored.difference == pytest.approx(1.0)
    assert total.scored.difference_sd == pytest.approx(0.0, abs=1e-6)
    assert total.scored.correlation == pytest.approx(1.0)
    assert total.calls == 1
    assert total.latency.mean_ms is not None
    assert total.latency.mean_ms > 0.1
    assert total.off == ""


def test_a_candidate_that_hears_anger_everywhere_would_have_alerted(
    live: LiveModels, store: Store
) -> None:
    with shadow_of(live, put(store, "acoustic@2", nats=8.0)) as shadow:
        run(shadow, utterances(live, 8))
    total = only(store)
    assert (total.alerts_active, total.alerts_both, total.alerts_candidate) == (0, 0, 1)
    assert total.angry_candidate > 0


def test_each_has_the_evidence_that_its_own_scores_come_to(live: LiveModels, store: Store) -> None:
    """Two models that disagree, once the one active and once the other: the peaks change places."""
    calm, angry = put(store, "acoustic@calm"), put(store, "acoustic@angry", nats=4.0)
    peaks = {}
    for active, candidate in ((calm, angry), (angry, calm)):
        store.activate(active)
        live.current()
        live.wait()
        with shadow_of(live, candidate) as shadow:
            run(shadow, utterances(live, 8))
        kept = {pair.active: total for pair, total in Ledger(store).read().items()}[str(active)]
        peaks[active] = (kept.peak_active, kept.peak_candidate)
    assert peaks[calm] == pytest.approx(tuple(reversed(peaks[angry])))
    assert peaks[angry][0] > peaks[calm][0] + 0.2


def test_a_text_candidate_reads_the_same_words(live: LiveModels, store: Store) -> None:
    with shadow_of(live, put(store, "text-en@2", nats=-0.5)) as shadow:
        run(shadow, utterances(live, 3, "this is the worst service i have ever seen"))
        run(shadow, utterances(live, 3))
    ((pair, total),) = Ledger(store).read().items()
    assert pair.active == "text-en@shipped"
    assert total.scored.n == 3, "where there are no words there is nothing to compare"
    assert total.scored.difference == pytest.approx(-0.5)
    assert total.calls == 2


def test_both_abstain_from_the_same_silence(live: LiveModels, store: Store) -> None:
    with shadow_of(live, put(store, "acoustic@2", nats=1.0)) as shadow:
        nothing = np.zeros(RATE, np.int16)
        silent = CallerEmotion.following(live.current, EmotionParams())
        reading = silent.settled(nothing, RATE, 0.9, None)
        closed = Closed(t=1.2, start=0.0, end=1.0, speech_seconds=0.9, pcm=nothing,
                        reason=CloseReason.ENDPOINT)  # fmt: skip
        run(shadow, iter([Heard(closed, RATE, None, reading)]))
    total = only(store)
    assert (total.scored.n, total.only_active, total.only_candidate) == (0, 0, 0)


def test_what_was_learnt_survives_a_restart(live: LiveModels, store: Store) -> None:
    model = put(store, "acoustic@2", nats=1.0)
    for _ in range(2):
        with shadow_of(live, model) as shadow:
            run(shadow, utterances(live, 2))
    assert (only(store).scored.n, only(store).calls) == (4, 2)


def test_only_numbers_are_kept(live: LiveModels, store: Store) -> None:
    with shadow_of(live, put(store, "text-en@2")) as shadow:
        run(shadow, utterances(live, 2, "my card number is four two four two"))
    kept = Ledger(store).path.read_text()
    assert "card" not in kept
    assert "four" not in kept
    total = json.loads(kept)["pairs"][0]["comparison"]

    def numbers(value: Any) -> bool:
        if isinstance(value, dict):
            return all(map(numbers, value.values()))
        return isinstance(value, int | float) or all(isinstance(v, int) for v in value)

    assert all(numbers(v) for k, v in total.items() if k not in ("since", "until", "off"))


def failing(after: int) -> Callable[..., Any]:
    score, count = AcousticModel.score, [0]

    def broken(self: AcousticModel, *arguments: Any) -> Any:
        if threading.current_thread().name == "shadow":
            count[0] += 1
            if count[0] > after:
                raise ModelError("it broke", "mend it")
        return score(self, *arguments)

    return broken


def test_a_candidate_that_fails_is_switched_off_and_the_rest_goes_on(
    live: LiveModels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = put(store, "acoustic@2")
    good = put(store, "text-en@2")
    monkeypatch.setattr(AcousticModel, "score", failing(3))  # the first is the trial run
    with capture_logs() as logs, shadow_of(live, bad, good) as shadow:
        run(shadow, utterances(live, 5, "this is the worst service i have ever seen"))
    assert shadow.off == {bad: "it broke"}
    (entry,) = [e for e in logs if e["event"] == "shadow_off"]
    assert (entry["candidate"], entry["reason"]) == ("acoustic@2", "it broke")
    kept = {pair.candidate: total for pair, total in Ledger(store).read().items()}
    assert kept["acoustic@2"].scored.n == 2
    assert kept["acoustic@2"].off == "it broke"
    assert kept["acoustic@2"].calls == 0, "it has not heard the call to its end"
    assert (kept["text-en@2"].scored.n, kept["text-en@2"].calls) == (5, 1)
    assert shadow.call() is not None, "for the other one"


def test_a_score_that_is_no_number_is_a_failure(
    live: LiveModels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = put(store, "text-en@2", nats=float("nan"))
    with shadow_of(live, model) as shadow:
        run(shadow, utterances(live, 2, "this is the worst service i have ever seen"))
    assert model in shadow.off


def test_a_slow_candidate_is_switched_off(live: LiveModels, store: Store) -> None:
    model = put(store, "acoustic@2")
    with capture_logs() as logs, shadow_of(live, model, limit_ms=0.01) as shadow:
        run(shadow, utterances(live, 4))
    assert "the limit is 0.01 ms" in shadow.off[model]
    assert [e["event"] for e in logs].count("shadow_off") == 1
    assert shadow.call() is None
    assert 0 < only(store).scored.n < 4


@pytest.mark.parametrize("fault", ["absent", "spoilt", "kind"])
def test_a_candidate_that_does_not_load_is_switched_off(
    fault: str, live: LiveModels, store: Store
) -> None:
    model = ModelId("acoustic", "2")
    if fault == "spoilt":
        spoil(store, put(store, str(model)))
    if fault == "kind":
        put(store, "text-en@2")
        (store.folder / "text-en").rename(store.folder / "acoustic")
    with shadow_of(live, model) as shadow:
        run(shadow, utterances(live, 2))
    assert model in shadow.off
    assert only(store).off


def test_what_there_is_no_time_for_is_counted_and_the_call_is_not(
    live: LiveModels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    score = Candidate.score

    def slow(self: Candidate, heard: Heard) -> Any:
        assert go.wait(30)
        return score(self, heard)

    monkeypatch.setattr(Candidate, "score", slow)
    with shadow_of(live, put(store, "acoustic@2"), backlog_seconds=4.0) as shadow:
        call = shadow.call()
        assert call is not None
        began = time.monotonic()
        for one in utterances(live, 8):
            call.settled(one)
        assert time.monotonic() - began < 10, "the call does not wait"
        assert call.missed >= 5
        call.ended()
        go.set()
    assert only(store).missed == call.missed
    assert only(store).calls == 0


def test_nothing_is_done_where_there_is_nothing_to_try(live: LiveModels, store: Store) -> None:
    other = put(store, "text-ko@2")
    with shadow_of(live, other) as shadow:
        assert shadow.call() is None, "no part in English calls"
    with shadow_of(live) as shadow:
        assert shadow.call() is None
    assert not any(thread.name == "shadow" for thread in threading.enumerate())
    assert Ledger(store).read() == {}


def test_the_active_model_is_not_compared_with_itself(live: LiveModels, store: Store) -> None:
    model = put(store, "acoustic@2")
    store.activate(model)
    live.current()
    live.wait()
    with shadow_of(live, model) as shadow:
        run(shadow, utterances(live, 2))
    assert Ledger(store).read() == {}


def test_a_call_in_which_the_active_model_changed_is_no_verdict(
    live: LiveModels, store: Store
) -> None:
    other = put(store, "acoustic@3", nats=0.5)
    with shadow_of(live, put(store, "acoustic@2", nats=1.0)) as shadow:
        call = shadow.call()
        assert call is not None
        for one in utterances(live, 2):
            call.settled(one)
        store.activate(other)
        live.current()
        live.wait()
        for one in utterances(live, 2):
            call.settled(one)
        call.ended()
    kept = {pair.active: total for pair, total in Ledger(store).read().items()}
    assert kept["acoustic@shipped"].scored.difference == pytest.approx(1.0)
    assert kept["acoustic@3"].scored.difference == pytest.approx(0.5)
    assert [total.calls for total in kept.values()] == [0, 0]


def test_the_command_reaches_running_processes_and_gives_another_chance(
    live: LiveModels, store: Store
) -> None:
    model = put(store, "acoustic@2")
    with shadow_of(live) as shadow:
        assert shadow.call() is None
        store.shadow([model])
        shadow.call()
        live.wait()
        assert shadow.call() is not None
        shadow.off[model] = "it broke"
        assert shadow.call() is None
        store.shadow([])
        shadow.call()
        live.wait()
        shadow.call()
        store.shadow([model])
        shadow.call()
        live.wait()
        assert shadow.call() is not None


def test_a_store_that_cannot_be_written_costs_only_the_numbers(
    live: LiveModels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = put(store, "acoustic@2")
    Ledger(store).path.mkdir()
    with capture_logs() as logs, shadow_of(live, model) as shadow:
        run(shadow, utterances(live, 1))
    assert {e["event"] for e in logs} >= {"shadow_not_kept"}
    assert not [e for e in logs if e["event"] == "shadow_failed"]


def test_a_fault_of_the_shadow_is_told_and_is_not_the_calls(
    live: LiveModels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(comparison, "utterance", fault)
    with capture_logs() as logs, shadow_of(live, put(store, "acoustic@2")) as shadow:
        run(shadow, utterances(live, 2))
    assert [e["error"] for e in logs if e["event"] == "shadow_failed"] == ["RuntimeError: a fault"]


def test_the_end_does_not_wait_for_ever(
    live: LiveModels, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "DRAIN_SECONDS", 0.2)
    score = Candidate.score

    def slow(self: Candidate, heard: Heard) -> Any:
        time.sleep(1.0)
        return score(self, heard)

    monkeypatch.setattr(Candidate, "score", slow)
    shadow = shadow_of(live, put(store, "acoustic@2"))
    run(shadow, utterances(live, 8))
    began = time.monotonic()
    shadow.close()
    shadow.close()
    assert time.monotonic() - began < 5, "it would take 8 s to try them all"


def test_bad_settings_are_named() -> None:
    from voicebot import config

    with pytest.raises(ConfigError, match="which version"):
        config.load(None, {"VOICEBOT__SHADOW__CANDIDATES": "[acoustic]"})
    many = ", ".join(f"acoustic@{k}" for k in range(MAX_SHADOWS + 1))
    with pytest.raises(ConfigError, match="at most"):
        config.load(None, {"VOICEBOT__SHADOW__CANDIDATES": f"[{many}]"})


def hear(config: Config) -> list[dict[str, Any]]:
    """A real call of the bundled story's caller, by a real engine; its events."""
    events: list[Event] = []
    part = speech()[18 * RATE : 34 * RATE]
    with Engine(config, "none") as engine:
        call = engine.call("demo", [Leg.CALLER], RATE, events.append)
        call.start()
        for at in range(0, len(part), 800):
            call.push({Leg.CALLER: Frame(part[at : at + 800], RATE, at / RATE)})
        call.end("end_of_audio")
    plain = [event.to_dict() for event in events]
    return [
        {k: v for k, v in e.items() if k not in ("call_id", "started_at", "alert_id")}
        for e in plain
    ]


def test_a_real_call_is_the_same_with_a_shadow_and_its_evidence_is_reckoned_alike(
    store: Store,
) -> None:
    store.activate(put(store, "acoustic@1", nats=6.0))  # so that there is evidence at all
    alone = hear(Config())
    model = put(store, "acoustic@2", nats=6.0)
    tried = hear(Config(shadow=ShadowParams(candidates=[str(model)])))
    assert tried == alone
    total = only(store)
    assert total.calls == 1
    assert total.peak_active == pytest.approx(alone[-1]["peak_evidence"], abs=1e-3)
    assert total.peak_active > 0.2
    assert total.peak_candidate == pytest.approx(total.peak_active)
    settled = [e for e in alone if e["type"] == "emotion" and e["settled"]]
    assert total.scored.n == len(settled) >= 2
