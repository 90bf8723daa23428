"""The configuration: one tree, made of every stage's own parameter class.

Order of precedence: environment (``VOICEBOT__STT__ENGINE=vosk``), then the file
given with ``--config`` or ``$VOICEBOT_CONFIG``, then the defaults embedded here.
A key that does not exist, or a value out of range, is an error that names the
file, the line and the nearest valid key.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from voicebot import config_text
from voicebot.audio.devices import DeviceParams
from voicebot.config_text import Document, KeyPath
from voicebot.emotion.listener import EmotionParams
from voicebot.emotion.live_models import ModelsParams
from voicebot.errors import ConfigError
from voicebot.escalation.actions import ActionsParams
from voicebot.escalation.escalation import EscalationParams
from voicebot.escalation.rules import RulesParams
from voicebot.params import Params, key
from voicebot.serving.exchange import EngineParams
from voicebot.serving.handover import HandoverParams
from voicebot.serving.prompts import PromptsParams
from voicebot.shadow import ShadowParams
from voicebot.speech.endpointing import EndpointingParams
from voicebot.speech.recognizer import SttParams
from voicebot.speech.vad import VadParams
from voicebot.telephony.asterisk.ari import AriParams
from voicebot.telephony.asterisk.audiosocket_params import AudioSocketParams
from voicebot.telephony.freeswitch.esl import EslParams
from voicebot.telephony.media.media_params import MediaParams
from voicebot.telephony.sip.sip_endpoint import SipEndpointParams
from voicebot.telephony.siprec.siprec_parties import SiprecParams
from voicebot.telephony.websocket.media_forks import WebSocketParams

ENV_PREFIX = "VOICEBOT__"


class Config(Params):
    """Everything that can be set, a section for each stage, in the order of the data's way."""

    language: str = key(
        "en",
        "Language of the calls (ISO 639-1: en, zh, ko, ...), or none: nothing is transcribed and "
        "the evidence is acoustic alone. The option --language goes before it.",
    )
    device: DeviceParams = key(DeviceParams(), "The sound device of voicebot listen.")
    vad: VadParams = key(VadParams(), "Voice activity: is this frame speech?")
    endpointing: EndpointingParams = key(
        EndpointingParams(), "Where an utterance begins and where it ends."
    )
    stt: SttParams = key(SttParams(), "Speech to text.")
    emotion: EmotionParams = key(
        EmotionParams(), "The caller's emotion. The agent's is never scored."
    )
    models: ModelsParams = key(ModelsParams(), "Which emotion models score.")
    shadow: ShadowParams = key(
        ShadowParams(), "Emotion models that are tried beside the active ones."
    )
    escalation: EscalationParams = key(EscalationParams(), "From scores to alerts.")
    rules: RulesParams = key(RulesParams(), "Phrases that matter whatever the tone of voice.")
    actions: ActionsParams = key(ActionsParams(), "What is done about a state or an alert.")
    engine: EngineParams = key(
        EngineParams(),
        "voicebot serve: how many calls, and what happens to those too many or dead.",
    )
    handover: HandoverParams = key(
        HandoverParams(), "voicebot serve: when and to whom callers are handed over."
    )
    prompts: PromptsParams = key(PromptsParams(), "voicebot serve: what callers hear.")
    sip: SipEndpointParams = key(SipEndpointParams(), "voicebot serve: calls by SIP.")
    media: MediaParams = key(
        MediaParams(),
        "voicebot serve: audio over RTP, of SIP, SIPREC and Asterisk's REST interface.",
    )
    siprec: SiprecParams = key(
        SiprecParams(), "voicebot serve: calls that a session border controller records to us."
    )
    audiosocket: AudioSocketParams = key(
        AudioSocketParams(), "voicebot serve: calls from Asterisk's AudioSocket."
    )
    ari: AriParams = key(AriParams(), "voicebot serve: calls from Asterisk by its REST interface.")
    websocket: WebSocketParams = key(
        WebSocketParams(), "voicebot serve: calls that fork their audio over WebSocket."
    )
    esl: EslParams = key(
        EslParams(), "voicebot serve: FreeSWITCH's event socket, by which it transfers callers."
    )


