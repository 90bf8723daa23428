"""Families of models that tell anger from a voice, behind one interface, to be compared.

Support vectors and small networks on features of the whole clip,
a convolutional and a recurrent network on its spectrogram, and the recipe that the shipped models
are made by (:mod:`voicebot.training.acoustic_model`, called and not imitated).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from voicebot.emotion.features import FEATURES
from voicebot.events import Pcm
from voicebot.training import (
    acoustic_model,
    spectral_fit,
    spectral_networks,
    speech_corpora,
    support_vectors,
)
from voicebot.training.acoustic_model import SMALL, Fitted, Recipe, fit
from voicebot.training.feature_cache import clip_features
from voicebot.training.spectral_fit import FittedSpectral, fit_spectral
from voicebot.training.spectral_networks import Spectral
from voicebot.training.spectrograms import Spectrograms, spectrogram
from voicebot.training.speech_corpora import Clip
from voicebot.training.support_vectors import FittedMachine, Machine, fit_machine

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Share = Callable[[float], None]
_FLOAT: Final = 4
"""bytes of a number as a model file holds it"""


@dataclass(frozen=True, slots=True)
class Material:
    """Clips, and what each family looks at; the first condition is the one that is judged."""

    clips: Sequence[Clip]
    tables: Floats
    """prosody and embedding, shape ``(conditions, clips, features)``"""
    encoder: Path
    """where the embedding is from"""
    spectra: Sequence[Spectrograms] = ()
    """one for each condition; none where nobody looks at them"""

    def width(self, encoder: bool) -> int:
        """Columns of the tables for a family with or without the encoder."""
        return self.tables.shape[-1] if encoder else len(FEATURES)


class Model(Protocol):
    """A fitted model of any family."""

    def scores(self, material: Material, rows: Indices) -> Floats:
        """Anger of clips under the first condition, the higher the angrier, shape ``(n,)``."""
        ...

    def hear(self, pcm: Pcm) -> float:
        """Anger of a clip at 8 kHz, from its samples on: what a call pays for."""
        ...

    def size(self) -> int:
        """Bytes of a file that holds it, numbers as 32 bits, the encoder included."""
        ...


class Family(Protocol):
    """What is fitted, and how; its ``repr`` says all of it."""

    @property
    def sees_spectra(self) -> bool:
        """Whether it looks at spectrograms, and so needs torch."""
        ...

    @property
    def code(self) -> tuple[Path, ...]:
        """Files whose content its outcome depends on."""
        ...

    def fit(self, material: Material, rows: Indices, seed: int, progress: Share) -> Model:
        """Fit on some clips under all conditions."""
        ...


@dataclass(frozen=True, slots=True)
class Tabular:
    """The trainer of the shipped models, with one recipe or another."""

    recipe: Recipe
    encoder: bool
    sees_spectra: bool = False

    @property
    def code(self) -> tuple[Path, ...]:
        """The trainer and the balance."""
        return _files(acoustic_model, speech_corpora)

    def fit(self, material: Material, rows: Indices, seed: int, progress: Share) -> Model:
        """As :meth:`Family.fit`."""
        tables = material.tables[:, rows, : material.width(self.encoder)]
        fitted = fit(tables, [material.clips[row] for row in rows], self.recipe, seed)
        progress(1.0)
        return _TabularModel(fitted, material.encoder if self.encoder else None)


@dataclass(frozen=True, slots=True)
class _TabularModel:
    fitted: Fitted
    encoder: Path | None

    def scores(self, material: Material, rows: Indices) -> Floats:
        width = material.width(self.encoder is not None)
        return self.fitted.predict(material.tables[0, rows, :width])[1]

    def hear(self, pcm: Pcm) -> float:
        features = clip_features(pcm, self.encoder)
        return float(self.fitted.predict(features[np.newaxis])[1][0])

    def size(self) -> int:
        return len(self.fitted.to_onnx({}, self.encoder).SerializeToString())


@dataclass(frozen=True, slots=True)
class SupportVectors:
    """A support vector machine on features of the whole clip."""

    shape: Machine
    encoder: bool
    sees_spectra: bool = False

    @property
    def code(self) -> tuple[Path, ...]:
        """The machine and the balance."""
        return _files(support_vectors, speech_corpora)

    def fit(self, material: Material, rows: Indices, seed: int, progress: Share) -> Model:
        """As :meth:`Family.fit`; where no dev clip is among the rows, all of them choose C."""
        tables = material.tables[..., : material.width(self.encoder)]
        clips = [material.clips[row] for row in rows]
        dev = [i for i, clip in enumerate(material.clips) if clip.split == "dev"]
        judges = tables[0, dev], [material.clips[i] for i in dev]
        fitted = fit_machine(tables[:, rows], clips, self.shape, seed, judges, progress)
        return _MachineModel(fitted, material.encoder if self.encoder else None)


@dataclass(frozen=True, slots=True)
class _MachineModel:
    fitted: FittedMachine
    encoder: Path | None

    def scores(self, material: Material, rows: Indices) -> Floats:
        width = material.width(self.encoder is not None)
        return self.fitted.anger(material.tables[0, rows, :width])

    def hear(self, pcm: Pcm) -> float:
        return float(self.fitted.anger(clip_features(pcm, self.encoder)[np.newaxis])[0])

    def size(self) -> int:
        encoder = self.encoder.stat().st_size if self.encoder else 0
        return _FLOAT * self.fitted.numbers + encoder


@dataclass(frozen=True, slots=True)
class OnSpectra:
    """A network on the spectrogram."""

    shape: Spectral
    sees_spectra: bool = True

    @property
    def code(self) -> tuple[Path, ...]:
        """The network and the balance."""
        return _files(spectral_networks, spectral_fit, speech_corpora)

    def fit(self, material: Material, rows: Indices, seed: int, progress: Share) -> Model:
        """As :meth:`Family.fit`."""
        fitted = fit_spectral(material.spectra, material.clips, rows, self.shape, seed, progress)
        return _SpectralModel(fitted)


@dataclass(frozen=True, slots=True)
class _SpectralModel:
    fitted: FittedSpectral

    def scores(self, material: Material, rows: Indices) -> Floats:
        return self.fitted.anger([material.spectra[0][int(row)] for row in rows])

    def hear(self, pcm: Pcm) -> float:
        return float(self.fitted.anger([spectrogram(pcm)])[0])

    def size(self) -> int:
        return _FLOAT * self.fitted.numbers


FAMILIES: Final[dict[str, Family]] = {
    "SVM, prosody": SupportVectors(Machine(), encoder=False),
    "SVM with encoder": SupportVectors(Machine(components=256), encoder=True),
    "MLP, prosody": Tabular(replace(SMALL, linear_share=0.0, members=1), encoder=False),
    "MLP with encoder": Tabular(replace(Recipe(), linear_share=0.0, members=1), encoder=True),
    "CNN, log-mel": OnSpectra(Spectral("cnn")),
    "GRU, log-mel": OnSpectra(Spectral("gru")),
    "ours, prosody": Tabular(SMALL, encoder=False),
    "ours with encoder": Tabular(Recipe(), encoder=True),
}
"""What is compared; "with encoder" is prosody and its embedding.  The networks of the last two are
those of the MLP, three of them, averaged with a logistic regression."""


def _files(*modules: Any) -> tuple[Path, ...]:
    return tuple(Path(module.__file__) for module in modules)
