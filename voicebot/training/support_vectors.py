"""Support vectors with a Gaussian kernel on features of the whole clip.

Source: C. Cortes and V. Vapnik, "Support-vector networks", 1995; scikit-learn's libsvm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voicebot.training.acoustic_model import CLIP
from voicebot.training.evaluation import aucs_by
from voicebot.training.speech_corpora import Clip, balanced_weights

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Machine:
    """What is fitted."""

    components: int | None = None
    """principal components that it sees; None shows it the features themselves"""
    penalties: tuple[float, ...] = (0.1, 1.0, 10.0)
    """C, of which the best on dev speakers is taken"""


@dataclass(frozen=True, slots=True)
class FittedMachine:
    """Support vectors and the scaling before them."""

    mean: Floats
    scale: Floats
    axes: Any
    """scikit-learn's principal components, or None"""
    machine: Any
    """scikit-learn's ``SVC``"""

    def anger(self, features: Floats) -> Floats:
        """Distance from the boundary, angry above 0, of features ``(n, features)``."""
        z = np.clip((features - self.mean) / self.scale, -CLIP, CLIP)
        if self.axes is not None:
            z = self.axes.transform(z)
        return np.asarray(self.machine.decision_function(z), dtype=np.float32)

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        held = [self.mean, self.scale, self.machine.support_vectors_, self.machine.dual_coef_]
        if self.axes is not None:
            held += [self.axes.components_, self.axes.mean_]
        return sum(int(values.size) for values in held)


def fit_machine(
    tables: Floats,
    clips: Sequence[Clip],
    shape: Machine,
    seed: int,
    judges: tuple[Floats, Sequence[Clip]],
    progress: Callable[[float], None],
) -> FittedMachine:
    """Fit on all conditions of some clips, balanced as the other models are.

    C is chosen on dev speakers by machines of the training speakers, under the first condition
    alone to save time; if clips of dev speakers are among those to fit on, by these and no others.

    Args:
        tables: Shape ``(conditions, clips, features)``.
        clips: What they are of.
        shape: What to fit.
        seed: Of the principal components.
        judges: Features ``(n, features)`` and clips of dev speakers that choose C where none is
            among ``clips``.
        progress: Told the share that is done.
    """
    dev = np.array([clip.split == "dev" for clip in clips])
    train = [clip for clip, out in zip(clips, dev, strict=True) if not out]
    if dev.any():
        judges = tables[0, dev], [clip for clip, out in zip(clips, dev, strict=True) if out]
    angry = np.array([clip.angry for clip in judges[1]])
    corpus = np.array([clip.corpus for clip in judges[1]])
    found = []
    for number, penalty in enumerate(shape.penalties):
        model = _fit(tables[:1, ~dev], train, penalty, shape.components, seed)
        row = aucs_by(corpus, model.anger(judges[0]), angry)
        found.append((float(np.mean(list(row.values()))) if row else 0.0, penalty))
        progress((number + 1) / (len(shape.penalties) + 1))
    _, best = max(found)
    model = _fit(tables, clips, best, shape.components, seed)
    progress(1.0)
    return model


def _fit(
    tables: Floats, clips: Sequence[Clip], penalty: float, components: int | None, seed: int
) -> FittedMachine:
    from sklearn.decomposition import PCA
    from sklearn.svm import SVC

    x = tables.reshape(-1, tables.shape[-1])
    angry = np.tile([clip.angry for clip in clips], len(tables))
    weight = np.tile(balanced_weights(clips), len(tables))
    mean = np.average(x, axis=0, weights=weight).astype(np.float32)
    spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
    scale = np.maximum(spread, 1e-3).astype(np.float32)
    z = np.clip((x - mean) / scale, -CLIP, CLIP)
    axes = None
    if components is not None:
        axes = PCA(min(components, *z.shape), svd_solver="randomized", random_state=seed).fit(z)
        z = axes.transform(z)
    machine = SVC(C=penalty, cache_size=1000)
    # Anger counts double, as for the logistic regression of the shipped models.
    machine.fit(z, angry, weight * np.where(angry, 2.0, 1.0))
    return FittedMachine(mean, scale, axes, machine)
