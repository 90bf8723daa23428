"""Rules: what is said, what is not, and what a recogniser makes of it."""

from __future__ import annotations

import time

import pytest
import yaml
from pydantic import ValidationError

from voicebot.errors import ConfigError
from voicebot.escalation.phrases import Phrases
from voicebot.escalation.rules import Rule, RuleHit, RuleMatcher, RulesParams, load_default_rules
from voicebot.events import Final, Leg, Severity, Word

DEFAULT = RuleMatcher(load_default_rules())


def final(
    text: str, language: str = "en", *, words: tuple[Word, ...] = (), confidence: float = 0.9,
    leg: Leg = Leg.CALLER, start: float = 10.0,
) -> Final:  # fmt: skip
    return Final(
        call_id="c", leg=leg, t=start + 2, utterance=1, text=text, start=start, end=start + 2,
        confidence=confidence, language=language, engine="test", words=words,
    )  # fmt: skip


def names(text: str, language: str, matcher: RuleMatcher = DEFAULT) -> list[str]:
    return [hit.rule for hit in matcher.match(final(text, language))]


def rule(pattern: str, language: str = "en", **keys: object) -> Rule:
    phrases = {
        k: keys.pop(k) for k in ("negated_before", "negated_after", "negation_window") if k in keys
    }
    return Rule.model_validate(
        {"name": "r", "languages": {language: {"patterns": [pattern], **phrases}}, **keys}
    )


SAID = [
    ("en", "I want to speak to a manager!", "asks_for_human"),
    ("en", "can i talk to a real human being", "asks_for_human"),
    ("en", "why can't I speak to a supervisor", "asks_for_human"),
    ("en", "i don't want to wait get me a manager", "asks_for_human"),
    ("en", "no i want to speak to a manager", "asks_for_human"),
    ("en", "transfer me to an agent please", "asks_for_human"),
    ("en", "i want to cancel my account right now", "threat"),
    ("en", "if you do not fix it i will cancel my internet service", "threat"),
    ("en", "don't make me call my lawyer", "threat"),
    ("en", "i'm going to sue you", "threat"),
    ("en", "i will report you to the better business bureau", "threat"),
    ("en", "you are all useless idiots", "abuse"),
    ("en", "are you stupid", "abuse"),
    ("en", "what the hell is going on", "swearing"),
    ("zh", "我要转人工", "asks_for_human"),
    ("zh", "找 你们 经理", "asks_for_human"),
    ("zh", "要不要给我转人工", "asks_for_human"),
    ("zh", "叫你们领导出来", "asks_for_human"),
    ("zh", "我 要 投诉 你们", "threat"),
    ("zh", "再不处理我就打一二三一五", "threat"),
    ("zh", "我要请律师起诉你们", "threat"),
    ("zh", "我去消费者协会告你们", "threat"),
    ("zh", "你们就是一群骗子", "abuse"),
    ("zh-CN", "我要投诉。", "threat"),
    ("ko", "상담원 좀 바꿔 주세요", "asks_for_human"),
    ("ko", "상담 원 이랑 통화 하고 싶어요", "asks_for_human"),
    ("ko", "책임자 나와", "asks_for_human"),
    ("ko", "사람이랑 직접 얘기하고 싶어요", "asks_for_human"),
    ("ko", "지금 당장 해지해 주세요", "threat"),
    ("ko", "고소 할 겁니다", "threat"),
    ("ko", "소비자 보호원에 신고할 거예요", "threat"),
    ("ko", "이 새끼야", "abuse"),
    ("ko", "야 꺼져", "abuse"),
    ("ko", "변호사 부를 거예요", "threat"),
    ("ko", "인터넷에 다 올릴 거예요", "threat"),
    ("zh", "我的律师会联系你们", "threat"),
    ("zh", "再也不会买你们的东西", "threat"),
    ("zh", "滚蛋", "abuse"),
]
NOT_SAID = [
    ("en", "i don't need a manager"),
    ("en", "i do not want to cancel my account"),
    ("en", "please don't cancel my account"),
    ("en", "i didn't ask for a manager"),
    ("en", "i'm not going to sue you"),
    ("en", "i will never cancel my subscription"),
    ("en", "there is no need to speak to a supervisor"),
    ("en", "this is sue speaking"),
    ("en", "the manager was very kind thank you"),
    ("en", "you are not an idiot"),
    ("en", "could you transfer me to the billing department"),
    ("en", "classic shiitake assassin"),
    ("en", "good now i am a lawyer"),
    ("en", ""),
    ("zh", "不用找经理"),
    ("zh", "不用 麻烦 转 人工 了"),
    ("zh", "我 不 想 投诉 你们"),
    ("zh", "我告诉你们我的地址"),
    ("zh", "他妈妈打的电话"),
    ("zh", "谢谢你们的经理"),
    ("zh", "张律师今天是你主场"),
    ("zh", "我再找领导商量"),
    ("ko", "상담원 필요 없어요"),
    ("ko", "상담원 안 바꿔 줘도 돼요"),
    ("ko", "상담원 연결 안 해 주셔도 됩니다"),
    ("ko", "해지하지 않을 거예요"),
    ("ko", "최고 소식 들었어요"),
    ("ko", "고소한 맛이 나요"),
    ("ko", "시발점이 어디예요"),
    ("ko", "좋아하는 사람 얘기"),
    ("ko", "팀장님 부르셨습니까"),
    ("ko", "갑자기 불이 꺼져서 놀랐어요"),
    ("ko", "새끼손가락을 다쳤어요"),
    ("ko", "감사합니다 좋은 하루 되세요"),
    ("fr", "je veux parler to a manager speak to a manager"),
]


