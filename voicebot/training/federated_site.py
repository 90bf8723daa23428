"""A site of a federation: the Flower app that answers for clips which stay where they are.

:func:`client_app` makes an ordinary Flower ``ClientApp``, which a SuperNode runs at a company
and :mod:`voicebot.training.rehearsal` in a process of this
machine.  What it computes is in :mod:`voicebot.training.federated`.

Flower sends usage statistics to its makers unless told not to; here it is told not to.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from voicebot.emotion.calibration import Platt
from voicebot.emotion.features import FEATURE_SET
from voicebot.errors import ModelError
from voicebot.training.acoustic_model import Fitted, Floats
from voicebot.training.augmentation import CLEAN, LINE
from voicebot.training.feature_cache import default_cache, feature_table
from voicebot.training.federated import (
    MIN_CLIPS,
    Scaling,
    Site,
    figures,
    logit_counts,
    moments,
)
from voicebot.training.federated_training import (
    FederatedRecipe,
    Weights,
    blurred,
    to_fitted,
    train_locally,
)
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import SPLITS, Clip, for_training, read_manifest

CONDITIONS: Final = {"clean": CLEAN, "line": LINE}
"""How each clip may be heard in training, by name; figures are given for the first."""
EVERY_CONDITION: Final = "+".join(CONDITIONS)
ARRAYS: Final = "arrays"
CONFIG: Final = "config"
"""names of records, as Flower's own strategies have them"""


def need_flower() -> Any:
    """The ``flwr`` package, with its statistics switched off.

    Raises:
        ModelError: it is not installed.
    """
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # before the import, which reads it
    try:
        import flwr.app
        import flwr.clientapp
        import flwr.serverapp.strategy
        import flwr.supercore.task_identity
    except ImportError as err:
        raise ModelError(
            f"federated training needs the Python package {err.name}",
            "pip install 'voicebot[train,federated]'",
        ) from None
    return flwr


@lru_cache(maxsize=1)
def read_site(
    name: str,
    data: Path,
    corpora: str,
    conditions: str,
    cache: Path,
    seed: int,
    workers: int,
    min_clips: int,
) -> Site:
    """Read a site's clips and compute their features, once for each process.

    Args:
        name: For people.
        data: Folder with ``speech/`` and ``noise/``.
        corpora: Names joined with ``+``; empty takes all.
        conditions: Of :data:`CONDITIONS`, joined with ``+``.
        cache: Folder for computed features.
        seed: Of how the clips are degraded.
        workers: Processes that compute.
        min_clips: See :meth:`Site.check`.

    Raises:
        ModelError: data is missing or unusable.
        OutputError: the cache cannot be written.
    """
    clips, tables = compute_features(
        data, conditions, cache, seed, workers, lambda what, share: None
    )
    known = {clip.corpus for clip in clips}
    wanted = set(corpora.split("+")) if corpora else known
    if unknown := sorted(wanted - known):
        raise ModelError(
            f"site {name!r}: no corpus {unknown[0]!r} in {data}",
            f"use some of {', '.join(sorted(known))}",
        )
    rows = [n for n, clip in enumerate(clips) if clip.corpus in wanted]
    site = Site(name, tuple(clips[n] for n in rows), tables[:, rows])
    site.check(min_clips)
    return site


def compute_features(
    data: Path, conditions: str, cache: Path, seed: int, workers: int, progress: Progress
) -> tuple[list[Clip], Floats]:
    """Clips of a folder and their features, shape ``(conditions, clips, features)``.

    Raises:
        ModelError: data is missing or unusable.
        OutputError: the cache cannot be written.
    """
    if unknown := [name for name in conditions.split("+") if name not in CONDITIONS]:
        raise ModelError(
            f"unknown condition {unknown[0]!r}", f"use some of {', '.join(CONDITIONS)}"
        )
    clips = read_manifest(data)
    tables = [
        feature_table(
            data, clips, CONDITIONS[name], for_training, seed=seed, cache=cache,
            progress=progress, workers=workers,
        )
        for name in conditions.split("+")
    ]  # fmt: skip
    return clips, np.stack(tables)


