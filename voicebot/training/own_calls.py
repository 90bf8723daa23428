"""A company's own labelled calls as a corpus: cut into clips, and split by caller.

What the raters agree on (:mod:`voicebot.labelling.gold`) is cut out of the
caller's utterances.  Nothing but sound and ``angry`` or ``other`` is kept: no
text, no file name, and in place of a caller's name or number a running number,
because even a digest of a telephone number can be found out by trying them all.

Raters are asked one question, anger or not, because that is what the product decides and what
they agree on.  So ``other`` holds the few happy and sad callers too.  Where a model tells the
rest apart it counts as neutral (:mod:`voicebot.training.speech_corpora`): right for most of it,
and the odds of anger, which set it against all the rest, hardly depend on that.  A clip whose
emotion is known better may say so in the manifest.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Final

from voicebot.audio.pcm import resample
from voicebot.emotion.frames import RATE
from voicebot.errors import AudioError, LabelError
from voicebot.events import Leg, Pcm
from voicebot.labelling.calls import CallAudio, find_calls, read_call
from voicebot.labelling.gold import gold_spans
from voicebot.labelling.spans import Label, Span, clipped
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import SPLITS

MIN_SECONDS: Final = 1.0
MAX_SECONDS: Final = 8.0
"""s; how long a clip is"""
_SHARES: Final = {"train": 0.7, "dev": 0.15, "test": 0.15}
_NEED_BOTH: Final = ("train", "test", "dev")
"""which split is first to have both classes, where callers are few: a trainer cannot do without
the first two"""


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip of a call."""

    pcm: Pcm
    """8 kHz"""
    angry: bool
    caller: int
    """running number of the caller, from 1"""
    split: str


@dataclass(frozen=True, slots=True)
class OwnCorpus:
    """Clips cut from labelled calls, and what was left out."""

    clips: tuple[CutClip, ...]
    calls: int
    callers: int
    unlabelled: int
    """recordings without labels"""
    same_calls: int
    """recordings whose sound was there already under another name"""
    same_clips: int
    """clips whose sound was there already"""
    short: int
    """labelled stretches of speech under MIN_SECONDS"""
    mono: int
    """recordings with one leg, in which whoever speaks counts as the caller"""


def cut_calls(
    folder: Path,
    labels: Path,
    callers: Mapping[str, str],
    *,
    name: str,
    seed: int,
    legs: Sequence[Leg | None] | None,
    progress: Progress,
) -> OwnCorpus:
    """Cut labelled calls into clips.

    Args:
        folder: Of the recordings.
        labels: Of ``voicebot label``.
        callers: Call to caller; a call that is not in it has a caller of its own.
        name: Of the corpus; part of the seed.
        seed: Of the split.
        legs: What the channels are.
        progress: Told how far it is.

    Raises:
        LabelError: no or broken labels, labels without a recording, a caller of an unknown call,
            or not one clip comes of it.
        AudioError: recordings cannot be read; all are named.
    """
    gold = gold_spans(labels)
    calls = find_calls([folder])
    for what, names in (("has labels, but", gold), ("has a caller, but", callers)):
        if lost := [call for call in names if call not in calls]:
            raise LabelError(
                f"{', '.join(lost)}: {what} is no recording below {folder}",
                "put the recordings back, or take these out",
            )
    caller_of = {call: callers.get(call, f"call {call}") for call in gold}
    pieces: list[tuple[str, bool, Pcm]] = []
    broken: list[str] = []
    heard: set[bytes] = set()
    same_calls = short = mono = 0
    for number, call in enumerate(gold):
        progress("calls", number / len(gold))
        try:
            audio = read_call(calls[call], legs)
        except AudioError as err:
            broken.append(str(err))
            continue
        if (digest := hashlib.sha256(audio.caller.tobytes()).digest()) in heard:
            same_calls += 1
            continue
        heard.add(digest)
        mono += len(audio.legs) == 1
        cut, under = cut_spans(gold[call], audio.speech)
        short += under
        pieces += [(caller_of[call], s.label is Label.ANGRY, _sound(audio, s)) for s in cut]
    progress("calls", 1.0)
    if broken:
        raise AudioError("\n".join(broken), "restore these recordings, or delete their labels")
    kept = list(_distinct(pieces))
    if not kept:
        raise LabelError(
            f"{labels}: no stretch of {MIN_SECONDS:g} s and more of a caller's speech is labelled",
            "label calls to their end, and see voicebot label agreement for what raters dispute",
        )
    classes: dict[str, set[bool]] = defaultdict(set)
    for caller, angry, _ in kept:
        classes[caller].add(angry)
    splits = split_callers(classes, f"{seed}/{name}")
    number_of = {caller: n for n, caller in enumerate(sorted(classes), start=1)}
    return OwnCorpus(
        tuple(CutClip(pcm, angry, number_of[c], splits[c]) for c, angry, pcm in kept),
        calls=len(gold) - same_calls, callers=len(classes), unlabelled=len(set(calls) - set(gold)),
        same_calls=same_calls, same_clips=len(pieces) - len(kept), short=short, mono=mono,
    )  # fmt: skip


