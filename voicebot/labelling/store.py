"""Where labels are kept: one small JSON file for each call and rater, written whole or not at all.

The file of a call lies under the rater's folder at the call's own path, for
example ``labels/ann/2024/0815.wav.json``.  It holds times and labels and
nothing of what was said.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final

from voicebot.errors import LabelError, OutputError
from voicebot.labelling.spans import Label, Span
from voicebot.plain import from_plain, to_plain

FORMAT: Final = 1
"""Of the files; a higher one comes from a newer voicebot."""
LABELS: Final = "labels"
"""The folder of labels beside the calls, unless told otherwise."""
_RATER: Final = re.compile(r"\w[\w .-]{0,63}")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater marked in one call."""

    call: str
    """path of the recording below the folder of calls, with ``/``"""
    rater: str
    spans: tuple[Span, ...] = ()
    """in order, without overlap, never ``other``"""
    seconds: float | None = None
    """s, length of the call; None where labels came without it"""
    heard: float | None = None
    """s up to which the rater has listened; None for the whole call.  What lies beyond and is not
    marked is not ``other`` but unknown"""
    speech: tuple[tuple[float, float], ...] | None = None
    """s, start and end of the caller's utterances; None where they are not known"""

    @property
    def done(self) -> bool:
        """Whether the whole call was listened to."""
        return self.heard is None or (self.seconds is not None and self.heard >= self.seconds)


class LabelStore:
    """Labels in a folder, which is made when the first is saved.

    Args:
        folder: Where they are kept.

    Raises:
        LabelError: ``folder`` is not a folder.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise LabelError(f"{folder}: is not a folder", "name a folder with --labels")
        self.folder = folder

    def path(self, call: str, rater: str) -> Path:
        """The file of a call and rater.

        Raises:
            LabelError: a name that cannot be used.
        """
        return self.folder / check_rater(rater) / f"{check_call(call)}.json"

    def save(self, rating: Rating) -> None:
        """Write one rating, whole or not at all.

        Raises:
            LabelError: a name that cannot be used.
            OutputError: the folder cannot be written, the disk is full.
        """
        body = json.dumps({"format": FORMAT, **to_plain(rating)}, ensure_ascii=False, indent=1)
        write_whole(self.path(rating.call, rating.rater), f"{body}\n")

    def check_writable(self, rater: str) -> None:
        """Find out now, and not after an hour of work, whether labels can be saved.

        Raises:
            LabelError: a rater's name that cannot be used.
            OutputError: they cannot.
        """
        folder = self.folder / check_rater(rater)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
        except OSError as err:
            raise output_error(folder, err) from None

    def load(self, call: str, rater: str) -> Rating | None:
        """One rating, or None if there is none.

        Raises:
            LabelError: it cannot be read.
        """
        path = self.path(call, rater)
        return self._read(path) if path.is_file() else None

    def ratings(self) -> list[Rating]:
        """All ratings, by call and rater.

        Raises:
            LabelError: there is none, or one cannot be read.
        """
        found = [self._read(path) for path in sorted(self.folder.glob("*/**/*.json"))]
        if not found:
            raise LabelError(
                f"{self.folder}: no labels", "mark some with voicebot label CALLS --rater NAME"
            )
        return sorted(found, key=lambda r: (r.call, r.rater))

    def _read(self, path: Path) -> Rating:
        mend = "restore it, or delete it and label the call again"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict) or "format" not in data:
                raise ValueError("not a file of labels")
            if data.pop("format") != FORMAT:
                raise LabelError(f"{path}: labels of another version", "update voicebot")
            rating: Rating = from_plain(Rating, data)
            _check(rating)
        except (OSError, ValueError) as err:  # a JSON or Unicode error is a ValueError
            raise LabelError(f"{path}: cannot be read: {err}", mend) from None
        if self.path(rating.call, rating.rater) != path:
            raise LabelError(
                f"{path}: holds the labels of call {rating.call!r} by rater {rating.rater!r}",
                "move it back to where it belongs: RATER/CALL.json",
            )
        return rating


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all, and see it to the disk; make its folder.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=".new-", delete=False, encoding="utf-8", newline=""
        ) as file:
            beside = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as err:
        raise output_error(path, err) from None
    finally:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


def output_error(path: Path, err: OSError) -> OutputError:
    """Why a file or folder cannot be written, with the mend."""
    mend = "name a folder that can be written"
    if err.errno in _FULL:
        mend = "make room on the disk"
    elif err.errno == errno.ENAMETOOLONG:
        mend = "give the call a shorter name"
    return OutputError(f"{path}: cannot be written: {err.strerror or err}", mend)


def check_rater(name: str) -> str:
    """A rater's name, if it can be that of a folder.

    Raises:
        LabelError: it cannot.
    """
    if not _RATER.fullmatch(name) or name[-1] in " ." or name == LABELS:
        raise LabelError(
            f"rater {name!r}: not a name that can be used",
            "use up to 64 letters, digits, - and _, for example --rater ann",
        )
    return name


def check_call(call: str) -> str:
    """A call's name, if it is a path below some folder.

    Raises:
        LabelError: it is not.
    """
    path = PurePosixPath(call)
    if not path.name or path.is_absolute() or ".." in path.parts or not call.isprintable():
        raise LabelError(
            f"call {call!r}: not a path below the folder of calls", "name the recording itself"
        )
    return str(path)


def _check(rating: Rating) -> None:
    """Refuse spans that a hand has put out of order."""
    for span, after in pairwise(rating.spans):
        if after.start < span.end:
            raise ValueError(f"the spans at {span.start:g} s and {after.start:g} s overlap")
    if any(s.label is Label.OTHER for s in rating.spans):
        raise ValueError("a span is 'other', which is what is not marked")
