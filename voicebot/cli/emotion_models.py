"""``voicebot models add|activate|rollback|shadow|card``: versions of the emotion models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from voicebot.emotion import comparison
from voicebot.emotion.intake import add as take_in
from voicebot.emotion.ledger import Ledger
from voicebot.emotion.model_card import headline_auc, read_card
from voicebot.emotion.onnx_model import MODEL_FILE
from voicebot.emotion.opening import listens
from voicebot.emotion.pointer import ModelId, Pointer
from voicebot.emotion.store import Store
from voicebot.errors import ModelError

ModelArgument = Annotated[
    str, typer.Argument(metavar="NAME@VERSION", help="As models list has it.")
]

_FIGURES: Final = {
    "utterances": "utterances that both scored",
    "only_active_scored": "... the active model alone",
    "only_candidate_scored": "... the candidate alone",
    "missed": "utterances left out for lack of time",
    "difference_mean_nats": "logit, candidate less active, mean (nats)",
    "difference_sd_nats": "... standard deviation (nats)",
    "correlation": "correlation of the logits",
    "disagreement_share": "share on which they disagree at 0.5",
    "only_active_angry": "angry to the active model alone",
    "only_candidate_angry": "angry to the candidate alone",
    "calls": "calls heard from beginning to end",
    "calls_both_alert": "calls in which both would have alerted",
    "calls_only_active_alerts": "... the active model alone",
    "calls_only_candidate_alerts": "... the candidate alone",
    "candidate_earlier_mean_seconds": "by how much the candidate is earlier, mean (s)",
    "peak_evidence_active_mean_nats": "highest evidence with the active model, mean (nats)",
    "peak_evidence_candidate_mean_nats": "... with the candidate, mean (nats)",
    "candidate_cpu_mean_ms": "CPU time of the candidate an utterance, mean (ms)",
    "candidate_cpu_p95_ms": "... 95th percentile (ms)",
    "candidate_cpu_longest_ms": "... longest (ms)",
    "since": "since",
    "until": "until",
    "switched_off": "switched off, for it",
}


def add(
    folder: Annotated[Path, typer.Argument(help="A model folder, as voicebot train writes it.")],
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="V", help="Default: the model's own, else date and checksum."
        ),
    ] = None,
) -> None:
    """Check a trained emotion model and install it beside the others.  It is not active by that.

    Example: voicebot models add trained/acoustic --version 2027-01-own-calls
    """
    model, new = take_in(Store(), folder, version)
    typer.echo(f"{model}: {'installed' if new else 'was installed already'}")
    typer.echo(f"make it the active one with: voicebot models activate {model}", err=True)


def activate(model: ModelArgument) -> None:
    """Make a version the active one; running processes take it up between two utterances.

    Example: voicebot models activate acoustic@2027-01-own-calls
    """
    chosen = ModelId.parse(model)
    before = Store().activate(chosen).version(chosen.name)
    if before == chosen.version:
        typer.echo(f"{chosen}: is active already")
        return
    typer.echo(f"{chosen}: active, in place of {before}")
    if listens(chosen.name):
        typer.echo(f"it scores where the setting models.voice is {chosen.name}", err=True)
    typer.echo(f"go back with: voicebot models rollback {chosen.name}", err=True)


def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model, e.g. acoustic or text-en.")],
) -> None:
    """Go back to the version that was active before.

    Example: voicebot models rollback acoustic
    """
    store = Store()
    _known(store, name)
    left = store.rollback(name).version(name)
    typer.echo(f"{name}@{store.pointer().version(name)}: active again, in place of {left}")


def card(
    model: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="Without a version: the active one.")
    ],
) -> None:
    """Print what a model was made of, how good it is, and what it must not be used for.

    Example: voicebot models card acoustic
    """
    store = Store()
    typer.echo(read_card(store.locate(_version(store, model))), nl=False)


def shadow(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME@VERSION...|report|clear]", help="What to try, or to tell."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Try nothing any more.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Let candidates score beside the active models.

    They have no effect on any call; what is kept are sums, no scores, words or audio.  Examples:

      voicebot models shadow acoustic@2027-01-own-calls

      voicebot models shadow report --json

      voicebot models shadow --off
    """
    words, store = what or [], Store()
    if (off and words) or (as_json and words != ["report"]):
        raise ModelError(
            "shadow: --off goes alone, --json with report", "see `voicebot models shadow --help`"
        )
    if words == ["report"]:
        _report(Ledger(store), as_json)
    elif words == ["clear"]:
        Ledger(store).clear()
        typer.echo("the comparisons are forgotten")
    elif off or words:
        chosen = [ModelId.parse(word) for word in words]
        for model in chosen:
            if store.pointer().version(model.name) == model.version:
                raise ModelError(f"{model}: is the active one", "try another version beside it")
        store.shadow(chosen)
        _tell_shadows(store.pointer())
    else:
        _tell_shadows(store.pointer())


