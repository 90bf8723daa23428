"""A picture of a call: waveform, utterances, anger, evidence against the threshold, alerts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voicebot.errors import OutputError, VoicebotError
from voicebot.events import (
    Alert,
    CallEnded,
    CallStarted,
    Emotion,
    Event,
    Evidence,
    Final,
    Frame,
    Leg,
    State,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {Leg.CALLER: "#1f77b4", Leg.AGENT: "#7f7f7f"}
STATE_COLOURS = {
    "CALM": "#ffffff",
    "RISING": "#fff3c4",
    "ESCALATED": "#ffd0c8",
    "COOLING": "#dcebff",
}
BIN_SECONDS = 0.1
EASTERN_FONTS = ("Noto Sans CJK JP", "WenQuanYi Zen Hei", "NanumGothic")
EASTERN_FILES = ("NotoSansCJK", "wqy-zenhei", "NanumGothic")
SUFFIXES = (".png", ".svg", ".pdf")
EventT = TypeVar("EventT", bound=Event)


def need_matplotlib(options: str) -> None:
    """Refuse to go on without matplotlib, before the long work and not after.

    Args:
        options: Which ask for a picture.

    Raises:
        VoicebotError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        need = "need" if " and " in options else "needs"
        raise VoicebotError(
            f"{options} {need} matplotlib", "pip install 'voicebot[plot]'"
        ) from None
    matplotlib.use("Agg")


