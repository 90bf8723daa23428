"""Versions of the shipped models that differ from them in a known way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.pointer import ModelId
from voicebot.emotion.store import Store


def variant(folder: Path, name: str = "acoustic", *, nats: float = 0.0) -> Path:
    """A copy of a shipped model whose every anger logit is higher by so many nats."""
    shutil.copytree(models_dir() / name, folder)
    path = folder / "calibration.json"
    calibration = json.loads(path.read_text("utf-8"))
    for line in (calibration["anger"], *calibration["languages"].values()):
        line["intercept"] += nats
    path.write_text(json.dumps(calibration), "utf-8")
    return folder


def edit(folder: Path, **metadata: str) -> Path:
    """Change what a model says of itself; the checksum follows, so that nothing else is wrong."""
    import hashlib

    import onnx

    path = folder / "model.onnx"
    model = onnx.load(path)
    for key, value in metadata.items():
        name = f"voicebot.{key}"
        for prop in [p for p in model.metadata_props if p.key == name]:
            model.metadata_props.remove(prop)
        model.metadata_props.add(key=name, value=value)
    path.write_bytes(model.SerializeToString())
    calibration = json.loads((folder / "calibration.json").read_text("utf-8"))
    calibration["model_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "calibration.json").write_text(json.dumps(calibration), "utf-8")
    return folder


def put(store: Store, model: str, nats: float = 0.0) -> ModelId:
    """Lay a variant into a store, past every check."""
    wanted = ModelId.parse(model)
    variant(store.folder / wanted.name / wanted.version, wanted.name, nats=nats)
    return wanted


def spoil(store: Store, model: ModelId) -> None:
    """Damage the weights of an installed version."""
    path = store.locate(model) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-100] + b"\0" * 100)
