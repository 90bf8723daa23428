"""The graph is Whisper's encoder, and bad weights are refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime import InferenceSession

from tests.training.whisper import WIDTH, Weights, install, packed, weights
from voicebot import models
from voicebot.errors import ModelError
from voicebot.training.speech_encoder import LAYERS, encoder_file, encoder_graph, quantised


def reference(w: Weights, mel: Any) -> Any:
    """The encoder after Radford et al. (2022), written out for one spectrogram."""
    erf = np.vectorize(math.erf)

    def gelu(x: Any) -> Any:
        return x * 0.5 * (1 + erf(x / math.sqrt(2)))

    def conv(x: Any, at: str, stride: int) -> Any:
        padded = np.pad(x, ((0, 0), (1, 1)))
        columns = range(0, x.shape[1], stride)
        return np.stack(
            [np.tensordot(w[f"{at}/weight"], padded[:, i : i + 3], 2) for i in columns], 1
        ) + w[f"{at}/bias"][:, None]  # fmt: skip

    def norm(x: Any, at: str) -> Any:
        z = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return z * w[f"{at}/gamma"] + w[f"{at}/beta"]

    def linear(x: Any, at: str) -> Any:
        return x @ w[f"{at}/weight"].T + w[f"{at}/bias"]

    x = gelu(conv(gelu(conv(mel, "conv1", 1)), "conv2", 2)).T
    x = x + w["position_encodings/encodings"][: len(x)]
    means = []
    for n in range(max(LAYERS)):
        at = f"layer_{n}/"
        y = linear(norm(x, f"{at}self_attention/layer_norm"), f"{at}self_attention/linear_0")
        q, k, v = (part.reshape(len(x), -1, 64) for part in np.split(y, 3, axis=1))
        heads = []
        for h in range(q.shape[1]):
            score = np.exp(q[:, h] @ k[:, h].T / 8)
            heads.append(score / score.sum(1, keepdims=True) @ v[:, h])
        x = x + linear(np.concatenate(heads, 1), f"{at}self_attention/linear_1")
        y = linear(norm(x, f"{at}ffn/layer_norm"), f"{at}ffn/linear_0")
        x = x + linear(gelu(y), f"{at}ffn/linear_1")
        if n + 1 in LAYERS:
            means.append(x.mean(0))
    return np.concatenate(means)


def test_the_graph_is_the_encoder_and_its_integers_stay_close() -> None:
    w = weights()
    mel = np.random.default_rng(1).normal(size=(80, 61)).astype(np.float32)
    expected = reference(w, mel)
    model = encoder_graph(w)
    (exact,) = InferenceSession(model.SerializeToString()).run(None, {"mel": mel[None]})
    assert np.allclose(exact[0], expected, atol=1e-4)
    blob = quantised(model)
    assert len(blob) < 0.6 * len(model.SerializeToString())
    (near,) = InferenceSession(blob).run(None, {"mel": mel[None]})
    assert np.linalg.norm(near[0] - expected) < 0.05 * np.linalg.norm(expected)


def test_it_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path / "whisper", packed(weights()))
    made = encoder_file(tmp_path / "cache")
    stamp = made.stat().st_mtime_ns
    assert encoder_file(tmp_path / "cache") == made
    assert made.stat().st_mtime_ns == stamp
    assert [p.name for p in made.parent.iterdir()] == [made.name]  # nothing half-written is left
    (found,) = InferenceSession(made.read_bytes()).get_outputs()
    assert found.shape == ["batch", 3 * WIDTH]


@pytest.mark.parametrize(
    ("blob", "what"),
    [
        (packed(weights())[:-100], "cut short"),
        (packed(weights(), name="TransformerSpec"), "TransformerSpec"),
        (b"", "no weights"),
        (b"\xff" * 64, "no weights"),
    ],
)
def test_other_files_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blob: bytes, what: str
) -> None:
    install(monkeypatch, tmp_path / "whisper", blob)
    with pytest.raises(ModelError, match=what) as caught:
        encoder_file(tmp_path / "cache")
    assert "voicebot models install whisper-base" in caught.value.mend


def test_whisper_must_be_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "find", lambda entry: None)
    with pytest.raises(ModelError, match="not installed") as caught:
        encoder_file(tmp_path)
    assert "voicebot models install whisper-base" in caught.value.mend
