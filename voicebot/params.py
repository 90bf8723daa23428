"""The base of every parameter class: documented, range-checked, frozen.

A stage keeps its own parameters beside its own code, as one frozen class whose
fields say what they mean, in which unit and within which range.
:mod:`voicebot.config` only joins these classes into the tree of
``config.yaml``, so a key is described exactly once.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Params(BaseModel):
    """Parameters of one stage: immutable, no unknown keys, defaults checked too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


def key(
    default: Any,
    description: str,
    *,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one configuration key.

    Args:
        default: Value when ``config.yaml`` and the environment are silent.
            A list, dict or model is copied for each instance.
        description: One sentence: what it does and why one would change it.
        unit: Physical unit (``s``, ``ms``, ``Hz``, ``dB``, ``nats``); empty if none.
        ge, gt, le, lt: Range, inclusive or exclusive.

    Returns:
        A pydantic field; typed ``Any`` so that it may be assigned to any field.
    """
    extra = {"unit": unit} if unit else None
    if isinstance(default, list | dict | BaseModel):
        copy = default.model_copy if isinstance(default, BaseModel) else default.copy
        return Field(
            default_factory=copy, description=description, json_schema_extra=extra,
            ge=ge, gt=gt, le=le, lt=lt,
        )  # fmt: skip
    return Field(
        default=default, description=description, json_schema_extra=extra,
        ge=ge, gt=gt, le=le, lt=lt,
    )  # fmt: skip
