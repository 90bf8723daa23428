from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from voicebot.audio.pcm import to_float
from voicebot.errors import ModelError
from voicebot.speech import moonshine
from voicebot.speech.evaluation import Clip, read_clip
from voicebot.speech.moonshine import Moonshine


@pytest.fixture(scope="module")
def model() -> Moonshine:
    return Moonshine(moonshine.folder())


def test_noise_over_the_words_lowers_the_confidence(
    model: Moonshine, clips: dict[str, list[Clip]]
) -> None:
    samples = to_float(read_clip(clips["en"][1].path, 16000))
    text, clean = model.transcribe(samples)
    assert text.startswith("Please let me speak")
    noise = np.random.default_rng(1).standard_normal(len(samples)).astype(np.float32)
    _, noisy = model.transcribe(samples + 0.2 * noise)
    assert 0.8 < clean <= 1.0
    assert noisy < clean - 0.05


@pytest.mark.parametrize("samples", [0, 1, 1599])
def test_too_little_audio_is_no_text(model: Moonshine, samples: int) -> None:
    assert model.transcribe(np.full(samples, 0.1, np.float32)) == ("", 0.0)


def test_digital_silence_is_no_text(model: Moonshine) -> None:
    assert model.transcribe(np.zeros(16000, np.float32)) == ("", 0.0)


def test_the_same_audio_gives_the_same_result(
    model: Moonshine, clips: dict[str, list[Clip]]
) -> None:
    samples = to_float(read_clip(clips["en"][0].path, 16000))
    assert model.transcribe(samples) == model.transcribe(samples)


def test_the_package_missing_is_said_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'voicebot\[english\]'"):
        moonshine.folder()


@pytest.mark.parametrize("name", moonshine.FILES)
def test_a_file_of_the_wrong_kind_is_named(tmp_path: Path, name: str) -> None:
    for file in moonshine.FILES:
        (tmp_path / file).symlink_to(moonshine.folder() / file)
    (tmp_path / name).unlink()
    shutil.copyfile(Path(__file__), tmp_path / name)
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        Moonshine(tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        Moonshine(tmp_path)


def test_encoder_and_decoder_exchanged_are_noticed(tmp_path: Path) -> None:
    first, second, third = moonshine.FILES
    for link, target in ((first, second), (second, first), (third, third)):
        (tmp_path / link).symlink_to(moonshine.folder() / target)
    with pytest.raises(ModelError, match="not a Moonshine decoder"):
        Moonshine(tmp_path)
