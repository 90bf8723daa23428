"""The shipped text models order what callers say, abstain where they should, and are quick."""

from __future__ import annotations

import json
import shutil
import statistics
import threading
from pathlib import Path

import pytest

from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.text import TextModel, TextParams, folder_name
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS

LANGUAGES = ("en", "zh", "ko")

ANGRY = {
    "en": [
        "this is unacceptable i want to speak to your manager",
        "i have been waiting for three weeks and nobody calls me back",
        "are you kidding me i have been on hold for an hour",
        "i am sick and tired of your excuses",
        "this is the worst service i have ever had",
        "don't tell me to calm down",
        "you keep charging me for something i never ordered",
        "that is ridiculous i am not paying for that",
        "shut up and let me finish",
        "this is a complete waste of my time",
    ],
    "zh": [
        "你们 怎么 回事 我要 投诉",
        "我都等了三个星期了没有一个人给我回电话",
        "你到底要我说几遍",
        "你们这是什么服务态度",
        "太过分了",
        "你们就是骗子",
        "你们凭什么乱扣费",
        "什么破东西用一天就坏了",
        "气死我了",
        "你们公司太不负责任了",
    ],
    "ko": [
        "정말 너무하시네요 몇 번을 말해야 해요",
        "지금 장난하시는 거예요",
        "책임자 바꿔 주세요 지금 당장",
        "이게 말이 됩니까",
        "진짜 짜증나네요",
        "도대체 왜 이렇게 일을 처리하는 거예요",
        "같은 말을 몇 번이나 해야 합니까",
        "한 시간이나 기다리게 해 놓고 이게 뭐예요",
        "어이가 없네요 정말",
        "왜 자꾸 전화를 끊어요",
    ],
}
CALM = {
    "en": [
        "hello i would like to check my account balance please",
        "thank you so much for your help",
        "can you tell me your opening hours",
        "i would like to change my address",
        "could you please repeat that",
        "it stopped working yesterday evening",
        "we won we won oh my god this is the best day ever",
        "i am so happy this worked you are amazing",
        "could i book an appointment for tuesday",
        "i have a question about the delivery",
    ],
    "zh": [
        "你好我想查一下我的余额",
        "谢谢你帮了我大忙",
        "请问 你们 几点 开门",
        "我想改一下收货地址",
        "包裹今天早上收到了谢谢",
        "太好了真是太棒了",
        "好开心啊终于成功了",
        "我想预约星期二",
        "我女儿刚上大学",
        "再见祝你愉快",
    ],
    "ko": [
        "안녕하세요 잔액을 확인하고 싶은데요",
        "도와주셔서 정말 감사합니다",
        "몇 시에 문을 여나요",
        "주소를 바꾸고 싶어요",
        "어제 저녁부터 인터넷이 안 돼요",
        "와 정말 잘됐네요",
        "너무 기뻐요 최고예요",
        "화요일로 예약하고 싶습니다",
        "오늘 아침에 택배 잘 받았어요 감사합니다",
        "우리가 이겼어요 대박이에요",
    ],
}
DENIED = [
    ("en", "i am not angry", "i am angry"),
    ("en", "i'm not upset i just have a question", "i'm upset"),
    ("zh", "我不生气", "我很生气"),
    ("ko", "화난 거 아니에요", "정말 화가 나요"),
]


def load(language: str) -> TextModel:
    model = TextModel.load(models_dir(), language)
    assert model is not None
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, TextModel]:
    return {language: load(language) for language in LANGUAGES}


def logit(model: TextModel, text: str) -> float:
    score = model.score(text)
    assert score is not None, text
    return score.anger_logit


@pytest.mark.parametrize("language", LANGUAGES)
def test_fury_stands_above_calm(models: dict[str, TextModel], language: str) -> None:
    model = models[language]
    angry = [logit(model, t) for t in ANGRY[language]]
    calm = [logit(model, t) for t in CALM[language]]
    assert statistics.median(angry) - statistics.median(calm) > 2.0
    pairs = [a > c for a in angry for c in calm]
    assert sum(pairs) / len(pairs) > 0.93


@pytest.mark.parametrize(
    ("language", "text"), [(la, t) for la in LANGUAGES for t in ANGRY[la]],
)  # fmt: skip
def test_each_angry_sentence_is_above_most_calm_ones(
    models: dict[str, TextModel], language: str, text: str
) -> None:
    calm = statistics.median(logit(models[language], t) for t in CALM[language])
    assert logit(models[language], text) > calm + 0.5


