"""YAML with line numbers, and YAML with documentation."""

from __future__ import annotations

import pytest
import yaml
from pydantic import SecretStr

from voicebot import config_text
from voicebot.errors import ConfigError
from voicebot.params import Params, key


class Inner(Params):
    seconds: float = key(1.5, "How long.", unit="s", gt=0, le=10)
    secret: SecretStr = key(SecretStr(""), "Nobody's business.")


class Item(Params):
    size: int = key(1, "How big.", ge=0)


class Tree(Params):
    items: list[Item] = key([Item(size=3)], "Some items.")
    inner: Inner = key(Inner(), "A section " + "with a long description " * 6 + "that ends.")
    names: list[str] = key(["a: b", "ｎ"], "Some names.")
    nothing: str | None = key(None, "May be empty.")


def test_lines_of_keys_and_items() -> None:
    document = config_text.parse("a: 1\nb:\n  c:\n  - x\n  - d: 2\n", "f.yaml")
    assert document.values == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    assert document.line(("b", "c")) == 3
    assert document.line(("b", "c", 1, "d")) == 5
    assert document.line(("b", "missing", "deeper")) == 2, "the nearest parent"
    assert document.line(("missing",)) == 1


def test_an_empty_document_is_an_empty_tree() -> None:
    assert config_text.parse("# nothing\n", "f.yaml").values == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:\n\tb: 1\n", "f.yaml:2: a tab is used for indentation"),
        ("a: 1\nb: 2\na: 3\n", r"f.yaml:3: duplicate key 'a' \(first on line 1\)"),
        ("x:\n  a: 1\n  a: 1\n", "f.yaml:3: duplicate key 'a'"),
        ("a: [1, 2\n", "f.yaml:2:"),
        ("- a\n", "f.yaml:1: expected keys and values"),
        ("a: !!python/object:os.system {}\n", "f.yaml:1:"),
        ("a: \x00\n", "f.yaml"),
        ("a: &x\n  b: *x\n", "holds itself"),
        ("a: !odd 1\n", "f.yaml:1: could not determine a constructor"),
    ],
)
def test_bad_yaml_names_the_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config_text.parse(text, "f.yaml")


def test_render_documents_every_key_and_reads_back() -> None:
    text = config_text.render(Tree())
    assert "[unit s; range > 0 and ≤ 10; default 1.5]" in text
    assert "# Some names." in text
    assert "#   size: How big. [range ≥ 0; default 1]" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert Tree.model_validate(yaml.safe_load(text)) == Tree()


def test_render_masks_secrets() -> None:
    text = config_text.render(Tree(inner=Inner(secret=SecretStr("hunter2"))))
    assert "hunter2" not in text
    assert "***" in text