def locate(option: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration file in force, or None for the embedded defaults."""
    if option is not None:
        return option
    named = environ.get("VOICEBOT_CONFIG")
    return Path(named) if named else None


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read, override and check the configuration.

    Args:
        path: A ``config.yaml``, or None for the embedded defaults.
        environ: Where the ``VOICEBOT__`` overrides come from.

    Raises:
        ConfigError: the file cannot be read, or a key or value is wrong; every
            fault found is listed, one a line.
    """
    if path is None:
        document = Document("(defaults)", {}, {(): 1})
    else:
        try:
            document = config_text.parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as err:
            reason = err.strerror if isinstance(err, OSError) else "not UTF-8 text"
            raise ConfigError(
                f"{path}: cannot be read: {reason}",
                "`voicebot config show` prints a complete example",
            ) from None
    values, from_env = _override(document.values, environ)
    try:
        return Config.model_validate(values)
    except ValidationError as err:
        faults = [_explain(detail, document, from_env) for detail in err.errors()]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from None


def _override(
    values: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Lay the environment over the file; also say which variable gave which key."""
    merged = _deep_copy(values)
    source: dict[KeyPath, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX):
            continue
        path = tuple(variable.removeprefix(ENV_PREFIX).lower().split("__"))
        value: Any = environ[variable]
        if _annotation(path) not in (str, SecretStr):  # text stays text: a secret may be digits
            with contextlib.suppress(yaml.YAMLError, ValueError):
                value = yaml.safe_load(value)
        node = merged
        for name in path[:-1]:
            below = node.get(name)
            if not isinstance(below, dict):
                below = node[name] = {}
            node = below
        node[path[-1]] = value
        source[path] = variable
    return merged, source


def _annotation(path: KeyPath) -> Any:
    """The type of a key; None if there is no such key."""
    model: Any = Config
    for name in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        info = model.model_fields.get(str(name))
        model = info.annotation if info else None
    return model


def _deep_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _deep_copy(v) if isinstance(v, dict) else v for k, v in values.items()}


def _explain(detail: ErrorDetails, document: Document, from_env: Mapping[KeyPath, str]) -> str:
    """One fault of the configuration as a sentence with its place and its mend."""
    path: KeyPath = tuple(detail["loc"])
    dotted = ".".join(str(part) for part in path)
    in_file = path in document.lines
    variable = next(
        (
            v
            for p, v in from_env.items()
            if path[: len(p)] == p or (not in_file and p[: len(path)] == path)
        ),
        None,
    )
    place = f"${variable}" if variable else f"{document.name}:{document.line(path)}"
    if detail["type"] == "extra_forbidden":
        nearest = _nearest(path)
        hint = f"; did you mean '{nearest}'?" if nearest else ""
        return f"{place}: unknown key '{dotted}'{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    secret = _annotation(path) is SecretStr
    shown = "" if secret or isinstance(given, BaseModel | dict | list) else f" (got {given!r})"
    return f"{place}: {dotted or 'configuration'}: {message[:1].lower()}{message[1:]}{shown}"


def _nearest(path: KeyPath) -> str | None:
    """The valid key closest to a wrong one: its name in another section, a sibling, any key."""
    wrong = str(path[-1])
    every = list(keys(Config()))
    for known in every:  # the right name in the wrong section
        if known.rpartition(".")[2] == wrong:
            return known
    prefix = ".".join(str(part) for part in path[:-1])
    siblings = [k for k in every if k.rpartition(".")[0] == prefix]
    close = difflib.get_close_matches(wrong, [k.rpartition(".")[2] for k in siblings], 1, 0.6)
    if close:
        return f"{prefix}.{close[0]}" if prefix else close[0]
    whole = difflib.get_close_matches(".".join(str(p) for p in path), every, 1, 0.6)
    return whole[0] if whole else None


def keys(model: BaseModel, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a parameter tree, sections included."""
    for name in type(model).model_fields:
        yield prefix + name
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from keys(value, f"{prefix}{name}.")
