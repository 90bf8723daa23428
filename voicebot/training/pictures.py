"""Pictures of predictions: what a table cannot show at a glance.

Each function takes predictions and gives a PNG.  matplotlib is asked for only when
something is drawn (``pip install 'voicebot[plot]'``).

Source: A. Martin et al., "The DET curve in assessment of detection task performance",
Eurospeech 1997 (both error rates on normal-deviate axes: where scores are normally
distributed the curve is a straight line).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from voicebot.emotion.calibration import REFERENCE_PRIOR, sigmoid
from voicebot.events import EMOTIONS
from voicebot.plot import need_matplotlib
from voicebot.training import metrics
from voicebot.training.breakdown import HAPPY, confusion, corpora, enough
from voicebot.training.predictions import Predictions
from voicebot.training.report import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANGRY: Final = "#d62728"
JOYFUL: Final = "#e69f00"
OTHER: Final = "#7f7f7f"
COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e69f00", "#17becf",
                  "#7f7f7f")  # fmt: skip
_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def confusion_picture(predictions: Predictions) -> bytes:
    """Confusion matrix of the emotions, in per cent of each true one."""
    shares = confusion(predictions)
    present = np.flatnonzero(shares.sum(axis=1) > 0)

    def draw(axes: Axes) -> None:
        axes.imshow(shares[present], cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for y, row in enumerate(shares[present]):
            for x, value in enumerate(row):
                colour = "white" if value > 0.55 else "black"
                axes.text(x, y, f"{100 * value:.0f}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=35, ha="right")
        axes.set_yticks(range(len(present)), [EMOTIONS[i] for i in present])
        axes.set_xlabel("what the model says (likeliest)")
        axes.set_ylabel("what it is")
        axes.set_title("Confusion, % of each row, corpora weighing the same")

    return _draw(draw, (7.5, 5))


def roc_picture(predictions: Predictions) -> bytes:
    """Receiver operating characteristic, one line a corpus."""

    def draw(axes: Axes) -> None:
        for part, colour in zip(_parts(predictions), _cycle(), strict=False):
            curve = metrics.roc(part.logit, part.angry)
            area = metrics.auc(part.logit, part.angry)
            axes.step(curve.false_alarms, curve.hits, where="post", color=colour,
                      label=f"{part.corpus[0]}  AUC {area:.3f}")  # fmt: skip
        axes.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, ls="--")
        axes.set_xlabel("share of the others called angry (false alarms)")
        axes.set_ylabel("share of the angry found (recall)")
        axes.set_title("ROC: anger against the rest")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=9)

    return _draw(draw, (6.5, 5.5))


def det_picture(predictions: Predictions) -> bytes:
    """Detection error trade-off, one line a corpus, on normal-deviate axes."""

    def draw(axes: Axes) -> None:
        for part, colour in zip(_parts(predictions), _cycle(), strict=False):
            curve = metrics.roc(part.logit, part.angry)
            rate = metrics.equal_error_rate(part.logit, part.angry)
            axes.plot(metrics.deviate(curve.false_alarms), metrics.deviate(1 - curve.hits),
                      color=colour, label=f"{part.corpus[0]}  EER {rate:.1%}")  # fmt: skip
        at = metrics.deviate(np.array(_TICKS))
        names = [f"{100 * t:g}" for t in _TICKS]
        axes.plot(at[[0, -1]], at[[0, -1]], color="#bbbbbb", lw=0.8, ls="--")
        axes.set_xticks(at, names)
        axes.set_yticks(at, names)
        edge = metrics.deviate(np.array([0.006, 0.85]))
        axes.set_xlim(edge[0], edge[1])
        axes.set_ylim(edge[0], edge[1])
        axes.set_xlabel("false alarms, % of the others")
        axes.set_ylabel("misses, % of the angry")
        axes.set_title("DET: nearer to the lower left is better")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right", fontsize=9)

    return _draw(draw, (6.5, 5.5))


def reliability_picture(predictions: Predictions) -> bytes:
    """Reliability at the reference prior: each corpus thin, their mean thick; counts below."""
    parts = _parts(predictions)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, ls="--")
        for part, colour in zip(parts, _cycle(), strict=False):
            bins = _bins([part], 8)
            axes.plot(bins.confidence, bins.frequency, color=colour, lw=0.9, alpha=0.6,
                      label=f"{part.corpus[0]}  {_bins([part], 15).error:.3f}")  # fmt: skip
        bins = _bins(parts, 15)
        axes.plot(bins.confidence, bins.frequency, "o-", color="black", lw=2, ms=4,
                  label=f"together  {bins.error:.3f}")  # fmt: skip
        axes.bar(bins.confidence, bins.share, width=0.02, color="#cccccc", zorder=-1,
                 label="share of the weight")  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("probability of anger as given")
        axes.set_ylabel("how often it was anger")
        axes.set_title(f"Reliability with {REFERENCE_PRIOR:.0%} angry; calibration errors")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", fontsize=8)

    return _draw(draw, (6.5, 5.5))


def strip_picture(predictions: Predictions) -> bytes:
    """Every clip of every speaker: where the angry ones lie, and the others."""
    scored = predictions.scored
    names = np.unique(scored.speaker)
    kinds = (
        ("other", OTHER, ~scored.angry & (scored.emotion != HAPPY), 0.22),
        ("happy", JOYFUL, scored.emotion == HAPPY, 0.0),
        ("angry", ANGRY, scored.angry, -0.22),
    )

    def draw(axes: Axes) -> None:
        rng = np.random.default_rng(0)
        for label, colour, which, shift in kinds:
            row = np.searchsorted(names, scored.speaker[which])
            y = row + shift + rng.uniform(-0.08, 0.08, len(row))
            axes.scatter(scored.logit[which], y, s=7, color=colour, alpha=0.55, lw=0, label=label)
        for place, name in enumerate(names):
            mine = scored.select(scored.speaker == name)
            if enough(mine):
                area = metrics.auc(mine.logit, mine.angry)
                axes.text(1.01, place, f"AUC {area:.2f}", va="center", fontsize=8,
                          transform=axes.get_yaxis_transform())  # fmt: skip
        axes.axvline(0.0, color="black", lw=0.8, ls="--")
        axes.set_yticks(range(len(names)), [" ".join(n.split()) for n in names], fontsize=8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("anger logit, nats (0: even odds with one in five angry)")
        axes.set_title("Each clip of each speaker", loc="left")
        axes.grid(axis="y", alpha=0.25)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, ncols=3,
                    frameon=False, markerscale=2)  # fmt: skip

    return _draw(draw, (8, 1.5 + 0.32 * len(names)))


def dots_picture(table: Table, keys: Mapping[str, str], title: str, xlabel: str) -> bytes:
    """Rows of a table as dots on one scale.

    Args:
        table: Row to figures.
        keys: Figure to the name in the legend.
        title: Above the picture.
        xlabel: Below it.
    """
    rows = list(table)

    def draw(axes: Axes) -> None:
        for (key, label), colour in zip(keys.items(), _cycle(), strict=False):
            known = [(y, table[row][key]) for y, row in enumerate(rows) if key in table[row]]
            x, y = [v for _, v in known], [y for y, _ in known]
            if key == "mean":  # hollow, so that it hides no corpus
                axes.scatter(x, y, label=label, s=90, marker="D", facecolors="none",
                             edgecolors="black", lw=1.6, zorder=3)  # fmt: skip
            else:
                axes.scatter(x, y, label=label, s=26, color=colour)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(xlabel)
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)

    return _draw(draw, (8, 1.6 + 0.36 * len(rows)))


def _parts(predictions: Predictions) -> list[Predictions]:
    return [p.scored for p in corpora(predictions) if enough(p)]


def _bins(parts: list[Predictions], bins: int) -> metrics.Bins:
    """Reliability over corpora, each weighing the same and brought to the reference prior."""
    return metrics.reliability(
        np.concatenate([sigmoid(p.logit) for p in parts]),
        np.concatenate([p.angry for p in parts]),
        np.concatenate([metrics.prior_weight(p.angry, REFERENCE_PRIOR) for p in parts]),
        bins,
    )


def _cycle() -> tuple[str, ...]:
    return COLOURS * 4


def _draw(draw: Callable[[Axes], None], inches: tuple[float, float]) -> bytes:
    need_matplotlib("--html and --plots")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=inches, layout="constrained")
    try:
        draw(axes)
        out = io.BytesIO()
        # No date and version in it: the same predictions give the same file.
        figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    finally:
        plt.close(figure)
    return out.getvalue()
