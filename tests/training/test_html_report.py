"""One page for all parts: whole by itself, others' parts kept, nobody's file overwritten."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from voicebot.errors import OutputError
from voicebot.training.evaluation_report import FigureTable, PartReport, Picture
from voicebot.training.html_report import write_report


def part(name: str, line: str = "All is <well> & good.") -> PartReport:
    table = FigureTable(f"Table of {name}", {"aa": {"auc": 0.9}, "mean": {"auc": 0.8}}, ("auc",))
    return PartReport(name, name.title(), (line,), (table,), (Picture("p", "Shot", b"\x89PNG"),))


class Balance(HTMLParser):
    """Counts open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_whole_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_report(path, part("acoustic"), "2026-01-01")
    page = path.read_text()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in balance.links)
    assert "All is &lt;well&gt; &amp; good." in page
    assert "chance that an angry one" in page
    assert page.index("All is") < page.index("Table of")


def test_other_parts_stay_and_their_own_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    for name, line in (("text", "old"), ("zebra", "z"), ("acoustic", "a"), ("text", "new")):
        write_report(path, part(name, line), "today")
    page = path.read_text()
    assert "old" not in page
    places = [page.index(f"Table of {name}") for name in ("acoustic", "text", "zebra")]
    assert places == sorted(places)
    assert page.count("Table of text") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_somebody_elses_file_is_spared(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("my homepage")
    with pytest.raises(OutputError, match="no report of voicebot"):
        write_report(path, part("acoustic"), "today")
    assert path.read_text() == "my homepage"
    with pytest.raises(OutputError, match="--html"):
        write_report(tmp_path / "none" / "r.html", part("acoustic"), "today")
