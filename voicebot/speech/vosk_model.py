"""Checking and loading a Vosk model folder.

Two things are done before the library sees it:

* every file it needs is looked for, because the library only prints to
  standard error and returns nothing when one is missing;
* it is given a view of the folder in which the features are computed
  **without dither**.  Kaldi adds random noise to every frame unless told
  otherwise, drawn from one generator for the whole process, so the same audio
  would give other words and confidences depending on what other calls said
  before.  :mod:`voicebot.speech.vosk_recognizer` adds noise of its own, the
  same for each utterance.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voicebot.errors import ModelError

_ALWAYS: Final = ("am/final.mdl", "conf/mfcc.conf", "conf/model.conf")
_GRAPHS: Final = (("graph/HCLG.fst",), ("graph/HCLr.fst", "graph/Gr.fst"))
_IVECTOR: Final = (
    "ivector/final.dubm", "ivector/final.ie", "ivector/final.mat",
    "ivector/global_cmvn.stats", "ivector/online_cmvn.conf", "ivector/splice.conf",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VoskModel:
    """A loaded model, safely shared by recognisers of all threads."""

    name: str
    handle: Any
    """``vosk.Model``"""
    rate: int
    """Hz; what the model was trained on"""

    def recognizer(self) -> Any:
        """A new ``vosk.KaldiRecognizer`` at the model's rate, giving word times and confidences.

        Neither alternatives (they remove the confidences) nor a grammar (without ``[unk]`` it
        bends all other speech into its words) is ever set.
        """
        import vosk

        try:
            recognizer = vosk.KaldiRecognizer(self.handle, float(self.rate))
        except Exception as err:  # the library's own, for instance of a graph that is cut short
            raise ModelError(
                f"{self.name}: Vosk cannot use this model ({err})",
                "check it with `voicebot models verify`, or install it again",
            ) from None
        recognizer.SetWords(True)
        return recognizer


def missing_files(folder: Path) -> list[str]:
    """Files that a Vosk model needs and ``folder`` lacks, relative, in a fixed order."""
    missing = [name for name in _ALWAYS if not _holds(folder, name)]
    graphs = [[name for name in graph if not _holds(folder, name)] for graph in _GRAPHS]
    if all(graphs):
        # Name the graph that somebody began to have: an incomplete lookahead graph, else HCLG.
        started = _holds(folder, "graph/HCLr.fst") or _holds(folder, "graph/Gr.fst")
        missing += graphs[1] if started else graphs[0]
    if (folder / "ivector").is_dir():
        missing += [name for name in _IVECTOR if not _holds(folder, name)]
    return missing


def load(folder: Path) -> VoskModel:
    """Load a Vosk model (about 2 s and 0.3-3 GB, depending on the model).

    Args:
        folder: Holds ``am``, ``conf``, ``graph`` and mostly ``ivector``.

    Raises:
        ModelError: The folder or a file of it is missing, or the library refuses it.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such Vosk model folder", "see `voicebot models list`")
    if missing := missing_files(folder):
        raise ModelError(
            f"{folder}: Vosk model without {', '.join(missing)}",
            "install it again with `voicebot models install NAME --force`",
        )
    import vosk

    vosk.SetLogLevel(-1)
    with tempfile.TemporaryDirectory(prefix="voicebot-vosk-") as temporary:
        view = Path(temporary)
        rate = _make_view(folder.resolve(), view)
        try:
            handle = vosk.Model(str(view))
        except Exception as err:
            raise ModelError(
                f"{folder}: Vosk cannot load this model ({err})",
                "check it with `voicebot models verify`, or install it again",
            ) from None
    return VoskModel(_name(folder), handle, rate)


def _make_view(folder: Path, view: Path) -> int:
    """Link everything but the configuration, copy that without dither; returns the rate in Hz."""
    for entry in folder.iterdir():
        if entry.name != "conf":
            (view / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    shutil.copytree(folder / "conf", view / "conf", copy_function=shutil.copyfile)
    mfcc = view / "conf" / "mfcc.conf"
    mfcc.chmod(0o600)
    lines = mfcc.read_text("utf-8").splitlines()
    kept = [line for line in lines if not re.match(r"\s*--dither\b", line)]
    mfcc.write_text("\n".join([*kept, "--dither=0", ""]), "utf-8")
    for line in kept:
        if match := re.match(r"\s*--sample-frequency=(\d+)", line):
            return int(match[1])
    return 16000  # Kaldi's default


def _name(folder: Path) -> str:
    """The folder's name; that of the package where a package calls its folder ``model``."""
    if folder.name == "model":
        return folder.parent.name.replace("_", "-")
    return folder.name


def _holds(folder: Path, name: str) -> bool:
    path = folder / name
    # An empty file is as bad as none, but for a configuration without a line, which is legal.
    return path.is_file() and (path.suffix == ".conf" or path.stat().st_size > 0)
