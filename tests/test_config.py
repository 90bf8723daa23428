"""The configuration: defaults, file, environment, and errors that name their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from voicebot import config, config_text
from voicebot.config import Config
from voicebot.errors import ConfigError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_in_the_checkout_is_the_embedded_defaults_fully_documented() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    assert text == config_text.render(Config()), "voicebot config show --defaults > config.yaml"
    assert config.load(ROOT / "config.yaml", {}) == Config()


def test_every_key_is_described() -> None:
    schema = json.dumps(Config.model_json_schema())
    for model in json.loads(schema)["$defs"].values():
        for name, prop in model.get("properties", {}).items():
            assert prop.get("description"), f"{model['title']}.{name}"


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, "escalation:\n  policy:\n    threshold_nats: 9\n")
    changed = config.load(path, {})
    assert changed.escalation.policy.threshold_nats == 9.0
    assert changed.escalation.evidence == Config().escalation.evidence
    assert changed.vad == Config().vad


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "language: ko\nstt:\n  pool_size: 3\n")
    environ = {"VOICEBOT__STT__POOL_SIZE": "5", "VOICEBOT__LANGUAGE": "zh", "PATH": "/bin"}
    loaded = config.load(path, environ)
    assert loaded.stt.pool_size == 5
    assert loaded.language == "zh"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("langauge: en\n", r"my.yaml:1: unknown key 'langauge'; did you mean 'language'\?"),
        (
            "stt:\n  engine: auto\n  pool_siez: 2\n",
            r"my.yaml:3: unknown key 'stt.pool_siez'; did you mean 'stt.pool_size'\?",
        ),
        (
            "vad:\n  threshold_nats: 3\n",
            r"my.yaml:2: unknown key 'vad.threshold_nats'; did you mean "
            r"'escalation.policy.threshold_nats'\?",
        ),
        (
            "# a comment\nescalation:\n  policy:\n    threshold_nats: -1\n",
            r"my.yaml:4: escalation.policy.threshold_nats: .*greater than 0 \(got -1\)",
        ),
        ("vad:\n  engine: loudness\n", r"my.yaml:2: vad.engine: .*'webrtc', 'silero'"),
        ("models:\n  voice: small\n", r"my.yaml:2: models.voice: must be acoustic, acoustic-small"),
        ("models:\n  voice: text-en\n", r"my.yaml:2: models.voice: must be .* \(got 'text-en'\)"),
        ("stt: fast\n", r"my.yaml:1: stt: .*SttParams"),
        ("language: en\nlanguage: ko\n", "my.yaml:2: duplicate key 'language'"),
        ("stt:\n\tengine: auto\n", "my.yaml:2: a tab is used"),
        (
            "rules:\n  rules:\n  - name: bad\n    languages:\n      en:\n        patterns: ['(']\n",
            r"my.yaml:3: rules.rules.0.*bad",
        ),
        (
            "escalation:\n  policy:\n    rising_nats: 8\n",
            r"my.yaml:2: escalation.policy: .*must hold",
        ),
    ],
)
def test_a_wrong_file_names_line_key_and_mend(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config.load(written(tmp_path, text), {})


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(written(tmp_path, "langauge: en\nstt:\n  pool_size: 0\n"), {})
    assert len(str(caught.value).splitlines()) == 2


def test_a_wrong_environment_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\$VOICEBOT__STT__POOL_SIZE: stt.pool_size"):
        config.load(None, {"VOICEBOT__STT__POOL_SIZE": "many"})
    with pytest.raises(ConfigError, match=r"\$VOICEBOT__STTT__ENGINE: unknown key 'sttt'"):
        config.load(None, {"VOICEBOT__STTT__ENGINE": "auto"})


def test_a_secret_of_digits_stays_text_and_is_never_shown(tmp_path: Path) -> None:
    secret = "1234567890123456"
    environ = {
        "VOICEBOT__ACTIONS__WEBHOOK__SECRET": secret,
        "VOICEBOT__ACTIONS__WEBHOOK__URL": "https://desk.example.com/",
    }
    loaded = config.load(None, environ)
    assert loaded.actions.webhook.secret.get_secret_value() == secret
    assert secret not in config_text.render(loaded)
    path = written(tmp_path, f"actions:\n  webhook:\n    secret: [{secret}]\n")
    with pytest.raises(ConfigError, match="my.yaml:3: actions.webhook.secret") as caught:
        config.load(path, {})
    assert secret not in str(caught.value)


def test_keys_that_contradict_one_another_are_refused_together(tmp_path: Path) -> None:
    path = written(tmp_path, "escalation:\n  evidence:\n    small_step: 5\n    large_step: 2\n")
    with pytest.raises(ConfigError, match=r"my.yaml:2: escalation.evidence: small_step \(5"):
        config.load(path, {})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent.yaml: cannot be read"):
        config.load(tmp_path / "absent.yaml", {})
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(path, {})


def test_where_the_file_comes_from(tmp_path: Path) -> None:
    assert config.locate(None, {}) is None
    assert config.locate(None, {"VOICEBOT_CONFIG": "/a"}) == Path("/a")
    assert config.locate(tmp_path, {"VOICEBOT_CONFIG": "/a"}) == tmp_path


def test_what_is_shown_can_be_loaded_again(tmp_path: Path) -> None:
    path = written(tmp_path, "endpointing:\n  stop_seconds: 0.5\nrules:\n  enabled: false\n")
    loaded = config.load(path, {})
    again = written(tmp_path, config_text.render(loaded))
    assert config.load(again, {}) == loaded
    assert yaml.safe_load(again.read_text())["endpointing"]["stop_seconds"] == 0.5
