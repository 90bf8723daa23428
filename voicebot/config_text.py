"""``config.yaml`` as text: reading it with line numbers, writing it with documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from voicebot.errors import ConfigError

_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_DEPTH = 20
"""Deeper than any key of ours; ends the walk of an alias that holds itself."""

KeyPath = tuple[str | int, ...]
"""Where a value stands: ``("rules", 0, "name")``."""


@dataclass(frozen=True)
class Document:
    """A parsed YAML document and the line of every key in it."""

    name: str
    values: dict[str, Any]
    lines: Mapping[KeyPath, int]
    """1-based line by key path; the empty path is line 1"""

    def line(self, path: KeyPath) -> int:
        """Line of ``path``, or of its nearest parent that the file spells out."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, name: str) -> Document:
    """Read YAML text, refusing what YAML readers usually let pass.

    Args:
        text: The document; may be empty.
        name: File name for error messages.

    Raises:
        ConfigError: a tab in the indentation, a duplicate key, a syntax error,
            or a document that is not a mapping; each names the line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = (mark.line + 1) if mark else 1
        if "\\t" in str(err.problem):
            raise ConfigError(
                f"{name}:{line}: a tab is used for indentation", "use spaces"
            ) from None
        raise ConfigError(f"{name}:{line}: {err.problem}", "mend the YAML syntax") from None
    except yaml.YAMLError as err:
        raise ConfigError(f"{name}: {err}", "mend the YAML syntax") from None
    if root is None:
        return Document(name, {}, {(): 1})
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{name}:1: expected keys and values at the top level")
    lines: dict[KeyPath, int] = {(): 1}
    values = _construct(root, (), lines, name, yaml.SafeLoader(""))
    return Document(name, values, lines)


def _construct(
    node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], name: str, loader: yaml.SafeLoader
) -> Any:
    """Turn a YAML node into plain values, noting lines and refusing duplicates."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.CollectionNode) and node.tag not in _TAGS:
        raise ConfigError(f"{name}:{line}: tag {node.tag} is not known here", "remove the tag")
    if len(path) > _DEPTH:
        raise ConfigError(f"{name}:{line}: nested too deeply, or an alias holds itself")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in mapping:
                first = lines[(*path, key)]
                raise ConfigError(
                    f"{name}:{line}: duplicate key '{key}' (first on line {first})",
                    "remove one of them",
                )
            lines[(*path, key)] = line
            mapping[key] = _construct(value_node, (*path, key), lines, name, loader)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            items.append(_construct(item, (*path, index), lines, name, loader))
        return items
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as err:
        raise ConfigError(f"{name}:{line}: {err}", "mend the value") from None


def render(model: BaseModel) -> str:
    """Write a parameter tree as YAML with every key documented.

    Each key is preceded by its description, unit, default and range.  Reading
    the text back gives the same values.  Secrets are written masked.
    """
    return "\n".join(_render(model, 0)) + "\n"


def _render(model: BaseModel, depth: int) -> Iterator[str]:
    pad = "  " * depth
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if depth == 0:
            yield ""
        yield from textwrap.wrap(
            _documentation(info), 98, initial_indent=pad + "# ", subsequent_indent=pad + "# "
        )
        for item in _item_models(info.annotation):
            yield f"{pad}# Each has these keys:"
            yield from _item_keys(item, pad + "#   ")
        if isinstance(value, BaseModel):
            yield f"{pad}{name}:"
            yield from _render(value, depth + 1)
        else:
            yield from textwrap.indent(_dump({name: plain(value)}), pad).splitlines()


def _item_models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a list or mapping holds."""
    return [a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]


def _item_keys(model: type[BaseModel], pad: str) -> Iterator[str]:
    """The keys of the items of a list or mapping, documented in a comment."""
    for name, info in model.model_fields.items():
        yield from textwrap.wrap(
            f"{name}: {_documentation(info)}", 98, initial_indent=pad, subsequent_indent=pad + "  "
        )
        for item in _item_models(info.annotation):
            yield from _item_keys(item, pad + "  ")


def _choices(annotation: Any) -> list[str]:
    """What a key can be, where it is one of a few words or numbers."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [member.value for member in annotation]
    return [str(a) for a in get_args(annotation)] if get_origin(annotation) is Literal else []


def _documentation(info: FieldInfo) -> str:
    """Description, unit, default and range of one key, as one line of text."""
    parts = [info.description or ""]
    extra = info.json_schema_extra
    facts = [f"unit {extra['unit']}"] if isinstance(extra, dict) and "unit" in extra else []
    choices = _choices(info.annotation)
    if choices:
        facts.append("one of " + ", ".join(choices))
    limits = []
    for rule in info.metadata:
        for kind, sign in ((annotated_types.Ge, "≥"), (annotated_types.Gt, ">"),
                           (annotated_types.Le, "≤"), (annotated_types.Lt, "<")):  # fmt: skip
            if isinstance(rule, kind):
                limits.append(f"{sign} {getattr(rule, kind.__name__.lower()):g}")
    if limits:
        facts.append("range " + " and ".join(limits))
    default = info.get_default(call_default_factory=True, validated_data={})
    if info.is_required():
        facts.append("required")
    elif not isinstance(default, BaseModel | list | dict):
        facts.append(f"default {_scalar(default)}")
    if facts:
        parts.append(f"[{'; '.join(facts)}]")
    return " ".join(part for part in parts if part)


def plain(value: Any) -> Any:
    """A parameter value as plain YAML types."""
    if isinstance(value, SecretStr):
        return str(value)
    if isinstance(value, BaseModel):
        return {
            name: plain(getattr(value, name))
            for name, info in type(value).model_fields.items()
            if getattr(value, name)
            != info.get_default(call_default_factory=True, validated_data={})
        }
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return str(value) if type(value) not in (type(None), str, int, float, bool) else value
    return str(value)


def _dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=98)


def _scalar(value: Any) -> str:
    return _dump(plain(value)).removesuffix("\n").removesuffix("...").strip() or "''"