def check_picture(path: Path, option: str = "--plot") -> None:
    """Refuse before the long work a picture that could not be written after it.

    Raises:
        VoicebotError: matplotlib is not installed.
        OutputError: the format is unknown or the folder missing.
    """
    need_matplotlib(option)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: no picture format", f"name it {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no such folder", f"make the folder {path.parent} first")


class CallPicture:
    """Collects what the picture needs while the call goes on, and draws it at the end.

    It holds one peak per 100 ms and leg, and the events that are drawn: about
    1 MB for an hour of call.

    Args:
        path: A .png, .svg or .pdf in a folder that exists.

    Raises:
        VoicebotError: matplotlib is not installed.
        OutputError: the format is unknown or the folder missing.
    """

    def __init__(self, path: Path) -> None:
        check_picture(path)
        self._path = path
        self._peaks: dict[Leg, list[float]] = {}
        self._events: list[Event] = []

    def block(self, block: Mapping[Leg, Frame]) -> None:
        """Note the level of one block of audio."""
        for leg, frame in block.items():
            step = max(1, round(BIN_SECONDS * frame.rate))
            peaks = self._peaks.setdefault(leg, [])
            for at in range(0, len(frame.pcm), step):
                peaks.append(
                    float(np.abs(frame.pcm[at : at + step].astype(np.int32)).max()) / 32768
                )

    def event(self, event: Event) -> None:
        """Note one event."""
        if isinstance(event, CallStarted | Final | Emotion | Evidence | State | Alert | CallEnded):
            self._events.append(event)

    def save(self) -> None:
        """Draw and write the picture, in the format of the file's suffix.

        Raises:
            OutputError: the file cannot be written.
        """
        from matplotlib import pyplot as plt

        with plt.rc_context({"font.family": _fonts()}):
            figure, axes = plt.subplots(
                3, 1, figsize=(14, 8), sharex=True, height_ratios=(2, 1.4, 2), layout="constrained"
            )
            self._draw_audio(axes[0])
            self._draw_anger(axes[1])
            self._draw_evidence(axes[2])
            try:
                figure.savefig(self._path, dpi=110)
            except OSError as err:
                raise OutputError(
                    f"{self._path}: {err.strerror or err}", "name a file that can be written"
                ) from None
            finally:
                plt.close(figure)

    def _of(self, kind: type[EventT]) -> list[EventT]:
        return [e for e in self._events if isinstance(e, kind)]

    def _draw_audio(self, axes: Axes) -> None:
        """Levels of the legs, one above the other, with the utterances marked."""
        height = {leg: -2.2 * row for row, leg in enumerate(self._peaks)}
        for leg, peaks in self._peaks.items():
            x = (np.arange(len(peaks)) + 0.5) * BIN_SECONDS
            y = np.asarray(peaks)
            axes.fill_between(x, height[leg] - y, height[leg] + y, color=COLOURS[leg], lw=0)
        for final in self._of(Final):
            base = height.get(final.leg or Leg.CALLER, 0.0)
            axes.hlines(base - 1.05, final.start, final.end, color="black", lw=2)
        axes.set_yticks(list(height.values()), [leg.value for leg in height])
        started = self._of(CallStarted)
        title = started[0].source if started else ""
        axes.set_title(f"{title}: levels and utterances", loc="left", parse_math=False)

    def _draw_anger(self, axes: Axes) -> None:
        """Anger of each scored stretch: fused as bars, each modality as a mark."""
        settled = [e for e in self._of(Emotion) if e.settled]
        axes.bar(
            [e.start for e in settled], [e.anger for e in settled],
            width=[e.end - e.start for e in settled], align="edge", color="#d62728", alpha=0.45,
            label="fused",
        )  # fmt: skip
        for modality, mark in (("acoustic", "^"), ("text", "s")):
            known = [(e, v) for e in settled if (v := e.modalities.get(modality)) is not None]
            axes.scatter(
                [(e.start + e.end) / 2 for e, _ in known], [v for _, v in known],
                marker=mark, s=18, color="black", facecolors="none", lw=0.8, label=modality,
            )  # fmt: skip
        running = [e for e in self._of(Emotion) if not e.settled]
        axes.plot([e.t for e in running], [e.anger for e in running], ".", ms=3, color="#999999",
                  label="running window")  # fmt: skip
        axes.set_ylim(0, 1)
        axes.set_ylabel("anger (probability)")
        axes.legend(loc="upper left", ncols=4, fontsize=8, frameon=False)

    def _draw_evidence(self, axes: Axes) -> None:
        """Evidence against its threshold, states behind, alerts with their quotes."""
        evidence = [e for e in self._of(Evidence) if e.settled]
        axes.step([0.0] + [e.t for e in evidence], [0.0] + [e.evidence for e in evidence],
                  where="post", color="#d62728", label="evidence")  # fmt: skip
        if evidence:
            axes.axhline(evidence[-1].threshold, color="black", ls="--", lw=1, label="threshold")
        ends = self._of(CallEnded)
        end = ends[-1].duration if ends else max((e.t for e in self._events), default=1.0)
        states = self._of(State)
        ends_of_states = [*(s.t for s in states[1:]), end][: len(states)]
        for state, until in zip(states, ends_of_states, strict=True):
            axes.axvspan(state.t, until, color=STATE_COLOURS[state.state.value], zorder=-2)
            axes.text(state.t, 0.02, f" {state.state.value}", fontsize=7, color="#555555",
                      transform=axes.get_xaxis_transform())  # fmt: skip
        top = axes.get_ylim()[1]
        for number, alert in enumerate(a for a in self._of(Alert) if not a.update):
            axes.axvline(alert.t, color="#8b0000", lw=1.5)
            quote = alert.evidence[-1].text if alert.evidence else ""
            note = "\n".join(
                textwrap.wrap(f"ALERT {alert.severity.value}, {alert.reason}: {quote}", 44)
            )
            axes.text(alert.t, top * (0.97 - 0.3 * (number % 3)), note + " ", fontsize=8, va="top",
                      ha="right", color="#8b0000", parse_math=False)  # fmt: skip
        axes.set_ylim(0, top)
        axes.set_xlim(0, max(end, 1.0))
        axes.set_xlabel("seconds of audio")
        axes.set_ylabel("evidence (nats)")
        axes.legend(loc="upper left", fontsize=8, frameon=False)


def _fonts() -> list[str]:
    """The fonts to write quotes in: matplotlib's own, and any here that has Chinese or Korean."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {font.fname for font in manager.ttflist}
    for path in font_manager.findSystemFonts():
        # The list that matplotlib keeps is older than a font that was installed since.
        if path not in known and Path(path).name.startswith(EASTERN_FILES):
            manager.addfont(path)
    names = {font.name for font in manager.ttflist}
    return ["DejaVu Sans", *(name for name in EASTERN_FONTS if name in names)]
