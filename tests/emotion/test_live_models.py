"""Models swapped while others use them: in the background, whole, and never for a broken one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.emotion.versions import put, spoil, variant
from voicebot.emotion import live_models, opening
from voicebot.emotion.acoustic import AcousticParams
from voicebot.emotion.live_models import CHECK_SECONDS, LiveModels
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.opening import EmotionModel, open_model, run_once
from voicebot.emotion.pointer import FILE, SHIPPED, ModelId
from voicebot.emotion.store import Store
from voicebot.emotion.text import TextParams
from voicebot.errors import ModelError


class Clock:
    """Tells the time that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def live(store: Store, clock: Clock) -> Iterator[LiveModels]:
    with open_live(store, clock) as models:
        yield models


def open_live(
    store: Store, clock: Clock, language: str = "en", voice: str = "acoustic"
) -> LiveModels:
    return LiveModels(store, language, AcousticParams(), TextParams(), clock, voice)


def after_a_look(live: LiveModels, clock: Clock) -> dict[str, str]:
    """The versions once a look was due and what it found was loaded."""
    clock.now += CHECK_SECONDS
    live.current()
    live.wait()
    return dict(live.current().versions)


def logit(model: EmotionModel | None) -> float:
    assert model is not None
    score = run_once(model)
    assert score is not None
    return score.anger_logit


def test_without_a_store_the_shipped_models_score(live: LiveModels) -> None:
    models = live.current()
    assert models.versions == {"acoustic": "acoustic@shipped", "text": "text-en@shipped"}
    assert models.text is not None
    assert models.text.language == "en"


@pytest.mark.parametrize("language", ["none", "de"])
def test_a_language_without_a_text_model_has_none(
    language: str, store: Store, clock: Clock
) -> None:
    with open_live(store, clock, language) as live:
        assert live.current().text is None
        assert set(live.versions) == {"acoustic"}
        assert live.role("text-en") is None
        assert live.role("acoustic") == "acoustic"


def test_the_small_model_listens_where_it_is_asked_for_and_is_swapped_alike(
    store: Store, clock: Clock
) -> None:
    small = models_dir() / "acoustic-small"
    with open_live(store, clock, voice="acoustic-small") as live:
        assert live.versions["acoustic"] == "acoustic-small@shipped"
        before = logit(live.current().acoustic)
        assert before == logit(open_model("acoustic-small", small))
        assert before != logit(open_model("acoustic", models_dir() / "acoustic"))
        assert (live.role("acoustic-small"), live.role("acoustic")) == ("acoustic", None)
        store.activate(put(store, "acoustic@1"))
        store.activate(put(store, "acoustic-small@1", nats=1.0))
        assert after_a_look(live, clock)["acoustic"] == "acoustic-small@1"
        assert logit(live.current().acoustic) == pytest.approx(before + 1.0)
        assert live.counts.swapped == 1


def test_a_voice_of_ones_own_needs_no_shipped_one(store: Store, clock: Clock) -> None:
    own = ModelId("acoustic-own", "1")
    variant(store.folder / own.name / own.version)
    with pytest.raises(ModelError, match="acoustic-own@shipped: not in") as caught:
        open_live(store, clock, voice="acoustic-own")
    assert "acoustic-own@1" in caught.value.mend
    store.activate(own)
    with open_live(store, clock, voice="acoustic-own") as live:
        assert live.versions["acoustic"] == "acoustic-own@1"
    spoil(store, own)
    with pytest.raises(ModelError, match="acoustic-own/1"):
        open_live(store, clock, voice="acoustic-own")


def test_an_activation_is_noticed_and_scores(live: LiveModels, store: Store, clock: Clock) -> None:
    before = logit(live.current().acoustic)
    store.activate(put(store, "acoustic@1", nats=1.0))
    assert live.current().versions["acoustic"] == "acoustic@shipped", "a look is not due yet"
    assert after_a_look(live, clock)["acoustic"] == "acoustic@1"
    assert logit(live.current().acoustic) == pytest.approx(before + 1.0)
    store.rollback("acoustic")
    assert after_a_look(live, clock)["acoustic"] == "acoustic@shipped"
    assert logit(live.current().acoustic) == pytest.approx(before)
    assert (live.counts.swapped, live.counts.failed) == (2, 0)


def test_only_what_changed_is_loaded(live: LiveModels, store: Store, clock: Clock) -> None:
    text = live.current().text
    store.activate(put(store, "acoustic@1"))
    store.activate(put(store, "text-ko@1"))
    assert after_a_look(live, clock) == {"acoustic": "acoustic@1", "text": "text-en@shipped"}
    assert live.current().text is text


