"""The coordinator of a federation: asks the sites, averages, calibrates, writes the model.

:func:`server_app` makes an ordinary Flower ``ServerApp``, which a SuperLink runs between
companies; :mod:`voicebot.training.rehearsal` calls
:func:`coordinate` on one machine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from voicebot.emotion.calibration import Calibration, Platt
from voicebot.emotion.features import FEATURE_SET, FEATURES
from voicebot.errors import ModelError
from voicebot.training.acoustic_model import Fitted
from voicebot.training.export import write_model
from voicebot.training.federated import calibrated, scaling
from voicebot.training.federated_card import SiteSummary, federated_card
from voicebot.training.federated_site import ARRAYS, CONFIG, need_flower, records
from voicebot.training.federated_training import (
    FederatedRecipe,
    Weights,
    first_weights,
    to_fitted,
)
from voicebot.training.report import Progress, Table
from voicebot.training.speech_corpora import SPLITS

ANSWER_SECONDS: Final = 3600.0
"""s that a site may take for one answer: the first one may have to compute its features"""


@dataclass(frozen=True, slots=True)
class Federated:
    """What a federation came to."""

    weights: Weights
    config: dict[str, Any]
    """as it was sent with them"""
    fitted: Fitted
    calibration: Calibration
    sites: tuple[SiteSummary, ...]
    figures: Table
    """on each site's test split, by corpus"""


