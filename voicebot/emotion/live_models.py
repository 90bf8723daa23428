"""The models that score now, swapped while calls go on.

Whoever scores asks :meth:`LiveModels.current` once an utterance.  That costs a
clock reading, and once a second one ``stat`` of the store's pointer file.  If
the file has changed, the new models are loaded, run once and put in place by a
thread of their own; until then, and if that fails, the old ones go on.  A model of
25 MB holds the others up for 40-50 ms, on a busy machine.  (Measured; a thread of lower
priority makes it 200 ms, for it has the interpreter's lock while it waits for a core.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from pydantic import field_validator

from voicebot.closing import Closing
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.listener import EmotionModels
from voicebot.emotion.opening import ACOUSTIC, SMALL, EmotionModel, listens, open_model, run_once
from voicebot.emotion.pointer import SHIPPED, ModelId, Pointer
from voicebot.emotion.store import Store
from voicebot.emotion.text import TextModel, TextParams, folder_name
from voicebot.emotion.text_features import LANGUAGES
from voicebot.errors import ModelError
from voicebot.params import Params, key

_log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
"""s between two looks at the pointer file."""


class ModelsParams(Params):
    """Which emotion models score, by name; their versions are chosen while calls go on."""

    voice: str = key(
        ACOUSTIC,
        f"The model that listens to the voice: {ACOUSTIC}; {SMALL}, which hears prosody alone, "
        f"for machines with little power; or one of your own that is called {ACOUSTIC}-... "
        "`voicebot models list` shows what there is, `voicebot models activate` chooses the "
        "version.",
    )

    @field_validator("voice")
    @classmethod
    def _hears(cls, voice: str) -> str:
        if not (ModelId.is_name(voice) and listens(voice)):
            raise ValueError(f"must be {ACOUSTIC}, {SMALL} or the name of another {ACOUSTIC}-...")
        return voice


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the activations that this process noticed."""

    swapped: int = 0
    failed: int = 0
    last_error: str = ""


class LiveModels(Closing):
    """The active models of one process; any number of threads may ask for them.

    Args:
        store: Where the versions are.
        language: ISO 639-1; one without a text model has none.
        acoustic: When the voice is not judged.
        text: When the words are not judged.
        clock: s; only differences count.
        voice: Name of the model that listens to the voice.

    Raises:
        ModelError: a shipped model is needed and is missing or broken.  A version that was
            activated and does not load is logged, and the shipped one used, if there is one.
    """

    def __init__(
        self,
        store: Store,
        language: str,
        acoustic: AcousticParams,
        text: TextParams,
        clock: Callable[[], float] = time.monotonic,
        voice: str = ACOUSTIC,
    ) -> None:
        self.store = store
        self._acoustic, self._text = acoustic, text
        self._clock = clock
        self._roles = {"acoustic": voice}
        if language in LANGUAGES:
            self._roles["text"] = folder_name(language)
        self._lock = threading.Lock()
        self._loader: threading.Thread | None = None
        self._closed = False
        self.counts = Counts()
        self._seen = store.stamp()
        self.pointer = self._read_pointer() or Pointer()
        """as last read; a damaged one counts as none"""
        loaded = {role: self._first(name) for role, name in self._roles.items()}
        self._models = _gathered(loaded)
        self._next_look = clock() + CHECK_SECONDS

    def current(self) -> EmotionModels:
        """The models to score the next utterance with.  Never waits."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + CHECK_SECONDS
            self._look()
        return self._models

    @property
    def versions(self) -> Mapping[str, str]:
        """``acoustic`` and ``text`` to the ``NAME@VERSION`` that scores now."""
        return self._models.versions

    def open(self, model: ModelId) -> EmotionModel:
        """Load a version and run it once.

        Raises:
            ModelError: there is no such version, or it does not work.
        """
        opened = open_model(model.name, self.store.locate(model), self._acoustic, self._text)
        run_once(opened)
        return opened

    def role(self, name: str) -> str | None:
        """What a model of this name does here, ``acoustic`` or ``text``; None if nothing."""
        return next((role for role, known in self._roles.items() if known == name), None)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until no models are being loaded."""
        loader = self._loader
        if loader is not None:
            loader.join(seconds)

    def close(self) -> None:
        """Swap no more.  What is being loaded is waited for."""
        self._closed = True
        self.wait()

    def _look(self) -> None:
        """See whether the pointer file has changed, and if so load beside."""
        if self.store.stamp() == self._seen or self._closed or not self._lock.acquire(False):
            return
        # The lock is the loader's until it is done; a change in between is seen by the next look.
        try:
            loader = threading.Thread(target=self._follow, name="emotion-models", daemon=True)
            loader.start()
            self._loader = loader
        except BaseException:
            self._lock.release()
            raise

    def _follow(self) -> None:
        """Load what the pointer names now; runs in a thread of its own and holds the lock."""
        try:
            self._seen = self.store.stamp()  # before reading, so that no change is missed
            pointer = self._read_pointer()
            if pointer is None:
                return
            self.pointer = pointer
            for role, name in self._roles.items():
                wanted = ModelId(name, pointer.version(name))
                if self._models.versions[role] != str(wanted):
                    self._swap(role, wanted)
        finally:
            self._lock.release()

    def _swap(self, role: str, wanted: ModelId) -> None:
        before = self._models.versions[role]
        try:
            model = self.open(wanted)
        except Exception as err:  # whatever is wrong with it, the calls go on with the old one
            self._failed(wanted, err, kept=before)
            return
        models = self._models
        versions = {**models.versions, role: str(wanted)}
        if isinstance(model, TextModel):
            self._models = replace(models, text=model, versions=versions)
        else:
            self._models = replace(models, acoustic=model, versions=versions)
        self.counts = replace(self.counts, swapped=self.counts.swapped + 1)
        _log.info("emotion_model_swapped", model=str(wanted), before=before)

    def _first(self, name: str) -> tuple[ModelId, EmotionModel]:
        """Load the active version at the start, the shipped one if it does not load."""
        wanted, shipped = ModelId(name, self.pointer.version(name)), ModelId(name, SHIPPED)
        if wanted != shipped:
            try:
                return wanted, self.open(wanted)
            except Exception as err:  # a line with the old model is better than no line
                if shipped not in self.store.versions(name):
                    raise
                self._failed(wanted, err, kept=str(shipped))
        folder = self.store.locate(shipped)
        return shipped, open_model(name, folder, self._acoustic, self._text)

    def _failed(self, wanted: ModelId, err: Exception, kept: str) -> None:
        what = str(err) if isinstance(err, ModelError) else f"{type(err).__name__}: {err}"
        self.counts = replace(self.counts, failed=self.counts.failed + 1, last_error=what)
        _log.error("emotion_model_failed", model=str(wanted), kept=kept, error=what)

    def _read_pointer(self) -> Pointer | None:
        """The pointer; None, and a log line, if it is damaged."""
        try:
            return self.store.pointer()
        except ModelError as err:
            self.counts = replace(self.counts, failed=self.counts.failed + 1, last_error=str(err))
            _log.error("emotion_models_pointer_damaged", error=err.what, mend=err.mend)
            return None


def _gathered(loaded: dict[str, tuple[ModelId, EmotionModel]]) -> EmotionModels:
    models = {role: model for role, (_, model) in loaded.items()}
    acoustic, text = models["acoustic"], models.get("text")
    assert isinstance(acoustic, AcousticModel)
    assert text is None or isinstance(text, TextModel)
    return EmotionModels(acoustic, text, {role: str(known) for role, (known, _) in loaded.items()})