@pytest.mark.parametrize(("language", "text", "name"), SAID)
def test_default_rules_hear(language: str, text: str, name: str) -> None:
    assert names(text, language) == [name]


@pytest.mark.parametrize(("language", "text"), NOT_SAID)
def test_default_rules_do_not_hear(language: str, text: str) -> None:
    assert names(text, language) == []


def test_the_default_rules_are_what_the_issue_asks_for() -> None:
    rules = {r.name: r for r in load_default_rules()}
    for name in ("asks_for_human", "threat", "abuse"):
        assert rules[name].alert and set(rules[name].languages) == {"en", "zh", "ko"}
        assert all(p.patterns and p.negated_before + p.negated_after
                   for p in rules[name].languages.values())  # fmt: skip
    assert rules["threat"].severity is Severity.CRITICAL
    assert not rules["swearing"].alert


def test_a_hit_says_where_and_what() -> None:
    words = tuple(
        Word(w, 10 + 0.3 * i, 10.3 + 0.3 * i, 1.0)
        for i, w in enumerate(["please", "get", "me", "a", "manager", "now"])
    )
    (hit,) = DEFAULT.match(final("please get me a manager now", words=words))
    assert [hit.start, hit.end] == pytest.approx([10.3, 11.5])
    assert hit == RuleHit(
        "asks_for_human",
        Severity.COACHING,
        True,
        Leg.CALLER,
        hit.start,
        hit.end,
        "please get me a manager now",
        "get me a manager",
        10.0,
        12.0,
    )


def test_words_of_a_recogniser_with_brackets_and_odd_spaces() -> None:
    said = [("상담", 1.0), ("원", 0.9), ("[60]", 0.2)]
    words = tuple(Word(w, 10.0 + i, 11.0 + i, c) for i, (w, c) in enumerate(said))
    matcher = RuleMatcher([rule("상담원", "ko")])
    (hit,) = matcher.match(final("상담 원 [60]", "ko", words=words))
    assert (hit.start, hit.end) == (10.0, 12.0)


def test_an_unsure_word_does_not_count() -> None:
    def said(*confidences: float) -> tuple[Word, ...]:
        return tuple(
            Word(w, 10, 11, c)
            for w, c in zip(["talk", "to", "the", "manager"], confidences, strict=True)
        )

    text = "talk to the manager"
    assert DEFAULT.match(final(text, words=said(0.9, 0.9, 0.9, 0.9)))
    assert not DEFAULT.match(final(text, words=said(0.9, 0.9, 0.9, 0.4)))
    assert DEFAULT.match(final(text, words=said(0.9, 0.1, 0.9, 0.9))), "short words do not matter"


def test_without_words_the_utterance_is_asked_for_its_confidence() -> None:
    assert not DEFAULT.match(final("i will sue you", confidence=0.3))
    assert DEFAULT.match(final("i will sue you", confidence=0.6))


def test_words_of_another_pass_are_not_believed() -> None:
    """A second pass replaces the text; the words are still those of the first."""
    words = (Word("hello", 10, 11, 0.1), Word("there", 11, 12, 0.1))
    (hit,) = DEFAULT.match(final("i will sue you", words=words, confidence=0.8))
    assert (hit.start, hit.end) == (10.0, 12.0)


