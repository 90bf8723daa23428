"""Teaching the network that reads the words: targets, batches, stages that can be resumed.

Training goes through stages, each over its own choice of corpora.  A stage writes a checkpoint
every :data:`SAVE_EVERY` steps: weights, optimiser, the generator's state and how far it is.
Everything else that is left to chance follows from the seed, so a training that was interrupted
ends with the very weights that it would have had (on the same machine and number of threads).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.vocabulary import Ids, Vocabulary
from voicebot.errors import ModelError, OutputError
from voicebot.training.text_augmentation import mishear
from voicebot.training.text_corpora import OTHERS, Example
from voicebot.training.text_encoder import need_torch

Floats = npt.NDArray[np.float32]

VERSION: Final = "2"
"""Of this module's way of training; raised when old checkpoints are of no more use."""
SAVE_EVERY: Final = 100
"""Steps between two checkpoints."""
CORPUS_PRIOR: Final = 0.25
"""Share of anger to which every corpus is weighted, see :mod:`voicebot.training.text_fit`."""
MISHEARD: Final = 0.5
"""Share of the texts that a bad recogniser has heard, drawn anew each time."""
OTHERS_WEIGHT: Final = 0.5
LABELS_WEIGHT: Final = 0.5
"""What the two other questions count beside the one for anger."""
WARM_UP: Final = 0.06
"""Share of a stage in which the learning rate rises."""
LAST_RATE: Final = 0.05
"""Learning rate at the end of a stage, as a share of its highest."""
_POOL: Final = 32
"""Batches that are sorted by length together, so that little of a batch is padding."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One round of training."""

    name: str
    passes: Mapping[str, float]
    """corpus to how often each of its examples is seen; a part means a part of them"""
    rate: float
    """highest learning rate"""
    head_rate: float
    """the same for the layers behind the pooling, which no publisher has trained"""
    batch: int


@dataclass(frozen=True, slots=True)
class Targets:
    """What the examples of all corpora ask of the network."""

    texts: tuple[str, ...]
    """normalised"""
    corpus: npt.NDArray[np.int64]
    """index into :attr:`corpora`, shape ``(n,)``"""
    corpora: tuple[str, ...]
    positive: Floats
    """weight of the answer "angry", shape ``(n,)``"""
    negative: Floats
    """weight of the answer "not angry", shape ``(n,)``"""
    others: Floats
    """shares, shape ``(n, 6)``; a row of zeros where the corpus does not say"""
    labels: Floats
    """the corpora's own labels, 0 or 1, shape ``(n, labels)``"""
    of_corpus: Floats
    """which labels are a corpus' own, 0 or 1, shape ``(corpora, labels)``"""

    def fingerprint(self, corpora: Collection[str]) -> str:
        """Checksum of all that a stage over these corpora sees."""
        rows = np.flatnonzero(np.isin(self.corpus, [self.corpora.index(c) for c in corpora]))
        found = hashlib.sha256("\n".join(self.texts[i] for i in rows).encode())
        for array in (self.corpus, self.positive, self.negative, self.others, self.labels):
            found.update(np.ascontiguousarray(array[rows]).tobytes())
        return found.hexdigest()


def targets(examples: Sequence[Example], normalised: Sequence[str]) -> Targets:
    """Arrange examples for training.

    Args:
        examples: Of the train split of all corpora, with added ones.
        normalised: Their texts.

    Raises:
        ModelError: a corpus knows angry texts only, or calm ones only.
    """
    corpora = tuple(dict.fromkeys(e.corpus for e in examples))
    corpus = np.array([corpora.index(e.corpus) for e in examples])
    names = sorted({(e.corpus, label) for e in examples for label in e.labels})
    place = {name: index for index, name in enumerate(names)}
    labels = np.zeros((len(examples), len(names)), dtype=np.float32)
    others = np.zeros((len(examples), len(OTHERS)), dtype=np.float32)
    for row, example in enumerate(examples):
        for label in example.labels:
            labels[row, place[example.corpus, label]] = 1.0
        if example.others is not None:
            others[row] = example.others
    of_corpus = np.array(
        [[float(of == name) for of, _ in names] for name in corpora], dtype=np.float32
    ).reshape(len(corpora), len(names))
    anger = np.array([np.nan if e.anger is None else e.anger for e in examples])
    positive, negative = np.zeros((2, len(examples)), dtype=np.float32)
    for index, name in enumerate(corpora):
        mine = (corpus == index) & ~np.isnan(anger)
        if not mine.any():
            continue
        prior = float(anger[mine].mean())
        if not 0 < prior < 1:
            raise ModelError(
                f"corpus {name}: all its texts for training are {'angry' if prior else 'calm'}",
                "anger is learnt from both; check the file and its labels",
            )
        positive[mine] = anger[mine] * CORPUS_PRIOR / prior
        negative[mine] = (1 - anger[mine]) * (1 - CORPUS_PRIOR) / (1 - prior)
    return Targets(
        tuple(normalised), corpus, corpora, positive, negative, others, labels, of_corpus
    )