def test_looking_costs_one_stat_a_second(
    live: LiveModels, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    monkeypatch.setattr(Store, "stamp", lambda self: looks.append(1))
    for _ in range(96):
        clock.now += CHECK_SECONDS / 8
        live.current()
    assert len(looks) == 12
    began = time.perf_counter()
    for _ in range(1000):
        live.current()
    assert time.perf_counter() - began < 0.1


def test_nobody_waits_while_a_model_is_loaded(
    live: LiveModels, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    opened = opening.open_model

    def slow(*arguments: object) -> EmotionModel:
        assert go.wait(30)
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(live_models, "open_model", slow)
    store.activate(put(store, "acoustic@1"))
    for _ in range(5):  # looks that are due meanwhile start no second loading
        clock.now += CHECK_SECONDS
        assert live.current().versions["acoustic"] == "acoustic@shipped"
    assert sum(t.name == "emotion-models" for t in threading.enumerate()) == 1
    store.activate(put(store, "acoustic@2"))
    go.set()
    live.wait()
    assert after_a_look(live, clock)["acoustic"] == "acoustic@2", "what came meanwhile is not lost"


def test_a_broken_version_is_logged_counted_and_the_old_one_goes_on(
    live: LiveModels, store: Store, clock: Clock
) -> None:
    one, two = put(store, "acoustic@1"), put(store, "acoustic@2")
    store.activate(one)
    after_a_look(live, clock)
    store.activate(two)
    spoil(store, two)
    with capture_logs() as logs:
        assert after_a_look(live, clock)["acoustic"] == "acoustic@1"
        after_a_look(live, clock)
    (entry,) = [e for e in logs if e["event"] == "emotion_model_failed"]
    assert (entry["model"], entry["kept"]) == ("acoustic@2", "acoustic@1")
    assert "acoustic/2" in entry["error"]
    assert live.counts.failed == 1, "it is not tried again before something changes"
    assert entry["error"] == live.counts.last_error
    store.activate(one)
    assert after_a_look(live, clock)["acoustic"] == "acoustic@1"


def test_a_version_that_goes_missing_is_one_that_fails(
    live: LiveModels, store: Store, clock: Clock
) -> None:
    one = put(store, "acoustic@1")
    store.activate(one)
    store.locate(one).rename(store.folder / "gone")
    assert after_a_look(live, clock)["acoustic"] == "acoustic@shipped"
    assert "acoustic@1: not in" in live.counts.last_error


def test_a_pointer_damaged_while_running_changes_nothing(
    live: LiveModels, store: Store, clock: Clock
) -> None:
    store.activate(put(store, "acoustic@1"))
    after_a_look(live, clock)
    (store.folder / FILE).write_text("{")
    with capture_logs() as logs:
        assert after_a_look(live, clock)["acoustic"] == "acoustic@1"
    assert [e["event"] for e in logs] == ["emotion_models_pointer_damaged"]
    (store.folder / FILE).unlink()
    assert after_a_look(live, clock)["acoustic"] == "acoustic@shipped"


def test_a_damaged_pointer_at_the_start_means_the_shipped_models(
    store: Store, clock: Clock
) -> None:
    put(store, "acoustic@1")
    (store.folder / FILE).write_text("{")
    with capture_logs() as logs, open_live(store, clock) as live:
        assert live.versions["acoustic"] == "acoustic@shipped"
    assert logs[0]["event"] == "emotion_models_pointer_damaged"
    assert "active.json" in logs[0]["error"]


def test_a_broken_version_at_the_start_means_the_shipped_one(store: Store, clock: Clock) -> None:
    one = put(store, "acoustic@1")
    store.activate(one)
    spoil(store, one)
    with capture_logs() as logs, open_live(store, clock) as live:
        assert live.versions["acoustic"] == "acoustic@shipped"
        assert live.counts.failed == 1
    assert logs[0]["kept"] == "acoustic@shipped"


def test_the_active_version_is_there_from_the_start(store: Store, clock: Clock) -> None:
    store.activate(put(store, "text-en@1"))
    with open_live(store, clock) as live:
        assert live.versions == {"acoustic": "acoustic@shipped", "text": "text-en@1"}


def test_a_broken_shipped_model_is_an_error(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "shipped" / "acoustic").mkdir(parents=True)
    with pytest.raises(ModelError, match="acoustic"):
        open_live(Store(tmp_path / "store", tmp_path / "shipped"), clock)


def test_threads_that_score_meet_whole_models_only(
    live: LiveModels, store: Store, clock: Clock
) -> None:
    """Every reading belongs to the version that the models name, while they are swapped."""
    base = logit(live.current().text)
    nats = {"text-en@shipped": 0.0, "text-en@1": 1.0}
    store_one = put(store, "text-en@1", nats=1.0)
    wrong, done = [], threading.Event()

    def score() -> None:
        while not done.is_set():
            models = live.current()
            found = logit(models.text) - base
            if abs(found - nats[models.versions["text"]]) > 1e-4:
                wrong.append((found, models.versions["text"]))

    threads = [threading.Thread(target=score) for _ in range(3)]
    for thread in threads:
        thread.start()
    for model in [store_one, ModelId("text-en", SHIPPED)] * 3:
        store.activate(model)
        assert after_a_look(live, clock)["text"] == str(model)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert live.counts.swapped == 6


def test_after_the_end_nothing_is_swapped(store: Store, clock: Clock) -> None:
    live = open_live(store, clock)
    live.close()
    store.activate(put(store, "acoustic@1"))
    assert after_a_look(live, clock)["acoustic"] == "acoustic@shipped"
