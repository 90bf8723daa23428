"""Labels from and for other programs: CSV, and label tracks of Audacity.

A CSV file has the columns ``call,rater,start,end,label`` and one row a span, in
seconds.  A row ``other`` up to where the rater stopped listening says how far the
labels go, so that "all of it is calm" is not lost; without one they count for the
whole call.

A label track (Audacity: File > Export Other > Export Labels) is one call of one
rater: ``start TAB end TAB label`` a line; lines that begin with a backslash give
a frequency range and are skipped.

Neither may hold what was said: a label is one of three words, and other columns
and other words are refused without being repeated.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from voicebot.errors import LabelError
from voicebot.labelling.gold import consensus
from voicebot.labelling.spans import Label, Span, joined
from voicebot.labelling.store import Rating, check_call, check_rater

COLUMNS: Final = ("call", "rater", "start", "end", "label")
_LABELS: Final = {label.value: label for label in Label}
_MAX_BYTES: Final = 64 * 2**20
_NO_TEXT: Final = "labels hold times and one of three words; keep what was said elsewhere"


def to_csv(ratings: Iterable[Rating]) -> str:
    """Labels as CSV; :func:`from_csv` is the inverse for what it holds (times to 0.1 ms)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rating in ratings:
        others = [s for s in consensus([rating]) if s.label is Label.OTHER]
        known = rating.seconds is not None or rating.heard is not None
        for span in sorted([*rating.spans, *(others[-1:] if known else ())]):
            writer.writerow(
                (rating.call, rating.rater, _number(span.start), _number(span.end), span.label)
            )
    return out.getvalue()


def from_csv(path: Path) -> list[Rating]:
    """Read labels from CSV.

    Raises:
        LabelError: it cannot be read, or a row is malformed; named as ``file:row``.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    found: dict[tuple[str, str], list[tuple[int, Span]]] = defaultdict(list)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        place = _columns(path, header)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            at = f"{path}:{reader.line_num}"
            if len(row) != len(header):
                raise LabelError(
                    f"{at}: {len(row)} cells, but the header has {len(header)}",
                    "give each row a cell for each column",
                )
            call, rater, start, end, label = (row[place[name]].strip() for name in COLUMNS)
            try:
                key = check_call(call), check_rater(rater)
            except LabelError as err:
                raise LabelError(f"{at}: {err.what}", err.mend) from None
            found[key].append((reader.line_num, _span(at, start, end, label)))
    except csv.Error as err:
        raise LabelError(f"{path}:{reader.line_num}: {err}", "export it again as CSV") from None
    return [
        _rating(path, call, rater, numbered) for (call, rater), numbered in sorted(found.items())
    ]


def to_audacity(rating: Rating) -> str:
    """One rating as a label track."""
    return "".join(f"{_number(s.start)}\t{_number(s.end)}\t{s.label}\n" for s in rating.spans)


def from_audacity(path: Path, call: str, rater: str) -> Rating:
    """Read a label track; an empty one says that nothing is to be marked.

    Args:
        path: The track.  Decimal commas are taken.
        call: The call that it belongs to.
        rater: Whose it is.

    Raises:
        LabelError: it cannot be read, or a line is malformed; named as ``file:line``.
    """
    numbered = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        at = f"{path}:{number}"
        cells = line.split("\t")
        if len(cells) != 3:
            raise LabelError(f"{at}: not start, end and label with tabs between", "export it again")
        start, end, label = (cell.strip() for cell in cells)
        if _seconds(at, start) == _seconds(at, end):
            raise LabelError(f"{at}: a point and no stretch", "drag it out over the stretch")
        numbered.append((number, _span(at, start, end, label)))
    return _rating(path, check_call(call), check_rater(rater), numbered)


def _rating(path: Path, call: str, rater: str, numbered: Sequence[tuple[int, Span]]) -> Rating:
    """Spans of any order as a rating; two labels for one moment are refused."""
    spans = sorted(numbered, key=lambda pair: pair[1])
    reach = 0
    for index, (number, span) in enumerate(spans[1:], start=1):
        if spans[index - 1][1].end > spans[reach][1].end:
            reach = index - 1
        before, other = spans[reach]
        if other.end > span.start and other.label is not span.label:
            raise LabelError(
                f"{path}:{number}: overlaps line {before}, which has another label",
                "shorten one of the two",
            )
    merged = joined(span for _, span in spans)
    marked = tuple(s for s in merged if s.label is not Label.OTHER)
    if len(marked) == len(merged):
        return Rating(call, rater, marked)
    heard = max(s.end for s in merged if s.label is Label.OTHER)
    for span in marked:
        heard = span.end if span.start <= heard < span.end else heard
    return Rating(call, rater, marked, seconds=merged[-1].end, heard=heard)


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Where each column is."""
    for name in COLUMNS:
        if header.count(name) != 1:
            raise LabelError(
                f"{path}:1: {'no' if name not in header else 'more than one'} column {name!r}",
                f"make the first row {','.join(COLUMNS)}",
            )
    if len(header) > len(COLUMNS):
        extra = next(i for i, name in enumerate(header, start=1) if name not in COLUMNS)
        raise LabelError(f"{path}:1: column {extra} is not one of labels", f"drop it: {_NO_TEXT}")
    return {name: header.index(name) for name in COLUMNS}


def _span(at: str, start: str, end: str, label: str) -> Span:
    if label.lower() not in _LABELS:
        raise LabelError(
            f"{at}: its label is not one of {', '.join(_LABELS)}", f"use one of these: {_NO_TEXT}"
        )
    try:
        return Span(_seconds(at, start), _seconds(at, end), _LABELS[label.lower()])
    except ValueError as err:
        raise LabelError(f"{at}: {err}", "mend the times") from None


def _seconds(at: str, text: str) -> float:
    """A number of seconds, with a decimal point or comma."""
    try:
        return round(float(text.replace(",", ".")), 4)
    except ValueError:
        raise LabelError(f"{at}: a time is no number", "write seconds, for example 12.5") from None


def _number(seconds: float) -> str:
    return f"{seconds:.4f}".rstrip("0").rstrip(".")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as err:
        raise LabelError(f"{path}: cannot be read: {err.strerror}", "check the path") from None
    if len(data) > _MAX_BYTES:
        raise LabelError(f"{path}: too large for labels", "name a file of labels")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelError(f"{path}: not UTF-8 text", "save it as UTF-8") from None