def cut_spans(
    gold: Sequence[Span], speech: Iterable[tuple[float, float]]
) -> tuple[list[Span], int]:
    """The stretches of a call to make clips of.

    Args:
        gold: What the raters agree on.
        speech: s, start and end of the caller's utterances.

    Returns:
        Stretches of :data:`MIN_SECONDS` to :data:`MAX_SECONDS` s within one utterance and one
        label, longer ones cut evenly; and how many were too short.
    """
    out: list[Span] = []
    short = 0
    for start, end in speech:
        for span in clipped(gold, start, end):
            if span.seconds < MIN_SECONDS - 1e-6:
                short += 1
                continue
            count = ceil(span.seconds / MAX_SECONDS - 1e-6)
            step = span.seconds / count
            edges = [span.start + step * i for i in range(count)] + [span.end]
            out += [Span(a, b, span.label) for a, b in pairwise(edges)]
    return out, short


def split_callers(classes: Mapping[str, set[bool]], seed: str) -> dict[str, str]:
    """Put each caller into one split, by a digest, so that it stays when others are added.

    Where that leaves a split without angry or without other clips although there are callers for
    it, one caller who has both, or two who have one each, are put into each split first.

    Args:
        classes: Caller to what there is of them: angry (True), other (False).
        seed: Of the digest.

    Returns:
        Caller to split.  As many splits have both classes as can have.
    """
    place = {
        caller: int.from_bytes(hashlib.sha256(f"{seed}/{caller}".encode()).digest()[:8]) / 2**64
        for caller in classes
    }
    splits = {caller: _split_at(share) for caller, share in place.items()}
    order = sorted(classes, key=lambda caller: place[caller])
    both = [(caller,) for caller in order if len(classes[caller]) == 2]
    angry = [caller for caller in order if classes[caller] == {True}]
    other = [caller for caller in order if classes[caller] == {False}]
    covers = [*both, *zip(angry, other, strict=False)]
    covered = [
        {True, False} <= {c for caller in order if splits[caller] == split for c in classes[caller]}
        for split in SPLITS
    ]
    if sum(covered) < min(len(SPLITS), len(covers)):
        for split, cover in zip(_NEED_BOTH, covers, strict=False):
            splits |= dict.fromkeys(cover, split)
    return splits


def _split_at(share: float) -> str:
    """The split of a place in 0-1."""
    for split in SPLITS:
        share -= _SHARES[split]
        if share < 0:
            return split
    return SPLITS[-1]


def _sound(audio: CallAudio, span: Span) -> Pcm:
    """The caller's samples of a stretch, at 8 kHz."""
    piece = audio.caller[round(span.start * audio.rate) : round(span.end * audio.rate)]
    return resample(piece, audio.rate, RATE)


def _distinct(pieces: Iterable[tuple[str, bool, Pcm]]) -> Iterable[tuple[str, bool, Pcm]]:
    """Pieces without those whose sound came before."""
    heard: set[bytes] = set()
    for piece in pieces:
        digest = hashlib.sha256(piece[2].tobytes()).digest()
        if digest not in heard:
            heard.add(digest)
            yield piece