def test_only_its_leg() -> None:
    assert not DEFAULT.match(final("i will sue you", leg=Leg.AGENT))
    agent = RuleMatcher([rule("calm down", leg="agent")])
    assert agent.match(final("calm down madam", leg=Leg.AGENT))[0].leg is Leg.AGENT
    assert not agent.match(final("calm down madam"))


def test_only_its_time() -> None:
    matcher = RuleMatcher([rule("hello", after_seconds=5, before_seconds=30)])
    found = [bool(matcher.match(final("hello", start=t))) for t in (4.9, 5.0, 29.9, 30.0)]
    assert found == [False, True, True, False]


def test_cooldown() -> None:
    matcher = RuleMatcher([rule("hello", cooldown_seconds=30)])
    last = {"r": 10.0}
    assert not matcher.match(final("hello", start=39.9), last)
    assert matcher.match(final("hello", start=40.0), last)


def test_a_negated_phrase_does_not_hide_a_later_one() -> None:
    said = "i don't want to sue you but if you laugh again i will sue you"
    assert names(said, "en") == ["threat"]


def test_negation_window() -> None:
    near = rule("refund", negated_before=["not"], negation_window=1)
    assert not RuleMatcher([near]).match(final("not a refund"))
    assert RuleMatcher([near]).match(final("not even a refund"))
    after = rule("refund", negated_after=["no thanks"], negation_window=1)
    assert not RuleMatcher([after]).match(final("a refund oh no thanks"))
    assert RuleMatcher([after]).match(final("a refund oh well no thanks"))
    zh = rule("退款", "zh", negated_before=["不"], negation_window=1)
    assert not RuleMatcher([zh]).match(final("不要退款", "zh"))
    assert RuleMatcher([zh]).match(final("不是说退款", "zh"))


def test_patterns_are_brought_to_the_same_form() -> None:
    matcher = RuleMatcher([rule(r"DON'T \S+ Me")])
    assert matcher.match(final("don’t tell me"))
    assert RuleMatcher([rule("找 (?:经理)", "zh")]).match(final("找经理", "zh"))


def test_rules_survive_yaml() -> None:
    for original in load_default_rules():
        text = yaml.safe_dump(original.model_dump(mode="json"), allow_unicode=True)
        assert Rule.model_validate(yaml.safe_load(text)) == original


@pytest.mark.parametrize("pattern", ["(a", "(?<!x)a", r"(a)\1", "[z-a]", "*"])
def test_a_bad_pattern_names_rule_and_pattern(pattern: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(pattern, name="mine")
    assert "rule mine" in str(caught.value) and repr(pattern) in str(caught.value)


def test_a_bad_negation_is_found_too() -> None:
    with pytest.raises(ValidationError, match="rule r, en"):
        rule("a", negated_after=["(b"])


@pytest.mark.parametrize("pattern", ["", "a?", "(?:a|)*"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="always fire"):
        rule(pattern)


@pytest.mark.parametrize(
    "wrong",
    [
        {"languages": {}},
        {"languages": {"en": {"patterns": []}}},
        {"name": "No Spaces"},
        {"min_confidence": 2},
        {"after_seconds": 9, "before_seconds": 9},
        {"severity": "loud"},
        {"unknown": 1},
    ],
)
def test_wrong_rules_are_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"name": "r", "languages": {"en": {"patterns": ["a"]}}}
    with pytest.raises(ValidationError):
        Rule.model_validate({**right, **wrong})


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="defined twice"):
        RuleMatcher([rule("a"), rule("b")])
    with pytest.raises(ValidationError, match="defined twice"):
        RulesParams(rules=[rule("a"), rule("b")])


def test_rules_can_be_switched_off() -> None:
    assert RulesParams().rules == list(load_default_rules())
    assert not RuleMatcher(RulesParams(enabled=False)).match(final("i will sue you"))
    assert RuleMatcher(RulesParams()).match(final("i will sue you"))


def test_no_pattern_can_hang_a_call() -> None:
    evil = RuleMatcher([rule("(?:a+)+b"), Rule(
        name="s", languages={"en": Phrases(patterns=[r"x", r"(?:\S+ ?){0,20}z"])})])  # fmt: skip
    began = time.perf_counter()
    assert not evil.match(final("a" * 100_000))
    assert not DEFAULT.match(final("speak to a a " * 5_000))
    assert time.perf_counter() - began < 2.0
