"""Writing a corpus of one's own into a data folder, beside those that are there."""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import soundfile

from voicebot.emotion.frames import RATE
from voicebot.errors import LabelError, ModelError, OutputError
from voicebot.labelling.store import output_error, write_whole
from voicebot.training.licences import LICENCE_FILE, read_licences
from voicebot.training.own_calls import OwnCorpus
from voicebot.training.report import Progress

COLUMNS: Final = (
    "file", "corpus", "language", "speaker", "emotion", "seconds", "split", "text",
)  # fmt: skip
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")


def read_callers(path: Path) -> dict[str, str]:
    """Read who called: a CSV file with the columns ``call,caller``.

    Raises:
        LabelError: it cannot be read, or a row is malformed; named as ``file:row``, and never
            with what is in it.
    """
    mend = "make its first row call,caller, and give each call one row"
    callers: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            if sorted(header) != ["call", "caller"]:
                raise LabelError(f"{path}:1: not the columns call and caller", mend)
            for row in reader:
                if not any(row):
                    continue
                if len(row) != 2 or not all(cell.strip() for cell in row):
                    raise LabelError(f"{path}:{reader.line_num}: not a call and a caller", mend)
                call, caller = (row[header.index(c)].strip() for c in ("call", "caller"))
                if callers.setdefault(call, caller) != caller:
                    raise LabelError(f"{path}:{reader.line_num}: the call has two callers", mend)
    except OSError as err:
        raise LabelError(f"{path}: cannot be read: {err.strerror}", "check the path") from None
    except (UnicodeDecodeError, csv.Error):
        raise LabelError(f"{path}: not CSV in UTF-8", mend) from None
    return callers


def check_name(name: str, language: str) -> None:
    """Refuse a name or language that a manifest cannot hold.

    Raises:
        LabelError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise LabelError(
            f"corpus {name!r}: not a name that can be used",
            "use up to 32 of a-z, 0-9, - and _, for example --name mycalls",
        )
    if not _LANGUAGE.fullmatch(language):
        raise LabelError(f"language {language!r}: not a code", "write it as en, ko or yue")


def check_place(data: Path, folder: Path, name: str, *, replace_old: bool) -> None:
    """Find out before the long work whether a corpus can be added.

    Args:
        data: Folder to add to.
        folder: Of the recordings.
        name: Of the corpus.
        replace_old: Whether a corpus of this name may be replaced.

    Raises:
        LabelError: ``data`` lies within ``folder``, or the corpus is there already.
        ModelError: the manifest that is there cannot be read.
    """
    if data.resolve().is_relative_to(folder.resolve()):
        raise LabelError(
            f"{data}: lies in the folder of calls, where its clips would be taken for calls",
            "name a folder outside with --out",
        )
    _, rows = _manifest(data)
    mine = [row for row in rows if row["corpus"] == name]
    if mine and not replace_old:
        raise LabelError(
            f"{data}: has a corpus {name} already ({len(mine)} clips)",
            "give another --name, or add --replace to replace it",
        )
    if any(not row["file"].startswith(f"{name}/") for row in mine):
        raise LabelError(
            f"{data}: corpus {name} was not made by this command", "give another --name"
        )


def write_corpus(
    data: Path, name: str, language: str, licence: str, corpus: OwnCorpus, progress: Progress
) -> None:
    """Write clips, licence, and the manifest last: if it is interrupted, run it again.

    Args:
        data: Folder to add to; made if it is not there.
        name: Of the corpus; one that is there already is replaced.
        language: ISO 639.
        licence: What may be done with it, in a few words.
        corpus: To write.
        progress: Told how far it is.

    Raises:
        OutputError: it cannot be written.
        ModelError: the manifest or the licences that are there cannot be read.
    """
    speech = data / "speech"
    fields, old = _manifest(data)
    rows: list[dict[str, str]] = []
    count = 0
    try:
        speech.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=speech, prefix=".new-") as fresh:
            for count, clip in enumerate(corpus.clips, start=1):
                progress("clips", count / len(corpus.clips))
                emotion = "angry" if clip.angry else "other"
                file = f"{clip.caller:04d}_{count:05d}_{emotion}.flac"
                soundfile.write(Path(fresh) / file, clip.pcm, RATE)
                rows.append(
                    {
                        "file": f"{name}/{file}", "corpus": name, "language": language,
                        "speaker": f"{name}:{clip.caller:04d}", "emotion": emotion,
                        "seconds": f"{len(clip.pcm) / RATE:.3f}", "split": clip.split, "text": "",
                    }
                )  # fmt: skip
            licences = {**read_licences(data), name: licence}
            _swap(Path(fresh), speech / name)
    except soundfile.SoundFileError as err:  # libsndfile does not say why: mostly a full disk
        raise OutputError(
            f"{speech}: clip {count} cannot be written: {err}", "make room on the disk"
        ) from None
    except OSError as err:
        raise output_error(speech, err) from None
    write_whole(speech / LICENCE_FILE, _csv(("corpus", "licence"), _licence_rows(licences)))
    kept = [row for row in old if row["corpus"] != name]
    write_whole(speech / "manifest.csv", _csv(fields, [*kept, *rows]))


def _swap(fresh: Path, place: Path) -> None:
    """Put a folder of clips where it belongs."""
    if place.exists():
        shutil.rmtree(place)
    place.mkdir()
    for file in fresh.iterdir():
        file.rename(place / file.name)


def _licence_rows(licences: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"corpus": corpus, "licence": text} for corpus, text in sorted(licences.items())]


def _manifest(data: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Columns and rows of the manifest that is there, or of an empty one."""
    path = data / "speech" / "manifest.csv"
    if not path.exists():
        return COLUMNS, []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            fields = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise ModelError(
            f"{path}: cannot be read: {err}", "mend it, or name another --out"
        ) from None
    if missing := [c for c in COLUMNS if c not in (*fields, "text")]:
        raise ModelError(f"{path}: no column {missing[0]!r}", "mend it, or name another --out")
    return fields, rows


def _csv(fields: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
