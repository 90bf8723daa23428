"""The Moonshine tiny English network, run by onnxruntime.

The weights, and nothing else, come from the package ``moonshine-voice``
(Jeffries et al. 2024, "Moonshine: Speech Recognition for Live Transcription
and Voice Commands"; code and English weights MIT).  Its own runtime gives the
same text, but neither how sure it is nor a way to share it between threads,
and costs three times the CPU: so the encoder and decoder run here, greedily,
in sessions that all threads share, and every token keeps its probability.
"""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.audio.pcm import Floats
from voicebot.errors import ModelError
from voicebot.onnx_session import open_session

RATE: Final = 16000
"""Hz; what the network takes"""
FILES: Final = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
_BEGIN, _END, _SPECIAL = 1, 2, 3
_TOKENS_PER_SECOND: Final = 6.5
"""The authors' bound; beyond it the decoder repeats itself."""
_SHORTEST: Final = 0.1
"""s; less has no frame for the encoder"""
_HEADS, _HEAD_SIZE = 8, 36
_MEND: Final = "pip install --force-reinstall moonshine-voice==0.0.73"


def folder() -> Path:
    """Where the installed package keeps the model.

    Raises:
        ModelError: The package is not installed, or is a release without the model.
    """
    spec = importlib.util.find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise ModelError(
            "the bundled English recogniser needs the package moonshine-voice",
            "pip install 'voicebot[english]'",
        )
    assets = Path(spec.origin).parent / "assets" / "tiny-en"
    for name in FILES:
        if not (assets / name).is_file():
            raise ModelError(
                f"{assets / name}: missing from the package moonshine-voice",
                _MEND,
            )
    return assets


class Moonshine:
    """The loaded network; any number of threads may transcribe at once.

    Args:
        assets: Folder with :data:`FILES`.

    Raises:
        ModelError: A file is not what its name says.
    """

    def __init__(self, assets: Path) -> None:
        self._encoder = open_session(assets / FILES[0], _MEND)
        self._decoder = open_session(assets / FILES[1], _MEND)
        self._vocabulary = _read_vocabulary(assets / FILES[2])
        inputs = [node.name for node in self._decoder.get_inputs()]
        self._caches = [name for name in inputs if name.startswith("past_key_values.")]
        outputs = [node.name for node in self._decoder.get_outputs()]
        self._presents = [name.replace("present.", "past_key_values.") for name in outputs[1:]]
        if len(self._caches) != len(self._presents) or "use_cache_branch" not in inputs:
            raise ModelError(f"{assets / FILES[1]}: not a Moonshine decoder")

    def transcribe(self, samples: Floats) -> tuple[str, float]:
        """Transcribe one utterance.

        Args:
            samples: At 16 kHz in -1..1, shape ``(samples,)``; at most some 30 s, the time and
                memory grow with the square.

        Returns:
            The text with case and punctuation, and the confidence, 0-1: the geometric mean of
            the probabilities that the network gave its tokens, the end token included.
        """
        if len(samples) < _SHORTEST * RATE or not samples.any():
            return "", 0.0
        audio = samples[np.newaxis].astype(np.float32)
        mask = np.ones(audio.shape, np.int64)
        (hidden,) = self._encoder.run(None, {"input_values": audio, "attention_mask": mask})
        feeds: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(
                (1, _HEADS, 0 if ".decoder." in name else hidden.shape[1], _HEAD_SIZE), np.float32
            )
            for name in self._caches
        }
        feeds["encoder_hidden_states"] = hidden
        feeds["encoder_attention_mask"] = mask
        tokens: list[int] = []
        token, nats = _BEGIN, 0.0
        limit = math.ceil(len(samples) / RATE * _TOKENS_PER_SECOND) + 2
        for step in range(limit):
            feeds["input_ids"] = np.array([[token]], np.int64)
            feeds["use_cache_branch"] = np.array([step > 0])
            logits, *presents = self._decoder.run(None, feeds)
            for name, value in zip(self._presents, presents, strict=True):
                # The keys of the encoder are computed in the first step and stay.
                if step == 0 or ".decoder." in name:
                    feeds[name] = value
            row = logits[0, -1].astype(np.float64)
            token = int(row.argmax())
            nats -= math.log(np.exp(row - row[token]).sum())
            if token == _END:
                break
            tokens.append(token)
        text = self._text(tokens)
        return text, math.exp(nats / (step + 1)) if text else 0.0

    def _text(self, tokens: list[int]) -> str:
        raw = b"".join(self._vocabulary[token] for token in tokens if token >= _SPECIAL)
        return raw.decode("utf-8", "replace").replace("\N{LOWER ONE EIGHTH BLOCK}", " ").strip()


def _read_vocabulary(path: Path) -> list[bytes]:
    """Read pieces, each after its length in one byte, or two from 128 on (7 bits, low first)."""
    data, pieces, at = path.read_bytes(), list[bytes](), 0
    try:
        while at < len(data):
            length = data[at]
            at += 1
            if length >= 128:
                length = length - 128 + 128 * data[at]
                at += 1
            pieces.append(data[at : at + length])
            at += length
    except IndexError:
        raise ModelError(f"{path}: not a Moonshine vocabulary") from None
    if len(pieces) != 32768:
        raise ModelError(f"{path}: {len(pieces)} pieces instead of 32768")
    return [
        bytes([int(match[1], 16)])
        if (match := re.fullmatch(rb"<0x([0-9A-Fa-f]{2})>", piece))
        else piece
        for piece in pieces
    ]
