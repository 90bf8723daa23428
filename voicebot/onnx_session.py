"""How every ONNX network is run here: on one thread of whoever asks, shared between calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from voicebot.errors import ModelError


def open_session(path: Path, mend: str, blob: bytes | None = None) -> Any:
    """Load a network for one thread: callers bring their own, one a core.

    Args:
        path: The ONNX file.
        mend: What a user can do if it is no good.
        blob: Its contents, where they were read already.

    Returns:
        ``onnxruntime.InferenceSession``; ``run`` may be called from several threads.

    Raises:
        ModelError: the file cannot be read, or is no network that onnxruntime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # its complaints arrive as exceptions; stderr is the user's
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes() if blob is None else blob,
            options,
            providers=["CPUExecutionProvider"],
        )
    except OSError as err:
        raise ModelError(f"{path}: {err.strerror or err}", mend) from None
    except Exception as err:  # onnxruntime's exceptions share no public base class
        raise ModelError(f"{path}: not a usable ONNX file: {first_line(err)}", mend) from None


def first_line(err: BaseException) -> str:
    """The first line of an exception's message, for errors that a user reads."""
    return (str(err).strip().splitlines() or [type(err).__name__])[0]
