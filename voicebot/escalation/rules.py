"""What a caller says outright: phrases that matter whatever the tone of voice.

A rule is a handful of patterns a language, looked for in the text of each
finished utterance of one leg.  How they are matched is the business of
:mod:`voicebot.escalation.phrases`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Self

import yaml
from pydantic import Field, model_validator

from voicebot.errors import ConfigError
from voicebot.escalation.phrases import UNSPACED, PhraseFinder, Phrases, Spoken
from voicebot.events import Final, Leg, Severity, Word
from voicebot.params import Params, key

_SHORT_WORD = 2
"""Spaced languages: words up to so many letters (to, a, my) are recognised by their
neighbours, so their own confidence is not asked for."""


class Rule(Params):
    """One rule: which words, said by whom and when, mean what."""

    name: str = Field(
        description="Unique name; the reason of the alerts it opens.",
        pattern=r"^[a-z0-9_]+$", max_length=64,
    )  # fmt: skip
    description: str = key("", "What the rule is for, in words.")
    severity: Severity = key(
        Severity.COACHING, "How urgent its alert is: information, coaching or critical."
    )
    alert: bool = key(
        True, "Whether it opens an alert at once; if false it only makes the call RISING."
    )
    leg: Leg = key(Leg.CALLER, "Whose words count: caller or agent.")
    languages: dict[str, Phrases] = key({}, "Phrases by language (ISO 639-1: en, zh, ko, ...).")
    after_seconds: float = key(0.0, "Ignored earlier in the call than this.", unit="s", ge=0)
    before_seconds: float | None = key(
        None, "Ignored later in the call than this; null for no limit.", unit="s", ge=0
    )
    min_confidence: float = key(
        0.5, "A matched word that the recogniser trusts less than this does not count, and the "
        "phrase with it. Raise it if noise sets the rule off.", ge=0, le=1,
    )  # fmt: skip
    cooldown_seconds: float = key(
        30.0, "After a hit the rule is silent for so long.", unit="s", ge=0
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.before_seconds is not None and self.before_seconds <= self.after_seconds:
            raise ValueError(
                f"rule {self.name}: before_seconds ({self.before_seconds}) must be above "
                f"after_seconds ({self.after_seconds})"
            )
        if not any(phrases.patterns for phrases in self.languages.values()):
            raise ValueError(f"rule {self.name}: no pattern in any language")
        _finders(self)
        return self


class RulesParams(Params):
    """The rules in force."""

    enabled: bool = key(True, "Whether spoken phrases are looked for at all.")
    rules: list[Rule] = Field(
        default_factory=lambda: list(load_default_rules()),
        description="The rules; each is complete, so that a list here replaces the default one.",
    )

    @model_validator(mode="after")
    def _unique(self) -> Self:
        _check_names(self.rules)
        return self


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that fired."""

    rule: str
    severity: Severity
    alert: bool
    """False: it only makes the call RISING"""
    leg: Leg
    start: float
    """s, audio clock; of the matched words, or of the utterance if they have no times"""
    end: float
    """s, audio clock"""
    text: str
    """what was said in the whole utterance"""
    matched: str
    """the words that matched, in normal form"""
    utterance_start: float
    """s, audio clock"""
    utterance_end: float
    """s, audio clock"""


class RuleMatcher:
    """Rules ready to be matched; immutable, to be shared by all calls.

    Args:
        rules: The rules, or the parameters that hold them.

    Raises:
        ConfigError: two rules of one name.

    Example:
        >>> matcher = RuleMatcher(load_default_rules())
        >>> final = Final(call_id="c", leg=Leg.CALLER, t=3.0, utterance=1, start=1.0, end=3.0,
        ...     text="let me talk to your manager", confidence=0.9, language="en", engine="x")
        >>> [hit.rule for hit in matcher.match(final)]
        ['asks_for_human']
    """

    def __init__(self, rules: Sequence[Rule] | RulesParams) -> None:
        if isinstance(rules, RulesParams):
            rules = rules.rules if rules.enabled else []
        try:
            _check_names(rules)
        except ValueError as err:
            raise ConfigError(str(err), "rename one of them") from None
        self._rules = tuple((rule, _finders(rule)) for rule in rules)

    def match(self, final: Final, last: Mapping[str, float] | None = None) -> tuple[RuleHit, ...]:
        """The rules that one finished utterance sets off, in the order of the rules.

        Args:
            final: The utterance.
            last: When each rule last fired in this call (rule name to
                :attr:`RuleHit.start`, s), for the cooldown; the caller keeps it.
        """
        spoken, last = Spoken.of(final), last or {}
        hits = []
        for rule, finders in self._rules:
            finder = finders.get(spoken.language)
            if finder is None or final.leg is not rule.leg:
                continue
            hit = _first_hit(rule, finder, final, spoken)
            if hit is None:
                continue
            if rule.name in last and hit.start - last[rule.name] < rule.cooldown_seconds:
                continue
            hits.append(hit)
        return tuple(hits)


def load_default_rules() -> tuple[Rule, ...]:
    """The rules that come with voicebot (``voicebot/assets/rules.yaml``)."""
    source = resources.files("voicebot") / "assets" / "rules.yaml"
    loaded = yaml.safe_load(source.read_text(encoding="utf-8"))
    return tuple(Rule.model_validate(rule) for rule in loaded["rules"])


def _first_hit(rule: Rule, finder: PhraseFinder, final: Final, spoken: Spoken) -> RuleHit | None:
    """The first place where a rule finds a phrase in its time and with enough confidence."""
    for start, end in finder.find(spoken):
        words = spoken.between(start, end)
        in_time = rule.after_seconds <= words[0].start < (rule.before_seconds or math.inf)
        if in_time and not _unsure(words, spoken.language, rule.min_confidence):
            return RuleHit(
                rule=rule.name,
                severity=rule.severity,
                alert=rule.alert,
                leg=rule.leg,
                start=words[0].start,
                end=words[-1].end,
                text=final.text,
                matched=spoken.text[start:end],
                utterance_start=final.start,
                utterance_end=final.end,
            )
    return None


def _unsure(words: Sequence[Word], language: str, least: float) -> bool:
    """Whether a word that matters was recognised with too little confidence."""
    if language not in UNSPACED:
        words = [word for word in words if len(word.text) > _SHORT_WORD] or words
    return any(word.confidence < least for word in words)


def _finders(rule: Rule) -> dict[str, PhraseFinder]:
    return {
        language: PhraseFinder(rule.name, language, phrases)
        for language, phrases in rule.languages.items()
    }


def _check_names(rules: Iterable[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise ValueError(f"rule {rule.name}: defined twice")
        seen.add(rule.name)