def train_stage(
    net: Any,
    stage: Stage,
    data: Targets,
    vocabulary: Vocabulary,
    *,
    language: str,
    seed: int,
    folder: Path,
    history: str,
    progress: Callable[[float], None],
) -> str:
    """Take the network through one stage, or the rest of it, or read what came of it.

    Args:
        net: From :func:`voicebot.training.text_encoder.build`; changed in place.
        stage: What to do.
        data: Targets of all corpora.
        vocabulary: Of the network.
        language: ISO 639-1.
        seed: Of all chance.
        folder: Of the checkpoints.
        history: What made the network as it comes; a checkpoint of another history is not used.
        progress: Told the share done.

    Returns:
        The history of the network as it leaves.

    Raises:
        OutputError: a checkpoint cannot be written.
    """
    torch = need_torch()
    recipe = (
        VERSION, history, stage.name, sorted(stage.passes.items()), stage.rate, stage.head_rate,
        stage.batch,
    )  # fmt: skip
    seen = data.fingerprint(stage.passes)
    history = hashlib.sha256(repr((recipe, seed, seen)).encode()).hexdigest()[:16]
    path = folder / f"{language}-{stage.name}-{history}.pt"
    total = sum(len(part) for part in _plan(data, stage, seed)) // stage.batch
    trained = [p for p in net.parameters() if p.requires_grad]
    head = {id(p) for part in (net.pooled, net.anger, net.others, net.labels)
            for p in part.parameters()}  # fmt: skip
    groups = [
        {"params": [p for p in trained if (id(p) in head) == inside], "highest": rate}
        for inside, rate in ((False, stage.rate), (True, stage.head_rate))
    ]
    optimiser = torch.optim.AdamW(groups, lr=stage.rate, weight_decay=0.01, betas=(0.9, 0.98))
    done = 0
    torch.manual_seed(seed)
    if path.is_file() and (saved := _read(path)) is not None:
        net.load_state_dict(saved["net"])
        done = saved["step"]
        if done < total:
            optimiser.load_state_dict(saved["optimiser"])
            torch.set_rng_state(saved["chance"])
    net.train()
    if done < total:
        for step, rows, texts in _batches(data, stage, language, seed):
            if step < done:
                continue
            for group in optimiser.param_groups:
                group["lr"] = group["highest"] * _rate((step + 0.5) / total)
            loss = _loss(net, data, rows, [vocabulary.ids(text) for text in texts])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            done = step + 1
            if done % SAVE_EVERY == 0 or done == total:
                _save(path, net, None if done == total else optimiser, done)
            progress(done / total)
    progress(1.0)
    net.eval()
    return history


