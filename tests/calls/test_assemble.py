from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.calls.voices import clips, read
from voicebot.calls.assemble import Assembled, assemble
from voicebot.calls.casting import Role
from voicebot.calls.record import Kind

NOISES = [np.random.default_rng(0).normal(scale=300, size=40_000).astype(np.int16)]


def made(kind: Kind, number: int = 0, seed: int = 0) -> Assembled:
    return assemble(Role(kind, tuple(clips("ravdess:2"))), number, seed, read, NOISES)


def test_the_same_seed_and_number_give_the_same_call() -> None:
    one, two = made(Kind.ANGRY, 3), made(Kind.ANGRY, 3)
    assert one.facts == two.facts
    assert np.array_equal(one.pcm, two.pcm)
    assert made(Kind.ANGRY, 4).facts.seconds != one.facts.seconds


@pytest.mark.parametrize("kind", list(Kind))
def test_a_call_is_what_it_says(kind: Kind) -> None:
    for number in range(2):
        call = made(kind, number)
        f = call.facts
        assert f.seconds == len(call.pcm) / 8000
        assert len(call.pcm) % 800 == 0, "whole blocks, as a source gives them"
        assert 60 <= f.seconds <= 260
        assert (f.gender, f.corpus, f.speaker) == ("female", "ravdess", "ravdess:2")
        ends = [0.0, *(s.end for s in f.spans)]
        assert all(s.start >= end for s, end in zip(f.spans, ends, strict=False)), "in order"
        angry = [s for s in f.spans if s.angry]
        assert (f.onset is not None) == kind.persists
        assert (f.outburst is not None) == (kind is Kind.OUTBURST)
        assert bool(angry) == (kind.persists or kind is Kind.OUTBURST)
        if angry:
            assert angry[0].start == f.provoked
        if kind is Kind.ANGRY:
            assert 20 <= f.provoked <= 90
            assert f.seconds - f.provoked >= 40
            after = [s for s in f.spans if s.start >= f.provoked]
            share = sum(s.angry for s in after) / len(after)
            assert 0.4 < share <= 1.0
        if kind is Kind.OUTBURST:
            assert sum(s.end - s.start for s in angry) < 8.0
            assert f.spans[-1].start > angry[-1].end, "calm again"


def test_spans_lie_where_the_voice_is() -> None:
    call = next(c for n in range(20) if (c := made(Kind.CALM, n)).facts.snr_db is None
                and "room" not in c.facts.line)  # fmt: skip
    x = np.abs(call.pcm.astype(float))
    said = np.zeros(len(x), bool)
    for span in call.facts.spans:
        said[round(span.start * 8000) : round(span.end * 8000)] = True
    assert x[said].mean() > 50 * max(x[~said].mean(), 1.0)


def test_recordings_are_used_again_only_when_all_were_used() -> None:
    call = made(Kind.ANGRY_FROM_START)
    angry = sum(s.angry for s in call.facts.spans)
    assert call.facts.uses <= -(-angry // 5) + 1


def test_lines_differ_and_loud_calls_are_loud() -> None:
    lines = {made(Kind.CALM, n).facts.line for n in range(6)}
    assert len(lines) > 2

    def level(kind: Kind) -> float:
        return float(np.mean([np.abs(made(kind, n).pcm.astype(float)).mean() for n in range(2)]))

    assert level(Kind.CALM_LOUD) > 1.2 * level(Kind.CALM)


def test_facts_are_plain_values() -> None:
    f = made(Kind.OUTBURST).facts
    assert isinstance(dataclasses.asdict(f)["spans"][0]["start"], float)
