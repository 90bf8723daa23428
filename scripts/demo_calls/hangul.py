"""Korean spelling to pronunciation, and on to the phonemes that Kokoro knows.

The rules are those of the Standard Pronunciation (표준 발음법, National Institute of
Korean Language): liaison (13-15), the seven codas (8-11), aspiration (12), palatalisation
(17), nasalisation (18-19), lateralisation (20) and tensing after a stop (23).  Tensing
that depends on the word (할 게 -> 할께) is not modelled: spell it as it sounds.
"""

from __future__ import annotations

import itertools
import re

_ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_CODAS = ["", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"]
_CLUSTERS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ",
    "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
}  # fmt: skip
_NEUTRAL = {
    "ㄲ": "ㄱ", "ㅋ": "ㄱ", "ㄳ": "ㄱ", "ㄺ": "ㄱ", "ㅅ": "ㄷ", "ㅆ": "ㄷ", "ㅈ": "ㄷ", "ㅊ": "ㄷ",
    "ㅌ": "ㄷ", "ㅎ": "", "ㅍ": "ㅂ", "ㅄ": "ㅂ", "ㄿ": "ㅂ", "ㄵ": "ㄴ", "ㄶ": "ㄴ", "ㄼ": "ㄹ",
    "ㄽ": "ㄹ", "ㄾ": "ㄹ", "ㅀ": "ㄹ", "ㄻ": "ㅁ",
}  # fmt: skip
_ASPIRATED = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}
_H_CODAS = {"ㅎ": "", "ㄶ": "ㄴ", "ㅀ": "ㄹ"}

_VOWEL_PHONES = dict(
    zip(
        _VOWELS,
        re.findall(r"\S+", "a ɛ ja jɛ ʌ e jʌ je o wa wɛ we jo u wʌ we wi ju ɯ ɯi i"),
        strict=True,
    )
)
_ONSET_PHONES = dict(
    zip(_ONSETS, ["k", "k", "n", "t", "t", "ɾ", "m", "p", "p", "s", "s", "", "ʨ", "ʨ",
                  "ʨʰ", "kʰ", "tʰ", "pʰ", "h"], strict=True)
)  # fmt: skip
_VOICED_PHONES = {"ㄱ": "ɡ", "ㄷ": "d", "ㅂ": "b", "ㅈ": "ʥ"}
_CODA_PHONES = {"": "", "ㄱ": "k", "ㄴ": "n", "ㄷ": "t", "ㄹ": "l", "ㅁ": "m", "ㅂ": "p", "ㅇ": "ŋ"}
_Y_VOWELS = "ㅣㅑㅕㅛㅠㅟ"

Syllable = tuple[str, str, str]
"""onset (ㅇ for none), vowel, coda ('' for none)"""


def pronounce(word: str) -> list[Syllable]:
    """Apply the pronunciation rules to one word of Hangul syllables (no other character)."""
    parts = []
    for char in word:
        index = ord(char) - 0xAC00
        parts.append([_ONSETS[index // 588], _VOWELS[index % 588 // 28], _CODAS[index % 28]])
    for left, right in itertools.pairwise(parts):
        left[2], right[0] = _join(left[2], right[0], right[1])
    if parts:
        parts[-1][2] = _NEUTRAL.get(parts[-1][2], parts[-1][2])
    return [(onset, vowel, coda) for onset, vowel, coda in parts]


def _join(coda: str, onset: str, vowel: str) -> tuple[str, str]:
    """What a coda and the onset after it become."""
    if not coda:
        return coda, onset
    neutral = _NEUTRAL.get(coda, coda)
    if onset == "ㅇ":
        return _link(coda, vowel)
    if coda in _H_CODAS and onset in _ASPIRATED:
        return _H_CODAS[coda], _ASPIRATED[onset]
    if coda in _H_CODAS and onset == "ㅅ":
        return _H_CODAS[coda], "ㅆ"
    if coda == "ㅎ" and onset == "ㄴ":
        return "ㄴ", "ㄴ"
    if onset == "ㅎ":
        if coda in ("ㅈ", "ㄵ"):
            return ("ㄴ" if coda == "ㄵ" else ""), "ㅊ"
        if neutral in _ASPIRATED:
            return "", _ASPIRATED[neutral]
        return neutral, onset
    if (neutral in _NASAL or coda in ("ㄵ", "ㄼ", "ㄾ")) and onset in _TENSE:
        onset = _TENSE[onset]
    if onset in ("ㄴ", "ㅁ"):
        neutral = _NASAL.get(neutral, neutral)
    if onset == "ㄹ" and neutral in ("ㄱ", "ㄷ", "ㅂ", "ㅁ", "ㅇ"):
        return _NASAL.get(neutral, neutral), "ㄴ"
    if {neutral, onset} == {"ㄴ", "ㄹ"}:
        return "ㄹ", "ㄹ"
    return neutral, onset


def _link(coda: str, vowel: str) -> tuple[str, str]:
    """Carry a coda over to a syllable that begins with a vowel."""
    if coda == "ㅇ":
        return coda, "ㅇ"
    if coda == "ㅎ":
        return "", "ㅇ"
    if coda in _CLUSTERS:
        stays, goes = tuple(_CLUSTERS[coda])
        if goes == "ㅎ":
            return "", stays
        return stays, "ㅆ" if goes == "ㅅ" else goes
    if vowel == "ㅣ" and coda in ("ㄷ", "ㅌ"):
        return "", {"ㄷ": "ㅈ", "ㅌ": "ㅊ"}[coda]
    return "", coda


def phonemes(text: str) -> str:
    """Turn Korean text into Kokoro's phonemes; words by spaces, ``,.?!`` kept, the rest dropped.

    Example:
        >>> phonemes("같이 갑니다.")
        'kaʨʰi kamnida.'
    """
    spoken = ""
    for token in re.findall(r"[가-힣]+|[,.?!]", text):
        if token in ",.?!":
            spoken += token
            continue
        spoken += " " if spoken else ""
        before = None
        for onset, vowel, coda in pronounce(token):
            if (
                onset in _VOICED_PHONES
                and before is not None
                and before in ("", "ㄴ", "ㅁ", "ㅇ", "ㄹ")
            ):
                spoken += _VOICED_PHONES[onset]
            elif onset == "ㄹ" and before == "ㄹ":
                spoken += "l"
            elif onset in ("ㅅ", "ㅆ") and vowel in _Y_VOWELS:
                spoken += "ɕ"
            else:
                spoken += _ONSET_PHONES[onset]
            spoken += _VOWEL_PHONES[vowel] + _CODA_PHONES[coda]
            before = coda
    return spoken
