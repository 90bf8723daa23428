"""What the raters of a call agree on: the labels to calibrate, train and test with.

At each moment of a call every rater who has listened that far, or marked it, has one vote.
The moment is ``angry`` or ``other`` if more than half of the votes say so.  All
else (a tie, a majority of ``unclear``, a stretch nobody has listened to) is left
out: it lies under no span, and nothing should be judged by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path

from voicebot.labelling.spans import Label, Span, joined, label_at
from voicebot.labelling.store import LabelStore, Rating


def gold_spans(folder: Path) -> Mapping[str, tuple[Span, ...]]:
    """The consensus of a folder of labels.

    Args:
        folder: As written by ``voicebot label`` (``--labels``).

    Returns:
        For each labelled call, by its path below the folder of calls (see
        :func:`voicebot.labelling.calls.find_calls`), its ``angry`` and ``other`` spans in
        order, without overlap.  What no span covers is unknown.

    Raises:
        LabelError: there are no labels, or some cannot be read.
    """
    ratings = LabelStore(folder).ratings()
    return {
        call: consensus(list(group))
        for call, group in groupby(ratings, key=lambda rating: rating.call)
    }


def consensus(ratings: Sequence[Rating]) -> tuple[Span, ...]:
    """What more than half of the raters of one call say, moment by moment.

    Args:
        ratings: Of one call, one a rater.
    """
    end = call_seconds(ratings)
    edges = {0.0, end}
    for rating in ratings:
        edges |= {t for s in rating.spans for t in (s.start, s.end) if t < end}
        edges |= {min(end if rating.heard is None else rating.heard, end)}
    spans = []
    for start, stop in pairwise(sorted(edges)):
        votes = Counter(
            label
            for label, heard in ((label_at(r.spans, start), r.heard) for r in ratings)
            if label is not Label.OTHER or heard is None or start < heard
        )
        for label in (Label.ANGRY, Label.OTHER):
            if 2 * votes[label] > votes.total():
                spans.append(Span(start, stop, label))
    return joined(spans)


def call_seconds(ratings: Sequence[Rating]) -> float:
    """Length of a call in seconds: as known, else up to the last thing that anybody marked."""
    known = [r.seconds for r in ratings if r.seconds is not None]
    return max(known) if known else max((s.end for r in ratings for s in r.spans), default=0.0)
