"""A federation on one machine: every site a process, nothing but messages between them.

It takes the place of Flower's own simulation, which needs Ray.  The apps are those of
:mod:`voicebot.training.federated_site`, unchanged; a site's clips are read in its process alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from voicebot.errors import ModelError, VoicebotError
from voicebot.training.evaluation import mean_of
from voicebot.training.feature_cache import default_cache
from voicebot.training.federated import MIN_CLIPS
from voicebot.training.federated_site import (
    EVERY_CONDITION,
    client_app,
    compute_features,
    need_flower,
)
from voicebot.training.federated_training import FederatedRecipe, privacy_loss
from voicebot.training.federation import (
    Checked,
    Federated,
    coordinate,
    measure,
    write,
)
from voicebot.training.report import Progress, Table, TrainReport

_FAILED: Final = 2
"""Flower's code for an app that raised"""
_COORDINATOR: Final = 1
"""Flower's node id of whoever coordinates"""
_STOP: Final = None
_Line = Any
"""a ``multiprocessing.connection.Connection``, whose types differ between versions of Python"""


@dataclass(slots=True)
class _Process:
    """A site's process and the line to it."""

    process: Any
    line: _Line


class Rehearsal:
    """Does as a ``flwr.serverapp.Grid`` over processes of this machine.

    Args:
        sites: Configuration of each node, as :func:`client_app` reads it.
    """

    def __init__(self, sites: Sequence[Mapping[str, str | int]]) -> None:
        # What Flower's own launchers do in the process of the coordinator.
        identity = need_flower().supercore.task_identity.TaskIdentity
        identity.run_id, identity.node_id, identity.task_id = 0, _COORDINATOR, 1
        logging.getLogger("flwr").setLevel(logging.ERROR)  # our own progress bar says the same
        context = get_context("spawn")
        self._nodes: dict[int, _Process] = {}
        for node, config in enumerate(sites, start=_COORDINATOR + 1):
            ours, theirs = context.Pipe()
            process = context.Process(target=_site, args=(theirs, node, dict(config)), daemon=True)
            process.start()
            theirs.close()
            self._nodes[node] = _Process(process, ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self._nodes.values():
            with suppress(OSError):
                node.line.send(_STOP)
        for node in self._nodes.values():
            node.process.join(0.0 if kind else 5.0)
            if node.process.is_alive():
                node.process.terminate()
                node.process.join()
            node.line.close()

    def get_node_ids(self) -> list[int]:
        """All nodes, in the order of the sites."""
        return list(self._nodes)

    def processes(self) -> list[int]:
        """Process ids of the sites, in their order."""
        return [node.process.pid for node in self._nodes.values()]

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> Any:
        """Hand messages to the sites and collect what they answer in time.

        Returns:
            Messages; one with an error for a site that has died, none for one that is late.
        """
        app = need_flower().app
        pending: dict[_Line, Any] = {}
        replies = []
        for message in messages:
            line = self._nodes[message.metadata.dst_node_id].line
            pending[line] = message
            with suppress(OSError):  # a dead site's line is found at its end below
                line.send(message)
        until = None if timeout is None else time.monotonic() + timeout
        while pending:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = set(wait(list(pending), left))
            if not ready:
                break
            for line in [line for line in pending if line in ready]:
                message = pending.pop(line)
                try:
                    replies.append(line.recv())
                except (EOFError, OSError):
                    error = app.Error(_FAILED, "its process has ended")
                    replies.append(app.Message(error, reply_to=message))
        return replies


def _site(line: _Line, node: int, config: dict[str, str | int]) -> None:
    """The process of a site: answer until told to stop, or the other end is gone."""
    app_module, app = need_flower().app, client_app()
    context = app_module.Context(
        run_id=0, node_id=node, node_config=config, state=app_module.RecordDict(), run_config={}
    )
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while (message := line.recv()) is not _STOP:
            try:
                reply = app(message, context)
            except VoicebotError as err:
                reply = app_module.Message(app_module.Error(_FAILED, str(err)), reply_to=message)
            line.send(reply)


def rehearse(
    data: Path,
    out: Path,
    sites: Sequence[str],
    *,
    seed: int,
    progress: Progress,
    recipe: FederatedRecipe | None = None,
    cache: Path | None = None,
    workers: int = 2,
    min_clips: int = MIN_CLIPS,
    conditions: str = EVERY_CONDITION,
) -> TrainReport:
    """Train over sites made of the corpora of one folder, and say what pooling would have gained.

    Args:
        data: Folder with ``speech/`` and ``noise/``.
        out: Model folder to write.
        sites: Corpora of each site, joined with ``+``.
        seed: Of all chance.
        progress: Told how far it is.
        recipe: How to train.
        cache: Folder for computed features; None takes the user's cache.
        workers: Processes for computing features.
        min_clips: Training clips that a site must have of anger, and of the rest.
        conditions: How clips are heard in training, joined with ``+``: ``clean``, ``line``.

    Returns:
        Figures on the test speakers of all sites: one row for each corpus and way of training
        (federated, pooled, each site alone), and their means.

    Raises:
        ModelError: data or sites are unusable, a site fails, or Flower is not installed.
        OutputError: the model folder or the cache cannot be written.
    """
    began = time.monotonic()
    recipe, cache = recipe or FederatedRecipe(), cache or default_cache()
    _check(sites, recipe)
    need_flower()
    compute_features(data, conditions, cache, seed, workers, progress)
    everyone = "+".join(sites)
    common: dict[str, str | int] = {
        "data": str(data),
        "cache": str(cache),
        "seed": seed,
        "min_clips": min_clips,
    }
    nodes = [{**common, "name": corpora, "corpora": corpora} for corpora in (*sites, everyone)]
    with Rehearsal(nodes) as grid:
        *members, pool = grid.get_node_ids()
        ways = {"federated": members, "pooled": [pool]}
        ways |= {f"{name} alone": [node] for name, node in zip(sites, members, strict=True)}
        rows: dict[str, dict[str, float]] = {}
        found: dict[str, Federated] = {}
        for way, chosen in ways.items():
            result = coordinate(Checked(grid, chosen), recipe, seed, _named(progress, way))
            found[way] = result
            table = measure(Checked(grid, [pool]), result, "test")
            rows |= {f"{corpus}, {way}": dict(row) for corpus, row in table.items()}
            rows[f"mean, {way}"] = mean_of(list(table.values()))
    write(out, found["federated"], recipe, seed)
    return TrainReport((out,), rows, time.monotonic() - began, _notes(rows, recipe))


def _check(sites: Sequence[str], recipe: FederatedRecipe) -> None:
    """Refuse fewer than two sites, a corpus at two of them, and noise that would come to none."""
    if recipe.noise > 0 and recipe.clip <= 0:
        raise ModelError(
            "--noise is in units of --clip, which is 0: no noise would be added",
            "give --clip too, such as 1",
        )
    if len(sites) < 2:
        raise ModelError(
            f"{len(sites)} site: nothing to federate", "give --sites at least twice, as ko+urdu"
        )
    names = [name for site in sites for name in site.split("+")]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(f"the corpus {twice[0]!r} is at two sites", "give each corpus to one site")


def _named(progress: Progress, way: str) -> Progress:
    return lambda what, share: progress(f"{way}: {what}", share)


def _notes(rows: Table, recipe: FederatedRecipe) -> tuple[str, ...]:
    """What the figures come to, in words."""
    lost = rows["mean, pooled"]["auc"] - rows["mean, federated"]["auc"]
    alone = max(
        row["auc"] for name, row in rows.items() if name.startswith("mean,") and "alone" in name
    )
    gained = rows["mean, federated"]["auc"] - alone
    epsilon = privacy_loss(recipe)
    return (
        f"Mean AUC against pooling all calls: {-lost:+.3f}; against the best site alone: "
        f"{gained:+.3f}.",
        f"Privacy of a whole site: epsilon {epsilon:.1f} at delta 1e-5."
        if epsilon < float("inf")
        else "Updates were sent whole; --clip and --noise bound what they say.",
    )
