"""A Whisper of random weights, small enough for tests."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicebot import models

WIDTH = 128
Weights = dict[str, Any]


def weights() -> Weights:
    """Four layers of the encoder."""
    rng = np.random.default_rng(0)

    def some(*shape: int) -> Any:
        return (rng.normal(size=shape) / math.sqrt(shape[-1])).astype(np.float32)

    found: Weights = {
        "conv1/weight": some(WIDTH, 80, 3) / 2, "conv1/bias": some(WIDTH),
        "conv2/weight": some(WIDTH, WIDTH, 3), "conv2/bias": some(WIDTH),
        "position_encodings/encodings": some(1500, WIDTH),
    }  # fmt: skip
    for n in range(4):
        for norm in ("self_attention", "ffn"):
            found[f"layer_{n}/{norm}/layer_norm/gamma"] = 1 + some(WIDTH)
            found[f"layer_{n}/{norm}/layer_norm/beta"] = some(WIDTH)
        for name, out, into in (
            ("self_attention/linear_0", 3 * WIDTH, WIDTH),
            ("self_attention/linear_1", WIDTH, WIDTH),
            ("ffn/linear_0", 4 * WIDTH, WIDTH),
            ("ffn/linear_1", WIDTH, 4 * WIDTH),
        ):
            found[f"layer_{n}/{name}/weight"] = some(out, into)
            found[f"layer_{n}/{name}/bias"] = some(out)
    return found


def packed(found: Weights, name: str = "WhisperSpec", version: int = 6) -> bytes:
    """CTranslate2's file."""

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    out = struct.pack("<I", version) + string(name) + struct.pack("<II", 3, len(found))
    for key, value in found.items():
        half = value.astype(np.float16)
        out += string(f"encoder/{key}") + struct.pack("<B", half.ndim)
        out += struct.pack(f"<{half.ndim}I", *half.shape)
        out += struct.pack("<BI", 4, half.nbytes) + half.tobytes()
    return out


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, blob: bytes) -> None:
    """Let this be the Whisper that is installed."""
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_bytes(blob)
    monkeypatch.setattr(models, "find", lambda entry: folder)