@pytest.mark.parametrize(
    ("language", "text"), [(la, t) for la in LANGUAGES for t in CALM[la]],
)  # fmt: skip
def test_each_calm_sentence_is_probably_not_angry(
    models: dict[str, TextModel], language: str, text: str
) -> None:
    score = models[language].score(text)
    assert score is not None and score.anger < 0.4


@pytest.mark.parametrize(("language", "denied", "said"), DENIED)
def test_a_denial_is_calmer(
    models: dict[str, TextModel], language: str, denied: str, said: str
) -> None:
    assert logit(models[language], denied) < logit(models[language], said) - 0.5


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "i am so happy this is wonderful"),
        ("zh", "好开心啊太棒了"),
        ("ko", "너무 기뻐요 정말 행복해요"),
    ],
)
def test_joy_is_happiness(models: dict[str, TextModel], language: str, text: str) -> None:
    score = models[language].score(text)
    assert score is not None
    assert max(score.probabilities, key=score.probabilities.__getitem__) == "happiness"
    assert score.anger < 0.1


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", ""), ("en", "   "), ("en", "um yeah okay"), ("en", "?!"), ("en", "uh hi"),
        ("zh", ""), ("zh", "嗯 好 的"), ("zh", "喂喂"),
        ("ko", ""), ("ko", "네 네"), ("ko", "ㅋㅋㅋ"),
    ],
)  # fmt: skip
def test_abstains_without_words(models: dict[str, TextModel], language: str, text: str) -> None:
    assert models[language].score(text) is None


def test_limits_of_abstention_can_be_set() -> None:
    strict = TextModel.load(models_dir(), "en", TextParams(min_letters=40))
    lax = TextModel.load(models_dir(), "en", TextParams(min_letters=1))
    assert strict is not None and lax is not None
    assert strict.score("this is unacceptable") is None
    assert lax.score("what") is not None
    everything = TextModel.load(models_dir(), "en", TextParams(min_letters=0))
    assert everything is not None and everything.score("") is not None


@pytest.mark.parametrize("language", LANGUAGES)
def test_score_is_a_distribution_with_its_logit(
    models: dict[str, TextModel], language: str
) -> None:
    score = models[language].score(ANGRY[language][0])
    assert score is not None
    assert tuple(score.probabilities) == EMOTIONS
    assert sum(score.probabilities.values()) == pytest.approx(1.0)
    assert score.probabilities["anger"] == pytest.approx(score.anger)


def test_spelling_of_the_recogniser_does_not_matter(models: dict[str, TextModel]) -> None:
    one = models["en"].score("I've waited THREE weeks!")
    assert one == models["en"].score("i've waited 3 weeks")
    assert models["zh"].score("我 要 投诉 你们") == models["zh"].score("我要投诉你们！")


def test_a_very_long_text_is_scored(models: dict[str, TextModel]) -> None:
    score = models["en"].score("you never call me back " * 2000)
    assert score is not None and 0 < score.anger < 1


def test_a_language_without_a_model_has_none() -> None:
    assert TextModel.load(models_dir(), "de") is None


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="text-en"):
        TextModel.load(tmp_path, "en")


def test_model_of_another_language_is_refused(tmp_path: Path) -> None:
    shutil.copytree(models_dir() / folder_name("ko"), tmp_path / folder_name("en"))
    with pytest.raises(ModelError, match="'ko', expected 'en'"):
        TextModel.load(tmp_path, "en")


def test_a_model_of_a_future_version_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    folder = tmp_path / folder_name("ko")
    shutil.copytree(models_dir() / folder_name("ko"), folder)
    model = onnx.load(folder / "model.onnx")
    for prop in model.metadata_props:
        if prop.key == "voicebot.features":
            prop.value = "ngrams-9"
    onnx.save(model, folder / "model.onnx")
    calibration = json.loads((folder / "calibration.json").read_text("utf-8"))
    calibration["model_sha256"] = ""
    (folder / "calibration.json").write_text(json.dumps(calibration), "utf-8")
    with pytest.raises(ModelError, match="'ngrams-9', this version knows 'ngrams-1'"):
        TextModel.load(tmp_path, "ko")


def test_threads_may_share_a_model(models: dict[str, TextModel]) -> None:
    expected = [logit(models["en"], t) for t in ANGRY["en"]]
    found: list[list[float]] = []

    def work() -> None:
        for _ in range(20):
            found.append([logit(models["en"], t) for t in ANGRY["en"]])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80 and all(scores == expected for scores in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_models_are_small(language: str) -> None:
    folder = models_dir() / folder_name(language)
    assert sum(f.stat().st_size for f in folder.iterdir()) < 25_000_000
