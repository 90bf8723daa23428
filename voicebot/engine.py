"""Many calls: the models they share, and the calls made of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import voicebot
from voicebot.audio.source import NARROW
from voicebot.call import Call, Stages
from voicebot.closing import Closing
from voicebot.config import Config
from voicebot.emotion.acoustic import AcousticModel
from voicebot.emotion.listener import CallerEmotion
from voicebot.emotion.live_models import LiveModels
from voicebot.emotion.store import Store
from voicebot.emotion.text import TextModel
from voicebot.escalation.actions import Responder
from voicebot.escalation.rules import RuleMatcher
from voicebot.events import CallStarted, Event, Leg
from voicebot.shadow import Shadow
from voicebot.speech.endpointing import Endpointer
from voicebot.speech.engines import open_engine, open_second_pass
from voicebot.speech.vad import open_detector

NO_LANGUAGE = "none"


class Engine(Closing):
    """Models and settings shared between calls.  A context manager.

    Args:
        config: Settings.
        language: ISO 639-1, or ``none`` for acoustic evidence alone.
        notice: Told in a sentence which speech engine was chosen, and how to get a better one.

    Raises:
        ModelError: a model that the settings ask for is missing or broken.
    """

    def __init__(
        self, config: Config, language: str, notice: Callable[[str], None] | None = None
    ) -> None:
        if config.stt.engine == "none":
            language = NO_LANGUAGE
        self.config = config
        # en-US and EN are en: the models know languages, not countries.
        self.language = language = language.lower().replace("_", "-").partition("-")[0]
        spoken = language != NO_LANGUAGE
        self.models = LiveModels(
            Store(), language, config.emotion.acoustic, config.emotion.text,
            voice=config.models.voice,
        )  # fmt: skip
        self.shadow = Shadow(self.models, config.shadow, config.emotion, config.escalation)
        self.rules = RuleMatcher(config.rules)
        self.speech = open_engine(language, config.stt, notice) if spoken else None
        try:
            # The first detector loads its network: now, and not while a caller waits.
            open_detector(config.vad, NARROW)
            self.second_pass = open_second_pass(language, config.stt) if spoken else None
            # Last, for it begins at once to deliver what an earlier run left in the outbox.
            self.responder = Responder(config.actions, language)
        except BaseException:
            if self.speech:
                self.speech.close()
            raise

    @property
    def acoustic(self) -> AcousticModel | None:
        """The model that listens to the voice now; another may be activated at any time."""
        return self.models.current().acoustic

    @property
    def text(self) -> TextModel | None:
        """The model that reads the words now; None for a language without one."""
        return self.models.current().text

    def call(
        self, source: str, legs: Sequence[Leg], rate: int, emit: Callable[[Event], None]
    ) -> Call:
        """Make a call.

        Args:
            source: Where its audio comes from, for people.
            legs: The legs that every block will hold.
            rate: Hz, of every leg: 8000 or 16000.
            emit: Takes the events.
        """
        return Call(self.started(source, legs, rate), self.stages(legs, rate), emit)

    def started(self, source: str, legs: Sequence[Leg], rate: int) -> CallStarted:
        """The first event of a new call; arguments as :meth:`call`."""
        return CallStarted(
            call_id=uuid.uuid4().hex, leg=None, t=0.0, source=source, legs=tuple(legs), rate=rate,
            language=self.language, engine=self.speech.name if self.speech else NO_LANGUAGE,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            version=voicebot.__version__,
        )  # fmt: skip

    def stages(self, legs: Sequence[Leg], rate: int) -> Stages:
        """The stages of a new call: shared models, endpointers of its own; as :meth:`call`."""
        config = self.config
        return Stages(
            endpointers={
                leg: Endpointer(open_detector(config.vad, rate), config.endpointing, rate)
                for leg in legs
            },
            speech=self.speech,
            second_pass=self.second_pass,
            emotion=CallerEmotion.following(self.models.current, config.emotion),
            rules=self.rules,
            responder=self.responder,
            escalation=config.escalation,
            shadow=self.shadow.call(),
        )

    def close(self) -> None:
        """Let go of the models."""
        if self.speech:
            self.speech.close()
        self.responder.close()
        self.shadow.close()
        self.models.close()
