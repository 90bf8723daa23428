"""Tables for people."""

from __future__ import annotations

import json

from voicebot.training.evaluation_report import COLUMNS, FigureTable, PartReport


def test_cells() -> None:
    table = FigureTable("t", {"a": {"auc": 0.5, "n": 12.0, "x": float("nan")}}, ("auc", "n", "x"))
    assert [table.cell("a", key) for key in (*table.columns, "ap")] == ["0.500", "12", "-", "-"]
    assert table.column("nemo").heading == "nemo"


def test_headings_are_short_and_explained() -> None:
    for column in COLUMNS.values():
        assert len(column.heading) <= 7
        assert column.meaning


def test_plain_is_json_without_what_is_not_a_number() -> None:
    table = FigureTable("t", {"a": {"auc": 0.123456, "x": float("nan")}}, ("auc",))
    plain = PartReport("acoustic", "T", ("s",), (table,), seconds=1.23).plain()
    assert json.loads(json.dumps(plain, allow_nan=False))["tables"] == {"t": {"a": {"auc": 0.1235}}}
