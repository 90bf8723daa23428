"""Moving labels between a store and files of other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from voicebot.errors import LabelError
from voicebot.labelling.calls import read_call
from voicebot.labelling.exchange import from_audacity, from_csv, to_audacity
from voicebot.labelling.spans import clipped
from voicebot.labelling.store import LABELS, LabelStore, Rating, write_whole

OVERHANG_SECONDS: Final = 0.5
"""s by which a label may end after its call, as one drawn to the very end does"""


def labels_folder(folder: Path) -> Path:
    """Where the labels are: in ``folder/labels`` if that is there, else in ``folder`` itself."""
    beside = folder / LABELS
    return beside if beside.is_dir() else folder


def write_tracks(ratings: Iterable[Rating], folder: Path) -> list[Path]:
    """Write ``RATER/CALL.txt`` for Audacity.

    Raises:
        OutputError: they cannot be written.
    """
    paths = []
    for rating in ratings:
        paths.append(folder / rating.rater / f"{rating.call}.txt")
        write_whole(paths[-1], to_audacity(rating))
    return paths


def read_files(
    files: Sequence[Path], *, rater: str | None, call: str | None, calls: Mapping[str, Path]
) -> list[Rating]:
    """Read CSV (``.csv``) and label tracks (all else).

    Args:
        files: To read.
        rater: Of the label tracks.
        call: Of the one label track; by default the name of its file tells: ``CALL.txt``, where
            the suffix of the recording may be left out if ``calls`` has only one such.
        calls: The recordings, if they are at hand.

    Raises:
        LabelError: a file is malformed, or it is not known whose and of which call it is.
    """
    tracks = [file for file in files if file.suffix.lower() != ".csv"]
    if tracks and rater is None:
        raise LabelError(f"{tracks[0]}: whose labels are these?", "add --rater NAME")
    if call is not None and len(files) != 1:
        raise LabelError("--call names the call of one label track", "import them one by one")
    out: list[Rating] = []
    for file in files:
        if file in tracks:
            assert rater is not None
            out.append(from_audacity(file, call or _call_of(file, calls), rater))
        else:
            out += from_csv(file)
    seen: set[tuple[str, str]] = set()
    for rating in out:
        key = rating.call, rating.rater
        if key in seen:
            raise LabelError(
                f"{rating.call}: labels of {rating.rater} are in two of these files",
                "import only one of them",
            )
        seen.add(key)
    return out


def import_ratings(
    ratings: Sequence[Rating],
    store: LabelStore,
    calls: Mapping[str, Path],
    *,
    replace_old: bool,
    progress: Callable[[str, float], None],
) -> None:
    """Put labels into a store: all of them, or none if one does not fit.

    Args:
        ratings: From :func:`read_files`.
        store: Where to.
        calls: The recordings; empty if they are not at hand, then lengths stay unknown.
        replace_old: Whether labels that are there may be replaced.
        progress: Told how far it is.

    Raises:
        LabelError: a call is not among the recordings, a span lies beyond its end, or the
            rater's labels of a call are there already.
        AudioError: a recording cannot be read.
        OutputError: they cannot be saved.
    """
    for rating in ratings:
        if not replace_old and store.load(rating.call, rating.rater) is not None:
            raise LabelError(
                f"{rating.call}: labels of {rating.rater} are there already",
                "give another rater's name, or add --replace",
            )
        if calls and rating.call not in calls:
            raise LabelError(
                f"{rating.call}: no such recording",
                "name the folder of its recordings with --calls",
            )
    known: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {}
    fitted = []
    for number, rating in enumerate(ratings):
        progress("recordings", number / len(ratings))
        if calls:
            if rating.call not in known:
                audio = read_call(calls[rating.call])
                known[rating.call] = round(audio.seconds, 4), audio.speech
            rating = _fitted(rating, *known[rating.call])
        fitted.append(rating)
    for rating in fitted:
        store.save(rating)
    progress("recordings", 1.0)


def _fitted(rating: Rating, seconds: float, speech: tuple[tuple[float, float], ...]) -> Rating:
    """A rating with what its recording tells."""
    ends = [s.end for s in rating.spans] + ([] if rating.heard is None else [rating.heard])
    if ends and max(ends) > seconds + OVERHANG_SECONDS:
        raise LabelError(
            f"{rating.call}: a label of {rating.rater} ends at {max(ends):g} s, but the call at "
            f"{seconds:g} s",
            "check that the labels belong to this recording",
        )
    heard = rating.heard
    if heard is not None and heard >= seconds - OVERHANG_SECONDS:
        heard = None
    return replace(
        rating, spans=clipped(rating.spans, 0.0, seconds), seconds=seconds, heard=heard,
        speech=speech,
    )  # fmt: skip


def _call_of(file: Path, calls: Mapping[str, Path]) -> str:
    """The call that a label track is named after."""
    if not calls or file.stem in calls:
        return file.stem
    fits = [call for call, path in calls.items() if file.stem in (path.name, path.stem)]
    if len(fits) != 1:
        raise LabelError(
            f"{file}: {'no recording has' if not fits else 'several recordings have'} its name",
            "say which it belongs to with --call",
        )
    return fits[0]
