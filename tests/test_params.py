"""The base of parameter classes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from voicebot.params import Params, key


class Inner(Params):
    seconds: float = key(1.0, "How long.", unit="s", gt=0, le=10)


class Outer(Params):
    inner: Inner = key(Inner(), "A section.")
    names: list[str] = key(["a"], "Some names.")


def test_a_key_keeps_its_description_unit_and_range() -> None:
    info = Inner.model_fields["seconds"]
    assert info.description == "How long."
    assert info.json_schema_extra == {"unit": "s"}
    for wrong in (0.0, 10.1, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            Inner(seconds=wrong)


def test_parameters_cannot_be_changed_or_added() -> None:
    with pytest.raises(ValidationError):
        Inner().seconds = 2.0
    with pytest.raises(ValidationError):
        Inner.model_validate({"minutes": 1})


def test_defaults_are_checked_too() -> None:
    class Wrong(Params):
        seconds: float = key(-1.0, "Out of its own range.", ge=0)

    with pytest.raises(ValidationError):
        Wrong()


def test_list_defaults_are_not_shared() -> None:
    first, second = Outer(), Outer()
    first.names.append("b")
    assert second.names == ["a"]
