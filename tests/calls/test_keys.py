from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.calls import keys
from voicebot.calls.keys import active_model, of_observations, of_utterances
from voicebot.config import Config


def observations(config: Config, folder: Path, language: str = "none") -> str:
    return of_observations("u", {"a": folder}, config, language)


def test_what_comes_after_the_scores_changes_no_key(tmp_path: Path) -> None:
    later = Config.model_validate(
        {
            "escalation": {"policy": {"threshold_nats": 9.0}},
            "emotion": {"baseline": {"calm_logit": -1.0}, "fusion": {"agreement": 0.0}},
        }
    )
    assert observations(Config(), tmp_path) == observations(later, tmp_path)
    assert of_utterances(tmp_path, [], Config(), 0) == of_utterances(tmp_path, [], later, 0)


def test_models_settings_and_seed_do(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    (model / "model.onnx").write_bytes(b"1")
    before = observations(Config(), model)
    (model / "card.md").write_text("of no account")
    assert observations(Config(), model) == before
    (model / "model.onnx").write_bytes(b"2")
    assert observations(Config(), model) != before
    vad = Config.model_validate({"endpointing": {"stop_seconds": 1.0}})
    assert len({of_utterances(tmp_path, [], c, s) for c, s in
                ((Config(), 0), (Config(), 1), (vad, 0))}) == 3  # fmt: skip


def test_the_code_they_depend_on_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(keys.__file__).parents[1]
    for name in (*keys._AUDIO, *keys._SCORES):
        assert (root / name).exists(), name
    for name in keys._BESIDE:
        assert (root / "emotion" / name).is_file(), name


def test_calls_are_heard_with_the_active_model() -> None:
    assert (active_model("acoustic") / "model.onnx").is_file()