def versions_table(store: Store) -> Table:
    """All versions of the emotion models."""
    table = Table(title=f"Emotion models (store: {store.folder})")
    for heading in ("model", "", "size", "AUC (its card)", "folder"):
        table.add_column(
            heading,
            justify="right" if heading in ("size", "AUC (its card)") else "left",
            no_wrap=heading == "model",
            overflow="fold",
        )
    try:
        pointer = store.pointer()
    except ModelError:
        pointer = Pointer()  # as running processes see it; the caller tells of the fault
    for name in store.names():
        for model in store.versions(name):
            state = "active" if pointer.version(name) == model.version else ""
            state = state or ("shadow" if model in pointer.shadow else "")
            folder = store.locate(model)
            table.add_row(str(model), state, _size(folder), _auc(folder), str(folder))
    return table


def verify_versions(store: Store, asked: str | None) -> tuple[list[str], bool]:
    """Check versions and the pointer file.

    Args:
        store: Where they are.
        asked: ``NAME`` or ``NAME@VERSION``; None checks all.

    Returns:
        A line for each, and whether all are sound.

    Raises:
        ModelError: there is no such version.
    """
    if asked and "@" in asked:
        model = ModelId.parse(asked)
        store.locate(model)
        chosen = [model]
    else:
        chosen = [m for name in ([asked] if asked else store.names()) for m in store.versions(name)]
    faults = {f"{model} ({store.locate(model)})": store.faults(model) for model in chosen}
    if pointed := store.pointer_faults():
        faults["active versions"] = pointed
    lines = [f"{what}: {'; '.join(found) or 'sound'}" for what, found in faults.items()]
    return lines, not any(faults.values())


def _known(store: Store, name: str) -> None:
    if name not in store.names():
        raise ModelError(f"{name}: no emotion model is called so", f"there are: "
                         f"{', '.join(store.names())}")  # fmt: skip


def _version(store: Store, text: str) -> ModelId:
    """A version by ``NAME@VERSION``, or the active one of a ``NAME``."""
    if "@" in text:
        return ModelId.parse(text)
    _known(store, text)
    return ModelId(text, store.pointer().version(text))


def _tell_shadows(pointer: Pointer) -> None:
    for model in pointer.shadow:
        typer.echo(f"{model}: tried beside {model.name}@{pointer.version(model.name)}")
    if not pointer.shadow:
        typer.echo("nothing is tried")


def _report(ledger: Ledger, as_json: bool) -> None:
    kept = sorted(ledger.read().items())
    told = [
        {"candidate": pair.candidate, "active": pair.active, "weights": pair.weights,
         **comparison.summary(total)}
        for pair, total in kept
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    if not told:
        typer.echo("nothing was tried so far; see `voicebot models shadow --help`")
    for entry in told:
        table = Table("", "", title=f"{entry['candidate']} beside {entry['active']}",
                      show_header=False)  # fmt: skip
        for key, label in _FIGURES.items():
            value = entry[key]
            if value not in (None, ""):
                table.add_row(label, f"{value:.3f}" if isinstance(value, float) else str(value))
        Console().print(table)


def _size(folder: Path) -> str:
    try:
        return f"{(folder / MODEL_FILE).stat().st_size / 1e6:.1f} MB"
    except OSError:
        return "?"


def _auc(folder: Path) -> str:
    try:
        auc = headline_auc(read_card(folder))
    except ModelError:
        return "?"
    return "" if auc is None else f"{auc:.3f}"
