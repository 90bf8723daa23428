"""One HTML file with everything an evaluation found: no network, no second file.

Parts are measured by commands of their own, hours or days apart, so a report that
is already there keeps its other parts: each lies between two comments that name it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

import voicebot
from voicebot.errors import OutputError
from voicebot.training.evaluation_report import FigureTable, PartReport, Picture

ORDER: Final = ("acoustic", "text", "fusion", "calls")
"""Parts come in this order, others after them."""
_GENERATOR: Final = '<meta name="generator" content="voicebot evaluate">'
_STYLE: Final = """
:root{color-scheme:light}
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;margin:0 auto;
 max-width:60rem;padding:1rem}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.3rem;border-top:2px solid #1f77b4;
 padding-top:.7rem;margin-top:2.2rem}h3{font-size:1.05rem;margin:1.6rem 0 .3rem}
p,li,dd{max-width:44rem}small,.note,dl,figcaption{color:#555;font-size:.88rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.18rem .55rem;text-align:right;border-bottom:1px solid #e3e3e3;white-space:nowrap}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}
thead th{border-bottom:2px solid #999;font-size:.85rem}tr.mean td{font-weight:600}
abbr{text-decoration:none;border-bottom:1px dotted #888}
figure{margin:1.2rem 0}img{max-width:100%;height:auto}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem}dd{margin:0}
nav a{margin-right:1rem}
@media print{body{max-width:none;font-size:10pt}figure,table,h3{break-inside:avoid}
 h2,h3{break-after:avoid}.scroll{overflow:visible}nav{display:none}}
"""


def write_report(path: Path, report: PartReport, when: str) -> None:
    """Write a part into a report; other parts of a report that is already there stay.

    Args:
        path: HTML file.
        report: What was found.
        when: Date to print with it.

    Raises:
        OutputError: the file cannot be written, or is something else than such a report.
    """
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as err:
        raise OutputError(f"{path}: {err}", "name another --html file") from err
    if before and _GENERATOR not in before:
        raise OutputError(
            f"{path}: is there already and no report of voicebot", "name another --html file"
        )
    parts = {name: (_find(before, "summary", name), _find(before, "part", name))
             for name in re.findall(r"<!--part:(\w+)-->", before)}  # fmt: skip
    parts[report.part] = (_summary(report), _part(report, when))
    unsaved = path.with_name(path.name + ".part")
    try:
        unsaved.write_text(_page(parts), encoding="utf-8")
        unsaved.replace(path)
    except OSError as err:
        raise OutputError(f"{path}: {err.strerror or err}", "choose another --html file") from err


def _page(parts: dict[str, tuple[str, str]]) -> str:
    names = sorted(parts, key=lambda p: (ORDER.index(p) if p in ORDER else len(ORDER), p))
    links = "".join(f'<a href="#{name}">{name}</a>' for name in names)
    wrapped = {
        kind: "\n".join(f"<!--{kind}:{n}-->{parts[n][i]}<!--/{kind}:{n}-->" for n in names)
        for i, kind in enumerate(("summary", "part"))
    }
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{_GENERATOR}\n<title>voicebot: how good it is</title>\n<style>{_STYLE}</style></head>\n"
        f"<body><h1>voicebot: how good it is</h1>\n<nav>{links}</nav>\n"
        f"{wrapped['summary']}\n{wrapped['part']}\n</body></html>\n"
    )


def _summary(report: PartReport) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in report.summary)
    return f"<h3>{escape(report.title)}</h3><ul>{lines}</ul>"


def _part(report: PartReport, when: str) -> str:
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in report.notes)
    return (
        f'<section id="{escape(report.part)}"><h2>{escape(report.title)}</h2>'
        f"<p><small>Measured {escape(when)} in {report.seconds:.0f} s, "
        f"voicebot {escape(voicebot.__version__)}.</small></p>{notes}"
        + "".join(_table(table) for table in report.tables)
        + "".join(_figure(picture) for picture in report.pictures)
        + _glossary(report.tables)
        + "</section>"
    )


def _table(table: FigureTable) -> str:
    heads = "".join(
        f'<th scope="col"><abbr title="{escape(c.meaning)}">{escape(c.heading)}</abbr></th>'
        if (c := table.column(key)).meaning
        else f'<th scope="col">{escape(c.heading)}</th>'
        for key in table.columns
    )
    rows = "".join(
        f"<tr{' class=mean' if name.startswith('mean') else ''}><td>{escape(name)}</td>"
        + "".join(f"<td>{escape(table.cell(name, key))}</td>" for key in table.columns)
        + "</tr>"
        for name in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f"<h3>{escape(table.title)}</h3>{note}<div class=scroll><table><thead><tr><th></th>"
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _glossary(tables: Iterable[FigureTable]) -> str:
    used = {key: t.column(key) for t in tables for key in t.columns}
    lines = "".join(
        f"<dt><b>{escape(c.heading)}</b></dt><dd>{escape(c.meaning)}</dd>"
        for c in used.values()
        if c.meaning
    )
    return f"<h3>What the headings mean</h3><dl>{lines}</dl>" if lines else ""


def _find(page: str, kind: str, name: str) -> str:
    """What lies between the comments of a part; empty if there is nothing."""
    start, end = f"<!--{kind}:{name}-->", f"<!--/{kind}:{name}-->"
    if start not in page or end not in page:
        return ""
    return page.split(start, 1)[1].split(end, 1)[0]
