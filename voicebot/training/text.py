"""Training of the text models from end to end: fit, teach, mix, calibrate, export, evaluate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import Calibration
from voicebot.emotion.text import folder_name
from voicebot.emotion.text_features import LANGUAGES, normalise
from voicebot.emotion.vocabulary import VOCABULARY_FILE, vocabulary_file
from voicebot.errors import ModelError, OutputError
from voicebot.training.export import need_train_extra, write_model
from voicebot.training.feature_cache import default_cache
from voicebot.training.report import Progress, TrainReport
from voicebot.training.service_talk import service_talk
from voicebot.training.text_augmentation import augment, mishear
from voicebot.training.text_calibration import Answers, calibrate, fit_mix, mixed
from voicebot.training.text_card import CardParts, text_card
from voicebot.training.text_corpora import CORPORA, Corpus, Example, load, shares
from voicebot.training.text_encoder import need_torch
from voicebot.training.text_fit import Linear, fit, matrix
from voicebot.training.text_fit import predict as predict_linear
from voicebot.training.text_graph import export
from voicebot.training.text_network import RECIPES, SERVICE, Network, train_network
from voicebot.training.text_neural import predict
from voicebot.training.text_rows import Row, evaluate_language, row_of

_MEND: Final = "check the file and its labels"


def train(
    data: Path,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    languages: Sequence[str] = LANGUAGES,
    cache: Path | None = None,
    encoder: Path | None = None,
    threads: int = 1,
) -> TrainReport:
    """Train, calibrate and write ``text-<language>`` for each language.

    Checkpoints make it go on where it was interrupted, to the same models.

    Args:
        data: Folder with ``text/``.
        out: Folder of models to write into.
        seed: Of all chance.
        progress: Told what is being done.
        languages: ISO 639-1.
        cache: Folder for checkpoints; None for the user's.
        encoder: Folder of the published encoder that English starts from; None looks for the
            installed package.
        threads: Of torch.

    Raises:
        ModelError: a corpus, the encoder or a package is missing or broken.
        OutputError: ``out`` or the cache cannot be written.
    """
    need_train_extra()
    need_torch().set_num_threads(threads)
    for language in languages:
        if language not in RECIPES:
            raise ModelError(f"no text model for {language!r}", f"use {', '.join(RECIPES)}")
    start = time.monotonic()
    rows: list[Row] = []
    folders: list[Path] = []
    for language in languages:
        mine = _train_language(
            data, out / folder_name(language), language, seed=seed, progress=progress,
            cache=cache if cache is not None else default_cache().parent / "text",
            encoder=encoder,
        )  # fmt: skip
        rows += mine
        folders.append(out / folder_name(language))
    figures = {
        f"{r.language} {r.corpus}": {
            "auc": r.auc, "ap": r.ap, "f1": r.f1, "ece": r.ece, "ms": r.ms_per_text,
            "n": float(r.n),
        }
        for r in rows
    }  # fmt: skip
    return TrainReport(tuple(folders), figures, time.monotonic() - start)


def _train_language(
    data: Path,
    folder: Path,
    language: str,
    *,
    seed: int,
    progress: Progress,
    cache: Path,
    encoder: Path | None,
) -> list[Row]:
    """One language; returns its rows on the test splits."""
    corpora = [c for c in CORPORA if c.language == language]
    examples = {c.name: load(c, data) for c in corpora}
    trained = [c for c in corpora if c.weight > 0]
    own = [e for c in trained for e in examples[c.name] if e.split == "train"]
    everything = [*own, *augment(own, language), *calm_service(trained, language, seed)]
    dev = Dev.of([e for c in trained for e in examples[c.name] if e.split == "dev"], language, seed)
    unseen: list[Row] = []

    def after(stage: str, network: Network) -> None:
        for service in SERVICE.get((language, stage), ()):
            rest = [c for c in trained if c.name != service]
            told = _within(progress, f"text {language}: without {service}")
            test = [e for e in examples[service] if e.split == "test"]
            unseen.append(_unseen(everything, rest, network, dev, test, language, told))

    networks = train_network(
        everything, language, seed=seed, cache=cache, encoder=encoder, after=after,
        progress=lambda stage, share: progress(f"text {language}: network, {stage}", share),
    )  # fmt: skip
    linear = fit(everything, trained, language, _within(progress, f"text {language}: n-grams"))
    one, other = dev.linear(linear), dev.networks(networks)
    mix = fit_mix(one, other, dev.examples)
    both = mixed(one, other, mix)
    calibration = calibrate(both, dev.examples)
    families = {"n-grams alone": one, "network alone": other, "both": both}
    compared = {name: _rows(found, dev.examples, language) for name, found in families.items()}
    model = export(linear, networks, mix, language)
    _write_vocabulary(folder, networks[0])
    write_model(folder, model, calibration, "")  # evaluation wants the model on disk
    told = _within(progress, f"text {language}: evaluation")
    rows = evaluate_language(examples, folder.parent, language, progress=told)
    parts = CardParts(rows, unseen, compared, calibration, seed)
    write_model(folder, model, calibration, text_card(language, corpora, examples, parts))
    return rows


def calm_service(corpora: Sequence[Corpus], language: str, seed: int) -> list[Example]:
    """Calm sentences that a service line hears, as examples of the corpus of customer service."""
    services = {name for (code, _), names in SERVICE.items() if code == language for name in names}
    named = [c.name for c in corpora if c.name in services]
    calm = shares({"neutral": 1.0})
    return [
        Example(sentence, name, "train", 0.0, calm)
        for name in named
        for sentence in service_talk(seed)
    ]


@dataclass(frozen=True, slots=True)
class Dev:
    """The dev split as a bad recogniser hears it."""

    examples: Sequence[Example]
    texts: Sequence[str]
    """normalised"""
    language: str

    @classmethod
    def of(cls, examples: Sequence[Example], language: str, seed: int) -> Dev:
        """Let them be heard."""
        texts = [normalise(e.text, language) for e in examples]
        return cls(examples, mishear(texts, language, seed), language)

    def without(self, corpus: str) -> Dev:
        """All but one corpus."""
        kept = [i for i, e in enumerate(self.examples) if e.corpus != corpus]
        return Dev([self.examples[i] for i in kept], [self.texts[i] for i in kept], self.language)

    def linear(self, linear: Linear) -> Answers:
        """What the linear model says of it."""
        return Answers(*predict_linear(linear, matrix(self.texts, self.language)))

    def networks(self, networks: Sequence[Network]) -> Answers:
        """What the networks say of it, on average."""
        found = [predict(n.net, self.texts, n.vocabulary) for n in networks]
        return Answers(
            np.mean([anger for anger, _ in found], axis=0),
            np.mean([others for _, others in found], axis=0),
        )


def _unseen(
    everything: Sequence[Example],
    corpora: Sequence[Corpus],
    network: Network,
    dev: Dev,
    test: Sequence[Example],
    language: str,
    progress: Callable[[float], None],
) -> Row:
    """Figures on a corpus that no part of the model has seen."""
    left_out = test[0].corpus
    linear = fit([e for e in everything if e.corpus != left_out], corpora, language, progress)
    rest = dev.without(left_out)
    one, other = rest.linear(linear), rest.networks([network])
    mix = fit_mix(one, other, rest.examples)
    calibration = calibrate(mixed(one, other, mix), rest.examples)
    heard = Dev(test, [normalise(e.text, language) for e in test], language)
    said = mixed(heard.linear(linear), heard.networks([network]), mix)
    row = row_of(_calibrated(said, calibration), test, language, "test, never seen")
    if row is None:
        raise ModelError(f"corpus {left_out}: its test split is all angry or all calm", _MEND)
    progress(1.0)
    return row


def _rows(answers: Answers, dev: Sequence[Example], language: str) -> list[Row]:
    """Figures of one kind of model on the dev split of each corpus."""
    logit = _calibrated(answers, calibrate(answers, dev))
    rows = []
    for corpus in dict.fromkeys(e.corpus for e in dev):
        mine = [i for i, e in enumerate(dev) if e.corpus == corpus and e.anger is not None]
        if row := row_of(logit[mine], [dev[i] for i in mine], language, "dev"):
            rows.append(row)
    return rows


def _calibrated(answers: Answers, calibration: Calibration) -> npt.NDArray[np.float64]:
    return np.array([calibration.anger.logit(raw) for raw in answers.anger])


def _write_vocabulary(folder: Path, network: Network) -> None:
    path = folder / VOCABULARY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(vocabulary_file(network.vocabulary))
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "choose a folder you may write with --out"
        ) from err


def _within(progress: Progress, what: str) -> Callable[[float], None]:
    return lambda share: progress(what, share)