class Checked:
    """A Flower grid that leaves no site's failure unsaid.

    Flower averages what it gets: a site that has died would drop out of the model in silence.

    Args:
        grid: A ``flwr.serverapp.Grid``, or what does as one.
        nodes: The sites to use; all of the grid if None.
        answer_seconds: s that a site may take for one answer.
    """

    def __init__(
        self, grid: Any, nodes: Iterable[int] | None = None, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._grid = grid
        self._nodes = sorted(grid.get_node_ids() if nodes is None else nodes)
        self._answer_seconds = answer_seconds
        self.names = {node: f"node {node}" for node in self._nodes}
        """for people; better ones once the sites have said their own"""

    def get_node_ids(self) -> list[int]:
        """The sites' nodes."""
        return self._nodes

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> Any:
        """Send messages and wait for all answers, in the order of the nodes.

        Raises:
            ModelError: a site answers with an error, or not at all.
        """
        sent = list(messages)
        wait = min(timeout or self._answer_seconds, self._answer_seconds)
        replies = {
            r.metadata.src_node_id: r for r in self._grid.send_and_receive(sent, timeout=wait)
        }
        for message in sent:
            node = message.metadata.dst_node_id
            reply = replies.get(node)
            if reply is None:
                raise ModelError(
                    f"{self.names[node]} did not answer within {wait:g} s",
                    "see whether it still runs, then train again",
                )
            if reply.has_error():
                raise ModelError(
                    f"{self.names[node]}: {reply.error.reason}", "mend it there, then train again"
                )
        return [replies[node] for node in sorted(replies)]

    def ask(self, kind: str, content: Any) -> list[Any]:
        """The contents of all sites' answers to one question."""
        message = need_flower().app.Message
        questions = [message(content, node, kind) for node in self._nodes]
        return [reply.content for reply in self.send_and_receive(questions)]


def coordinate(grid: Checked, recipe: FederatedRecipe, seed: int, progress: Progress) -> Federated:
    """Train over the sites of a grid, calibrate, and have each site measure the result.

    Args:
        grid: The sites.
        recipe: How to train.
        seed: Of all chance but the noise of :attr:`FederatedRecipe.noise`.
        progress: Told how far it is.

    Raises:
        ModelError: a site fails, falls silent, computes other features or cannot be learnt from.
    """
    flower = need_flower()
    progress("sites", 0.0)
    answers = grid.ask("query.describe", flower.app.RecordDict())
    sites = tuple(_summary(answer[CONFIG]) for answer in answers)
    names = (f"site {site.name!r}" for site in sites)
    grid.names = dict(zip(grid.get_node_ids(), names, strict=True))
    _same_features(sites)
    scale = scaling([answer[ARRAYS]["moments"].numpy() for answer in answers])
    progress("sites", 1.0)
    config = {
        **asdict(recipe), "seed": seed, "mean": scale.mean.tolist(), "scale": scale.scale.tolist()
    }  # fmt: skip
    weights = _average(grid, first_weights(len(scale.mean), recipe, seed), config, progress)
    progress("calibration and figures", 0.0)
    counts = grid.ask("query.levels", records(weights, config))
    platt = calibrated([answer[ARRAYS]["counts"].numpy() for answer in counts])
    table = _measure(grid, weights, config, platt, "test")
    progress("calibration and figures", 1.0)
    data = f"dev clips of {len(sites)} sites that kept them, as counts by bin"
    fitted = to_fitted(weights, scale, recipe)
    return Federated(weights, config, fitted, Calibration(platt, data=data), sites, table)


def measure(grid: Checked, found: Federated, split: str) -> Table:
    """Have each site measure a model on its own clips: figures by corpus."""
    return _measure(grid, found.weights, found.config, found.calibration.anger, split)


def _measure(
    grid: Checked, weights: Weights, config: dict[str, Any], platt: Platt, split: str
) -> Table:
    line = {"slope": platt.slope, "intercept": platt.intercept, "prior": platt.prior}
    table: dict[str, dict[str, float]] = {}
    for answer in grid.ask("evaluate", records(weights, {**config, **line, "split": split})):
        for name, value in answer[CONFIG].items():
            row, figure = name.rsplit("/", 1)
            table.setdefault(row, {})[figure] = float(value)
    return dict(sorted(table.items()))


def _average(
    grid: Checked, weights: Weights, config: dict[str, Any], progress: Progress
) -> Weights:
    """Rounds of federated averaging, by Flower's own strategy."""
    flower = need_flower()
    rounds, nodes = config["rounds"], len(grid.get_node_ids())

    def told(number: int, arrays: Any) -> None:
        progress("federated rounds", number / rounds)

    strategy = flower.serverapp.strategy.FedAvg(
        fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes,
        weighted_by_key="weight",
    )  # fmt: skip
    result = strategy.start(
        grid=grid, initial_arrays=records(weights)[ARRAYS], num_rounds=rounds,
        timeout=ANSWER_SECONDS, train_config=flower.app.ConfigRecord(config), evaluate_fn=told,
    )  # fmt: skip
    return {name: array.numpy() for name, array in result.arrays.items()}


def server_app() -> Any:
    """The Flower ``ServerApp`` of the coordinator.

    It reads from the run's configuration: ``sites``, how many to wait for; ``out``, the model
    folder to write; ``seed``; and the fields of :class:`FederatedRecipe`.

    Raises:
        ModelError: Flower is not installed.
    """
    app = need_flower().serverapp.ServerApp()
    app.main()(_serve)
    return app


def _serve(grid: Any, context: Any) -> None:
    run = context.run_config
    known = {f.name for f in fields(FederatedRecipe)}
    recipe = FederatedRecipe(**{name: v for name, v in run.items() if name in known})
    wait_for(grid, int(run["sites"]), float(run.get("wait_seconds", 600.0)))
    seed = int(run.get("seed", 0))
    found = coordinate(Checked(grid), recipe, seed, _say)
    write(Path(str(run["out"])), found, recipe, seed)
    for name, row in found.figures.items():
        logging.getLogger("flwr").info("%s: %s", name, {k: round(v, 3) for k, v in row.items()})


def wait_for(grid: Any, sites: int, seconds: float) -> None:
    """Wait until so many sites are there.

    Raises:
        ModelError: they do not come.
    """
    until = time.monotonic() + seconds
    while (there := len(list(grid.get_node_ids()))) < sites:
        if time.monotonic() > until:
            raise ModelError(
                f"{there} of {sites} sites connected within {seconds:g} s",
                "start the missing SuperNodes, or lower the number of sites",
            )
        time.sleep(1.0)


def write(out: Path, found: Federated, recipe: FederatedRecipe, seed: int) -> None:
    """Write the model folder of a federation.

    Raises:
        OutputError: it cannot be written.
    """
    corpora = ",".join(sorted({name for site in found.sites for name in site.corpora}))
    extra = {"voicebot.seed": str(seed), "voicebot.corpora": corpora}
    card = federated_card(found.sites, found.figures, found.calibration, recipe, seed)
    write_model(out, found.fitted.to_onnx(extra), found.calibration, card)


def _summary(facts: Any) -> SiteSummary:
    return SiteSummary(
        facts["name"], facts["features"], tuple(facts["corpora"]), tuple(facts["languages"]),
        facts["speakers"], {split: facts[split] for split in SPLITS},
    )  # fmt: skip


def _same_features(sites: Sequence[SiteSummary]) -> None:
    """Refuse sites whose features mean different things."""
    for site in sites:
        if site.features != FEATURE_SET:
            raise ModelError(
                f"site {site.name!r} computes the features {site.features!r}, the coordinator "
                f"{FEATURE_SET!r} ({len(FEATURES)} values)",
                "install the same version of voicebot everywhere",
            )


def _say(what: str, share: float) -> None:
    logging.getLogger("flwr").info("%s: %.0f %%", what, share * 100)