def client_app() -> Any:
    """The Flower ``ClientApp`` of a site.

    It reads from its node's configuration: ``name``; ``data``, its folder; and if need be
    ``corpora`` and ``conditions`` (joined with ``+``), ``cache``, ``seed``, ``workers`` and
    ``min_clips``.

    Raises:
        ModelError: Flower is not installed.
    """
    app = need_flower().clientapp.ClientApp()
    app.query("describe")(_describe)
    app.train()(_train)
    app.query("levels")(_levels)
    app.evaluate()(_evaluate)
    return app


def _here(context: Any) -> Site:
    node = context.node_config
    cache = str(node.get("cache", ""))
    return read_site(
        str(node.get("name", context.node_id)),
        Path(str(node["data"])),
        str(node.get("corpora", "")),
        str(node.get("conditions", EVERY_CONDITION)),
        Path(cache) if cache else default_cache(),
        int(node.get("seed", 0)),
        int(node.get("workers", 1)),
        int(node.get("min_clips", MIN_CLIPS)),
    )


def _describe(message: Any, context: Any) -> Any:
    site = _here(context)
    splits = {split: int(site.rows(split).sum()) for split in SPLITS}
    facts = {
        "name": site.name,
        "features": FEATURE_SET,
        "corpora": sorted({clip.corpus for clip in site.clips}),
        "languages": sorted({clip.language for clip in site.clips}),
        "speakers": len({clip.speaker for clip in site.clips}),
        **splits,
    }
    return _reply(message, {"moments": moments(site)}, facts)


def _train(message: Any, context: Any) -> Any:
    site, weights, config = _here(context), _weights(message), message.content[CONFIG]
    recipe = FederatedRecipe(**{f.name: config[f.name] for f in fields(FederatedRecipe)})
    seed = (config["seed"], config["server-round"], zlib.crc32(site.name.encode()))
    after, weight = train_locally(weights, site, _scaling(config), recipe, seed)
    app = need_flower().app
    content = records(blurred(weights, after, recipe))
    content["metrics"] = app.MetricRecord({"weight": weight})
    return app.Message(content, reply_to=message)


def _levels(message: Any, context: Any) -> Any:
    return _reply(message, {"counts": logit_counts(_model(message), _here(context))}, {})


def _evaluate(message: Any, context: Any) -> Any:
    config = message.content[CONFIG]
    platt = Platt(config["slope"], config["intercept"], config["prior"])
    table = figures(_model(message), platt, _here(context), config["split"])
    flat = {f"{row}/{name}": v for row, values in table.items() for name, v in values.items()}
    return _reply(message, {}, flat)


def _model(message: Any) -> Fitted:
    config = message.content[CONFIG]
    recipe = FederatedRecipe(linear_share=config["linear_share"])
    return to_fitted(_weights(message), _scaling(config), recipe)


def _weights(message: Any) -> Weights:
    return {name: array.numpy() for name, array in message.content[ARRAYS].items()}


def _scaling(config: Any) -> Scaling:
    return Scaling(np.array(config["mean"], np.float32), np.array(config["scale"], np.float32))


def records(arrays: dict[str, Any], config: dict[str, Any] | None = None) -> Any:
    """The content of a message: a Flower ``RecordDict`` of arrays and plain values."""
    app = need_flower().app
    out = app.RecordDict({ARRAYS: app.ArrayRecord({k: app.Array(v) for k, v in arrays.items()})})
    if config is not None:
        out[CONFIG] = app.ConfigRecord(config)
    return out


def _reply(message: Any, arrays: dict[str, Any], facts: dict[str, Any]) -> Any:
    return need_flower().app.Message(records(arrays, facts), reply_to=message)