def predict(
    net: Any, texts: Sequence[str], vocabulary: Vocabulary, batch: int = 64
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Anger logits, shape ``(n,)``, and logits of the others, shape ``(n, 6)``."""
    torch = need_torch()
    net.eval()
    ids = [vocabulary.ids(text) for text in texts]
    order = np.argsort([len(i) for i in ids], kind="stable")
    anger = np.zeros(len(texts))
    others = np.zeros((len(texts), len(OTHERS)))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            a, o, _ = net(*_padded([ids[i] for i in rows]))
            anger[rows], others[rows] = a.numpy(), o.numpy()
    return anger, others


def _rate(share: float) -> float:
    """Learning rate at a share of a stage, relative to its highest."""
    if share < WARM_UP:
        return share / WARM_UP
    cosine = 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))
    return LAST_RATE + (1 - LAST_RATE) * cosine


def _plan(data: Targets, stage: Stage, seed: int) -> list[npt.NDArray[np.int64]]:
    """Rows of each round, shuffled; every round has the same share of every corpus.

    A small corpus that is seen six times is spread over all rounds: were it read alone at the
    end, that is what the network would remember.
    """
    rng = np.random.default_rng([seed, 1])
    rounds: list[list[npt.NDArray[np.int64]]] = [
        [] for _ in range(math.ceil(max(stage.passes.values())))
    ]
    for name, passes in sorted(stage.passes.items()):
        mine = np.flatnonzero(data.corpus == data.corpora.index(name))
        drawn = np.concatenate([rng.permutation(mine) for _ in range(math.ceil(passes))])
        parts = np.array_split(drawn[: round(passes * len(mine))], len(rounds))
        for rows, part in zip(rounds, parts, strict=True):
            rows.append(part)
    return [rng.permutation(np.concatenate(rows)) for rows in rounds]


def _batches(
    data: Targets, stage: Stage, language: str, seed: int
) -> Iterator[tuple[int, npt.NDArray[np.int64], list[str]]]:
    """Number, rows and texts of each batch of a stage."""
    rng = np.random.default_rng([seed, 2])
    rest = np.zeros(0, dtype=np.int64)
    step = 0
    plan = _plan(data, stage, seed)
    for number, rows in enumerate(plan):
        misheard = mishear(data.texts, language, seed + 1000 * number)
        rows = np.concatenate([rest, rows])
        last = number == len(plan) - 1
        while len(rows) >= stage.batch and (last or len(rows) >= stage.batch * _POOL):
            pool, rows = np.split(rows, [stage.batch * _POOL])
            length = np.array([len(data.texts[i]) for i in pool])
            pool = pool[np.argsort(length, kind="stable")]
            whole = len(pool) // stage.batch
            for part in rng.permutation(whole):
                batch = pool[part * stage.batch : (part + 1) * stage.batch]
                wrong = rng.random(stage.batch) < MISHEARD
                texts = [
                    misheard[i] if w else data.texts[i] for i, w in zip(batch, wrong, strict=True)
                ]
                yield step, batch, texts
                step += 1
        rest = rows


def _loss(net: Any, data: Targets, rows: npt.NDArray[np.int64], ids: Sequence[Ids]) -> Any:
    """What the network gets wrong on a batch, over all three questions."""
    torch = need_torch()
    functional = torch.nn.functional
    anger, others, labels = net(*_padded(ids))

    def of(array: Floats) -> Any:
        return torch.from_numpy(array)

    positive, negative = of(data.positive[rows]), of(data.negative[rows])
    loss = positive * functional.softplus(-anger) + negative * functional.softplus(anger)
    total = loss.sum() / (positive + negative).sum().clamp(min=1e-3)
    shares = of(data.others[rows])
    told = shares.sum().clamp(min=1.0)
    total = total - OTHERS_WEIGHT * (shares * functional.log_softmax(others, 1)).sum() / told
    own = of(data.of_corpus[data.corpus[rows]])
    wrong = functional.binary_cross_entropy_with_logits(
        labels, of(data.labels[rows]), reduction="none"
    )
    return total + LABELS_WEIGHT * (wrong * own).sum() / len(rows)


def _padded(ids: Sequence[Ids]) -> tuple[Any, Any]:
    """Token ids, padded to the longest, and their mask."""
    torch = need_torch()
    longest = max(len(i) for i in ids)
    padded = np.zeros((len(ids), longest), dtype=np.int64)
    mask = np.zeros((len(ids), longest), dtype=np.float32)
    for row, mine in enumerate(ids):
        padded[row, : len(mine)] = mine
        mask[row, : len(mine)] = 1.0
    return torch.from_numpy(padded), torch.from_numpy(mask)


def _save(path: Path, net: Any, optimiser: Any, step: int) -> None:
    """Write a checkpoint whole or not at all."""
    torch = need_torch()
    part = path.with_suffix(".part")
    content = {
        "net": net.state_dict(),
        "optimiser": optimiser.state_dict() if optimiser else None,
        "chance": torch.get_rng_state(),
        "step": step,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, part)
        part.replace(path)
    except (OSError, RuntimeError) as err:  # torch reports a full disk as the latter
        raise OutputError(f"{path}: {err}", "choose a folder with room with --cache") from err


def _read(path: Path) -> dict[str, Any] | None:
    """A checkpoint, or None if it is no good: training then starts the stage again."""
    torch = need_torch()
    try:
        saved = torch.load(path, weights_only=True)
    except Exception:  # torch's errors share no base class; a checkpoint is only a saving
        return None
    return saved if isinstance(saved, dict) and {"net", "step"} <= saved.keys() else None
