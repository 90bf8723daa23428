"""The base of every parameter class: documented, range-checked, frozen.

A stage keeps its own parameters beside its own code, as one frozen class whose
fields say what they mean, in which unit and within which range.
:mod:`voicebot.config` only joins these classes into the tree of
``config.yaml``, so a key is described exactly once.
"""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Params(BaseModel):
    """Parameters of one stage: immutable, no unknown keys, defaults checked too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


def key(default: Any, description: str, *, unit: str = "", **limits: float) -> Any:
    """Declare one configuration key.

    Args:
        default: Value when ``config.yaml`` and the environment are silent.
            A list, dict or model is copied for each instance.
        description: One or two sentences: what it does and why one would change it.
        unit: Physical unit (``s``, ``ms``, ``Hz``, ``dB``, ``nats``); empty if none.
        **limits: Range: ``ge``, ``gt``, ``le``, ``lt``.

    Returns:
        A pydantic field; typed ``Any`` so that it may be assigned to any field.
    """
    options: dict[str, Any] = {"description": description, **limits}
    if unit:
        options["json_schema_extra"] = {"unit": unit}
    if isinstance(default, list | dict | BaseModel):
        options["default_factory"] = lambda: copy.deepcopy(default)
    else:
        options["default"] = default
    return Field(**options)
