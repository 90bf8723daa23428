"""Calm things that people say to a service line and nobody posts: spelling, numbers, corrections.

In posts a "not" is mostly disapproval; on a call it is a correction ("no, it's fifteen") or a
fact ("the form doesn't come with it").  Sentences are put together at random from parts, so that
their grammar is taught and no single sentence; all are calm.  English only: there the corpora
mislead most.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Final

import numpy as np

COUNT: Final = 1500
"""Sentences in a training."""
_THINGS: Final = """
appointment account order bill invoice payment reservation flight booking ticket delivery package
warranty insurance policy phone car engine light oil change password address subscription contract
router internet connection card refund form email line system date number model dealership repair
"""
_VERB: Final = (
    "handle", "have", "do", "offer", "cover", "see", "need", "remember", "know", "include", "sell",
    "want", "recall", "keep", "use", "charge for", "work on", "deal with", "accept", "take",
)  # fmt: skip
_DAYS: Final = """
monday tuesday wednesday thursday friday saturday sunday today tomorrow yesterday
"""
_OPENING: Final = (
    "", "", "", "okay", "yes", "no", "um", "well", "so", "sorry", "all right", "hi", "hello", "oh",
    "yeah", "no no", "okay so", "sure", "right", "uh", "i think", "actually", "thanks",
)  # fmt: skip
_CLOSING: Final = (
    "", "", "", "please", "thank you", "okay", "if that's okay", "i think", "i guess", "thanks",
    "right now", "at this time", "for me", "on my end", "that's fine",
)  # fmt: skip
_FORMS: Final = (
    "my {thing} number is {number}",
    "my name is {name} {letters}",
    "that's {letters}",
    "it's spelled {letters}",
    "it's {number}",
    "that's not correct it's {number}",
    "that's not right it's {day} not {day}",
    "it's not {number} it's {number}",
    "not {day} {day}",
    "that's not the {thing} i meant the {thing}",
    "that's not it",
    "that's wrong it should be {number}",
    "i didn't mean the {thing} i meant the {thing}",
    "we don't {verb} the {thing}",
    "we don't {verb} {thing}s here",
    "i don't {verb} the {thing}",
    "i don't {verb} that",
    "i don't know",
    "i'm not sure about the {thing}",
    "i'm not sure what the {thing} is",
    "i can't find the {thing}",
    "i can't see the {thing} on the {thing}",
    "i haven't received the {thing} yet",
    "i didn't get the {thing}",
    "the {thing} doesn't come with the {thing}",
    "the {thing} isn't on {day}",
    "there is no {thing} on the {thing}",
    "there's no {thing} for {day}",
    "i have a question about my {thing}",
    "why is the {thing} different from the {thing}",
    "why does the {thing} say {number}",
    "why do you need my {thing}",
    "how much is the {thing}",
    "when is the {thing}",
    "can you check the {thing}",
    "can i change my {thing} to {day}",
    "could you repeat the {thing} number",
    "i'd like to cancel the {thing} on {day}",
    "i'd like to change my {thing}",
    "i want to cancel my {thing}",
    "i need a new {thing}",
    "the {thing} broke {day} so i need a {thing}",
    "it stopped on {day}",
    "it covers the {thing} but not the {thing}",
    "you don't have to {verb} the {thing}",
    "don't worry about the {thing}",
    "no problem",
    "no thank you",
    "no that's all",
    "nothing else",
    "never mind i found the {thing}",
    "{number} {number}",
    "{letters}",
)
_SYLLABLES: Final = "an bel cor da el fin gar hol is jo ken li mar nor ol pet ro sa tom vi wil"


def service_talk(seed: int, count: int = COUNT) -> Iterator[str]:
    """Calm sentences, already in the form that a recogniser writes.

    Args:
        seed: Of all chance.
        count: How many.
    """
    rng = np.random.default_rng([seed, 3])
    parts = {"thing": _THINGS.split(), "verb": list(_VERB), "day": _DAYS.split()}
    syllables = _SYLLABLES.split()

    def one(words: tuple[str, ...] | list[str]) -> str:
        return words[int(rng.integers(len(words)))]

    for _ in range(count):
        sentence = one(_FORMS)
        while "{" in sentence:
            slot = sentence[sentence.index("{") + 1 : sentence.index("}")]
            if slot == "letters":
                filled = " ".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(3, 8))))
            elif slot == "number":
                filled = str(int(rng.integers(10 ** int(rng.integers(1, 5)))))
            elif slot == "name":
                filled = "".join(one(syllables) for _ in range(int(rng.integers(1, 4))))
            else:
                filled = one(parts[slot])
            sentence = sentence.replace("{" + slot + "}", filled, 1)
        yield " ".join(f"{one(_OPENING)} {sentence} {one(_CLOSING)}".split())
