"""What the documentation says exists: keys of the configuration, links, commands, counters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from voicebot import config
from voicebot.cli.main import app
from voicebot.config_text import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INTEGRATIONS = sorted((ROOT / "docs" / "integrations").glob("*.md"))
SECRET = "QUJDREVGR0hJSktMTU5PUFFSU1RVVg=="
"""stands for whatever a reader is to put there; base64, since one key must be"""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\bVOICEBOT__[A-Z0-9_]+")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, *kinds: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text("utf-8")) if kind in kinds]


YAML = [
    pytest.param(page, text, id=f"{name(page)}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
]


def test_there_are_pages_and_configurations() -> None:
    assert len(INTEGRATIONS) >= 9
    assert all(blocks(page, "yaml") for page in INTEGRATIONS)


@pytest.mark.parametrize(("page", "text"), YAML)
def test_a_configuration_can_be_loaded(page: Path, text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r'"(<[^"]*>|\.\.\.)"', f'"{SECRET}"', text), encoding="utf-8")
    # Passwords that the page has in the environment, not in the file.
    named = set(_VARIABLE.findall(page.read_text("utf-8")))
    secrets = {key: SECRET for key in named if key.endswith(("PASSWORD", "SECRET"))}
    loaded = config.load(file, secrets).model_dump()
    written = parse(file.read_text("utf-8"), "page").values
    assert written and set(written) <= set(loaded)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_of_the_environment_are_keys(page: Path) -> None:
    for variable in _VARIABLE.findall(page.read_text("utf-8")):
        path = tuple(variable.removeprefix(config.ENV_PREFIX).lower().split("__"))
        assert config._annotation(path) is not None, variable


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_BLOCK.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found), link


def anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def commands(page: Path) -> Iterator[list[str]]:
    for text in blocks(page, "sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            yield [word for word in words if word != "&"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_of_ours_exist_with_their_options(page: Path) -> None:
    for words in commands(page):
        if words and words[0].startswith("scripts/"):
            assert (ROOT / words[0]).is_file(), words
        if not words or words[0] != "voicebot":
            continue
        command: Any = typer.main.get_command(app)
        rest = words[1:]
        while hasattr(command, "commands"):
            assert rest and rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {option for each in command.params for option in each.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


@pytest.mark.parametrize("page", INTEGRATIONS, ids=name)
def test_every_walk_through_says_what_was_not_tried(page: Path) -> None:
    assert re.search(r"(?i)not tried|not tested here|was at hand here", page.read_text("utf-8"))


SOURCES = "\n".join(file.read_text("utf-8") for file in (ROOT / "voicebot").rglob("*.py"))


@pytest.mark.parametrize("page", INTEGRATIONS, ids=name)
def test_counters_that_are_explained_exist(page: Path) -> None:
    gateways = "audiosocket|ari|external_media|esl|freeswitch|jambonz|twilio|audiohook|siprec|sip"
    for word in re.findall(rf"`((?:{gateways})_[a-z_]+)`", page.read_text("utf-8")):
        # Those of the forks are made of the fork's name and what they have in common.
        ending = word.partition("_")[2]
        found = re.search(rf'"{word}"|"{{\w+}}_{ending}"|\b{word}\b\s*[:=]', SOURCES)
        assert found or f'_{ending}"' in SOURCES, word
